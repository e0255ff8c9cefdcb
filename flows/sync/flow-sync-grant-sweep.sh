# On the target, once its key is gone, $1 the folder, $2 a Sweep. An interrupted transfer leaves what it had in .azlin-partial, and forced
# rrsync makes that folder even when nothing is interrupted. Only an empty one goes, for the next run to resume from
# it; 2 (SWEEP_ALL) takes all of it, and those of older rsyncs in the folders below. The folder around it keeps its
# time. A receiver whose sender has just ended is still about to put its file there; one that has a second's worth of
# bytes before it, at a limited rate, is told to end; a shell that looked for the key's folder in time is about to be one.
cd -- "$1" 2>/dev/null || exit 0
here=$(pwd -P)
if [ "$2" != 0 ]; then
  n=0
  while [ $n -lt 50 ]; do
    busy=
    ! grep -q -s -e 'rrsync [-]wo ' /proc/[0-9]*/cmdline || busy=1
    for p in $(grep -l -e rsync /proc/[0-9]*/comm 2>/dev/null); do
      p=${p%/comm}
      [ "$(readlink "$p/cwd" 2>/dev/null)" = "$here" ] ||
        grep -q -z -x -F -e "$here" -e "$here/" "$p/cmdline" || continue
      busy=1
      [ $n -ne 10 ] || ! grep -q -e --server "$p/cmdline" || kill "${p##*/}"
    done
    [ -n "$busy" ] || break
    sleep 0.1
    n=$((n + 1))
  done 2>/dev/null
fi
mark=$(stat -c %.9Y .)
[ "$2" != 2 ] || find . -xdev -name .azlin-partial -type d -prune -execdir rm -rf -- {} +
[ ! -d .azlin-partial ] || rmdir -- .azlin-partial 2>/dev/null
[ "$mark" = "$(stat -c %.9Y .)" ] || touch -d "@$mark" .
exit 0
