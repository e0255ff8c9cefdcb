#!/bin/bash
# Runs all test suites of a build folder in parallel and ends with the line "N passed, N failed, N skipped".
set -u
build=$1; shift
umask 022
# The suites' time limits are for hosts that are not slow; some are, by three.
meson test -C "$build" --no-rebuild --print-errorlogs --timeout-multiplier 3 --num-processes "$(($(nproc) + 1))" "$@"
status=$?
python3 "$(dirname "$0")/check-summary.py" "$build/meson-logs" || status=1
exit $status
