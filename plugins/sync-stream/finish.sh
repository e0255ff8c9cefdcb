# The end of the direct road at the target, after landing.sh. $1 the folder, $2 the run, $3 "kept" or "all", see
# azlin_place. Receivers whose connection is dead but not yet known to be must not write any more. The twins of large
# files, empty but with all that a file has beside its content, come first. Folders come before everything, with all that
# they have, and once more at the end, since whatever is put into one changes its time. Each archive has been, or is,
# unpacked into a folder of its own, and joins the tree as the tree joins the target: through no link. What was hashed
# while it arrived counts only if it is, in its place, the very file that was hashed.
azlin_open "$1" "$2" || exit
cd -P /proc/self/fd/5/ || exit 66
for azlin_it in writer.*; do
  azlin_n=${azlin_it#writer.}
  [ "/proc/$azlin_n/cwd" -ef . ] || continue
  kill -KILL -- "-$azlin_n" 2>/dev/null || kill -KILL "$azlin_n" 2>/dev/null
  while [ -e "/proc/$azlin_n" ] || kill -0 -- "-$azlin_n" 2>/dev/null; do sleep 0.02; done
done
: > enough
while read -r azlin_n < follower/pid && [ "/proc/$azlin_n/cwd" -ef . ]; do sleep 0.02; done 2> /dev/null
hashed() { # number: keeps what the file is now, if all of it was hashed and nothing written over
  azlin_stage=/proc/self/fd/5
  [ -e "$azlin_stage/whole.$1" ] && [ ! -e "$azlin_stage/twice.$1" ] || return
  read -r azlin_size < "$azlin_stage/size.$1" && azlin_was=$(stat -c '%i %s %.9Y' "$azlin_stage/large.$1")
  case $azlin_was in *" $azlin_size "*) echo "$azlin_was" > "$azlin_stage/was.$1" ;; esac
}
join() { # run, folder
  (AZLIN_ROOT=$AZLIN_ROOT/.azlin-partial/$1/tree; exec 4<&3 3< "$2" && azlin_place all >&2) || exit 70
}
unpack() { # run, archive, folder to be made for it
  mkdir -m 1700 "$3" && tar -C "$3" --xattrs --xattrs-include='user.*' --delay-directory-restore -xpf "$2" || exit 70
  join "$1" "$3"
}
[ ! -s folders.tar ] || unpack "$2" folders.tar folders.first
for azlin_it in archive.*; do [ ! -d "$azlin_it" ] || join "$2" "$azlin_it"; done
if [ -s large ]; then
  unpack "$2" large.tar twins
  eval "set -- \"\$1\" \"\$2\" \"\$3\" $(azlin_words large)"
  azlin_n=0
  for azlin_it; do
    azlin_n=$((azlin_n + 1)); [ $azlin_n -gt 3 ] || continue
    azlin_above=${azlin_it%/*}
    cd -P -- "/proc/self/fd/3/${azlin_above#.}" && [ "$PWD" = "$AZLIN_ROOT/.azlin-partial/$2/tree${azlin_above#.}" ] || exit 65
    cp --attributes-only --preserve=all -- "./${azlin_it##*/}" "/proc/self/fd/5/large.$((azlin_n - 3))" &&
      { hashed $((azlin_n - 3)) || :; } &&
      mv -f -T -- "/proc/self/fd/5/large.$((azlin_n - 3))" "./${azlin_it##*/}" || exit 70
  done
  cd -P /proc/self/fd/5/
fi
[ ! -s folders.tar ] || unpack "$2" folders.tar folders.last
azlin_place "$3"; azlin_status=$?
shift 3; [ $# = 0 ] || azlin_tell 1 "$@"
azlin_drop
exit $azlin_status
