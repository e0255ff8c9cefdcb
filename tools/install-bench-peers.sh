#!/bin/bash
# Puts what the benchmarks of sync measure against, and Debian lacks, into a cache folder by npm: azcopy, and Azurite.
set -eu
folder=${XDG_CACHE_HOME:-$HOME/.cache}/azlin/bench-peers
programs=$folder/node_modules/@azure-tools/azcopy-linux/dist/bin
[ -n "$("$(dirname "$0")/install-azurite.sh")" ] || exit 0
[ ! -x "$programs/azcopy" ] || exit 0
npm install --prefix "$folder" --no-audit --no-fund --silent @azure-tools/azcopy-linux@10.32.2 >&2 ||
  { echo "azlin: npm failed: the benchmarks of sync through blobs are left out" >&2; exit 0; }
chmod +x "$programs/azcopy_linux_amd64"  # the package leaves its program without the right to run
ln -sf azcopy_linux_amd64 "$programs/azcopy"
