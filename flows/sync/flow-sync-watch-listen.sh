# A line "x" for each change below the paths "$@", and one "Watches established." from when on they are heard. Exit 127 where nobody can listen. It ends with its input, which azlin
# holds open.
command -v inotifywait >/dev/null || exit 127
exec 3<&0
inotifywait -m -r -e close_write,create,delete,move,attrib --format x \
  --exclude '/(\.azlin-(partial|trash)|\.local/state/azlin)(/|$)' -- "$@" 3<&- </dev/null 2>&1 & job=$!
{ cat <&3; kill "$job"; } >/dev/null 2>&1 &
wait "$job"
