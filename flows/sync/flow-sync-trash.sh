# On the target: $1 the folder, $2 the run, names on standard input. Each entry is renamed into a new folder of its
# own below $1/.azlin-trash/$2, which stands open as 9 from the beginning; beside it stands a file with its name. No
# folder of the target is made again there: one that was thrown away may be a link by now. The entry's folder is
# entered and asked where it really is, so that no link leads out of the tree. What has gone with a folder above it is
# no failure. Folders keep their times. What was thrown away more than a week ago goes for good.
LC_ALL=C; export LC_ALL; umask 077
cd -- "$1" || exit 3
root=$(pwd -P && echo .); root=${root%??}
mark=$(stat -c %.9Y .)
mkdir -p .azlin-trash && cd -P .azlin-trash || exit 4
here=$(pwd -P && echo .); [ "${here%??}" = "${root%/}/.azlin-trash" ] || exit 4
mkdir -p -- "./$2" && cd -P -- "./$2" || exit 4
here=$(pwd -P && echo .); [ "${here%??}" = "${root%/}/.azlin-trash/$2" ] || exit 4
exec 9<.
cd -- "$root" || exit 3
xargs -0 -r -n 500 sh -c '
  root=$0 n=0
  for name do
    n=$((n + 1)) empty=
    case $name in */) name=${name%/} empty=1 ;; esac
    folder=${name%/*} base=${name##*/}
    want=${folder#.}; want=${root%/}$want; [ -n "$want" ] || want=/
    (
      [ -e "$root/$name" ] || [ -L "$root/$name" ] || exit 0
      cd -P -- "$root/$folder" && here=$(pwd -P && echo .) && [ "${here%??}" = "$want" ] || exit 5
      [ -e "./$base" ] || [ -L "./$base" ] || exit 0
      mark=$(stat -c %.9Y .)
      [ -z "$empty" ] || { ! rmdir -- "./$base" 2>/dev/null || touch -d "@$mark" .; exit 0; }
      to=/proc/self/fd/9/$$-$n
      mkdir -- "$to" && printf "%s\n" "$name" > "$to.name" && mv -fT -- "./$base" "$to/$base" && touch -d "@$mark" .
    ) || failed=1
  done
  exit ${failed:-0}' "$root"
status=$?
find .azlin-trash -mindepth 1 -maxdepth 1 -ctime +7 -execdir rm -rf -- {} + 2>/dev/null
touch -d "@$mark" .
exit $status
