#!/bin/bash
# Prints the build folder for one flavour. azlin refuses bricks below a folder that others may write to (sticky /tmp
# too), so a checkout in such a place is built in the user's cache folder instead.
set -eu
top=$(cd "$(dirname "$0")/.." && pwd -P)
trusted() {
  local dir=$1
  while :; do
    local mode owner
    mode=$(stat -c %a "$dir"); owner=$(stat -c %u "$dir")
    [ $((8#$mode & 8#022)) = 0 ] || return 1
    [ "$owner" = 0 ] || [ "$owner" = "$(id -u)" ] || return 1
    [ "$dir" != / ] || return 0
    dir=$(dirname "$dir")
  done
}
if trusted "$top"; then
  echo "$top/build-$1"
else
  echo "${XDG_CACHE_HOME:-$HOME/.cache}/azlin/$(printf %s "$top" | cksum | cut -d' ' -f1)-$1"
fi
