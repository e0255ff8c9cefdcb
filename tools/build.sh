#!/bin/bash
# Configures (once) and builds one folder: build.sh FOLDER [meson options].
set -eu
umask 022
build=$1; shift
cd "$(dirname "$0")/.."
mkdir -p "$(dirname "$build")"
# A folder that was configured by other options keeps them, and what meson once read of the ABI: it is made anew.
facts() { cat meson_options.txt; grep '^#define AZLIN_ABI_' sdk/azlin-plugin.h; }
facts | cmp -s - "$build/.options" || rm -rf "$build/build.ninja" "$build/meson-private/coredata.dat"
[ -f "$build/build.ninja" ] || meson setup "$build" "$@" >"$build.setup.log" 2>&1 || { tail -20 "$build.setup.log" >&2; exit 1; }
facts >"$build/.options"
ninja -C "$build" >"$build.log" 2>&1 || { grep -A20 -m1 FAILED "$build.log" >&2 || tail -20 "$build.log" >&2; exit 1; }
