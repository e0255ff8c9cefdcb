#!/bin/bash
# Puts what the benchmarks of sync measure against, and Debian lacks, into a cache folder: Azurite and azcopy, by npm.
set -eu
folder=${AZLIN_BENCH_PEERS:-$HOME/.cache/azlin/bench-peers}
azcopy=$folder/node_modules/@azure-tools/azcopy-linux/dist/bin
if [ ! -x "$azcopy/azcopy" ] || [ ! -d "$folder/node_modules/azurite" ]; then
  command -v npm >/dev/null || "$(dirname "$0")/install-deps.sh" npm || true
  command -v npm >/dev/null || { echo "azlin: no npm: the benchmarks of sync through blobs are left out" >&2; exit 0; }
  mkdir -p "$folder"
  # 3.35 is the newest Azurite that node 20 runs; azcopy's package leaves its program without the right to run.
  npm install --prefix "$folder" --no-audit --no-fund --silent azurite@3.35.0 @azure-tools/azcopy-linux@10.32.2 >&2 ||
    { echo "azlin: npm failed: the benchmarks of sync through blobs are left out" >&2; exit 0; }
  chmod +x "$azcopy/azcopy_linux_amd64"
  ln -sf azcopy_linux_amd64 "$azcopy/azcopy"
fi
