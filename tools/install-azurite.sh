#!/bin/bash
# Puts Azurite, which the tests of sync through blobs need and Debian lacks, into a cache folder by npm; prints its program.
# Without it those tests are left out, by name.
set -u
folder=${XDG_CACHE_HOME:-$HOME/.cache}/azlin
program=node_modules/azurite/dist/src/blob/main.js
for found in "$folder/azurite" "$folder/bench-peers"; do
  [ ! -f "$found/$program" ] || { echo "$found/$program"; exit 0; }
done
command -v npm >/dev/null || "$(dirname "$0")/install-deps.sh" npm >&2 || true
command -v npm >/dev/null || { echo "azlin: no npm: the tests of sync through blobs are left out" >&2; exit 0; }
# 3.35 is the newest that node 20 runs
npm install --prefix "$folder/azurite" --no-audit --no-fund --silent azurite@3.35.0 >&2 ||
  { echo "azlin: npm failed: the tests of sync through blobs are left out" >&2; exit 0; }
echo "$folder/azurite/$program"
