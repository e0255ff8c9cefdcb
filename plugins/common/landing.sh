# Landing at the target, see landing.h. `cd -P` leaves in PWD where the kernel says that we are, so comparing it needs no
# process. AZLIN_BATCH gets the folders that exist on both sides, deepest first, so that what is left in one when its
# turn comes is new, and goes over in one rename. It may not hold what find would replace, which is why it comes by the
# environment. What stat says of the target's folders (`here`) saves processes and decides nothing else. AZLIN_PYTHON
# does the same in one process where there is Python; what it has not done when it fails is done without it. The mode
# 1700 of `tree` says that nothing has been said of the folder itself.
azlin_astray() { echo "$1 is not azlin's own folder" >&2; return 66; }
azlin_enter() { mkdir .azlin-partial 2>/dev/null; azlin_made=$?; cd -P ./.azlin-partial; }
azlin_open() {
  umask 077; LC_ALL=C; export LC_ALL; unset CDPATH; azlin_run=$2
  cd -P -- "$1" && [ "$PWD" = "$1" ] || { echo "$1 is no folder, or leads elsewhere" >&2; return 66; }
  AZLIN_ROOT=${PWD%/}; export AZLIN_ROOT
  exec 4<.
  azlin_enter || azlin_enter # another copy may have taken it away meanwhile
  [ "$PWD" = "$AZLIN_ROOT/.azlin-partial" ] && [ -O . ] || azlin_astray "$PWD" || return
  if [ $azlin_made = 0 ]; then mkdir -p -m 1700 -- "$2/tree"; else chmod 700 . && mkdir -p -- "$2"; fi || return 66
  cd -P -- "./$2" && [ "$PWD" = "$AZLIN_ROOT/.azlin-partial/$2" ] && [ -O . ] || azlin_astray "$PWD" || return
  [ -d tree ] || mkdir -p -m 1700 tree || return 66
  exec 5<.
  cd -P tree && [ "$PWD" = "$AZLIN_ROOT/.azlin-partial/$2/tree" ] || azlin_astray "$PWD" || return
  exec 3<.
}
AZLIN_BATCH='
again() {
  find "$twin" -mindepth 1 -maxdepth 1 -exec mv -f -t . -- {} + 2>/dev/null
  for it in "$@"; do
    name=./${it##*/}
    [ ! -d "$it" ] || [ -L "$it" ] || continue
    [ -e "$it" ] || [ -L "$it" ] || continue
    [ -d "$name" ] && [ ! -L "$name" ] && rmdir -- "$name" 2>/dev/null && mv -f -t . -- "$it" 2>/dev/null
  done
}
locked() {
  bits=$(stat -c 00%a -- "$1") && chmod u+w -- "$1" && mv -f -t . -- "$1" 2>/dev/null || return
  (cd -P -- "$2" && [ "$PWD" = "$here/${2#./}" ] && chmod "$bits" .)
}
folders() {
  set --
  for sub in "$twin"/*/ "$twin"/.[!.]*/ "$twin"/..?*/; do
    sub=${sub%/}; name=./${sub##*/}
    [ -d "$sub" ] && [ ! -L "$sub" ] || continue
    if [ -L "$name" ] || { [ -e "$name" ] && [ ! -d "$name" ]; }; then
      printf "f%s\0" "$dir/${name#./}"
      rm -rf -- "$sub" 2>/dev/null || { chmod -R u+w -- "$sub"; rm -rf -- "$sub"; }
    elif [ -d "$name" ]; then
      set -- "$@" "$sub"
      [ $# -lt 200 ] || { rmdir -- "$@" 2>/dev/null; set --; }
    elif [ ! -w "$sub" ]; then
      locked "$sub" "$name"
    fi
  done
  [ $# = 0 ] || rmdir -- "$@" 2>/dev/null
}
place() {
  dir=$1; twin=/proc/self/fd/3/${1#.}; here=$AZLIN_ROOT${1#.}
  cd -P -- "/proc/self/fd/4/${1#.}" 2>/dev/null && [ "$PWD" = "${here:-/}" ] || return 0
  [ -w . ] || { chmod u+w . 2>/dev/null; mode_here=; }
  [ -w "$twin" ] || chmod u+w -- "$twin"
  folders
  set -- "$twin"/*; [ -e "$1" ] || [ -L "$1" ] || shift
  set -- "$twin"/.[!.]* "$@"; [ -e "$1" ] || [ -L "$1" ] || shift
  set -- "$twin"/..?* "$@"; [ -e "$1" ] || [ -L "$1" ] || shift
  [ $# = 0 ] || mv -f -t . -- "$@" 2>/dev/null || again "$@"
  [ "$dir$0" != .kept ] && [ "$dir$mode" != .1700 ] || return 0
  [ "$owner" = "$owner_here" ] || chown "$owner" . 2>/dev/null
  { [ "$mode" = "$mode_here" ] || chmod "00$mode" .; } 2>/dev/null && touch -d "$time" . 2>/dev/null ||
    printf "a%s\0" "$dir"
}
stat -c "@%.9Y %a %u:%g" -- "$@" > /proc/self/fd/5/twins
(cd -P /proc/self/fd/4/ && stat -c "%a %u:%g" -- "$@") > /proc/self/fd/5/here 2>/dev/null
while read -r time mode owner <&6 && { read -r mode_here owner_here <&7 || :; }; do
  [ -O / ] || owner=$owner_here
  place "$1"; shift
done 6< /proc/self/fd/5/twins 7< /proc/self/fd/5/here'
AZLIN_THERE='for it; do [ ! -d "/proc/self/fd/4/$it" ] || printf "%s\0" "$it"; done'
AZLIN_LEFT='
for it; do
  above=${it%/*}; name=./${it##*/}; here=$AZLIN_ROOT${above#.}; why=e
  if cd -P -- "/proc/self/fd/4/${above#.}" 2>/dev/null; then
    if [ "$PWD" != "${here:-/}" ]; then why=s; elif [ -d "$name" ] && [ ! -L "$name" ]; then why=d; fi
  fi
  printf "$why%s\0" "$it"
done'
AZLIN_PYTHON='
import errno, os, stat, sys
sure = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW
kept, left, root = sys.argv[1] == "kept", [], os.geteuid() == 0
def say(why, path):
    left.append(why.encode() + os.fsencode(path) + b"\0")
def look(name, folder):
    try:
        return os.stat(name, dir_fd=folder, follow_symlinks=False)
    except FileNotFoundError:
        return None
def move(name, twin, place, path, new, old):
    locked = stat.S_ISDIR(new.st_mode) and not root and not new.st_mode & stat.S_IWUSR
    try:
        if locked:
            os.chmod(name, new.st_mode | stat.S_IRWXU, dir_fd=twin)
        if old is not None and stat.S_ISDIR(old.st_mode):
            os.rmdir(name, dir_fd=place)
        os.rename(name, name, src_dir_fd=twin, dst_dir_fd=place)
        if locked:
            moved = os.open(name, sure, dir_fd=place)
            os.fchmod(moved, stat.S_IMODE(new.st_mode))
            os.close(moved)
    except OSError as error:
        if error.errno == errno.EXDEV:
            os._exit(1)
        say("d" if old is not None and stat.S_ISDIR(old.st_mode) else "e", path)
def fill(twin, place, path):
    like, now = os.fstat(twin), os.fstat(place)
    for fd, it in ((twin, like), (place, now)):
        if not root and it.st_mode & stat.S_IRWXU != stat.S_IRWXU:
            try:
                os.fchmod(fd, stat.S_IMODE(it.st_mode) | stat.S_IRWXU)
            except OSError:
                pass
    for name in os.listdir(twin):
        below, new, old = path + "/" + name, look(name, twin), look(name, place)
        if old is None or not stat.S_ISDIR(new.st_mode):
            move(name, twin, place, below, new, old)
        elif not stat.S_ISDIR(old.st_mode):
            say("f", below)
        else:
            enter(name, twin, place, below)
    if path == "." and (kept or stat.S_IMODE(like.st_mode) == 0o1700):
        return
    try:
        if root and (like.st_uid, like.st_gid) != (now.st_uid, now.st_gid):
            os.fchown(place, like.st_uid, like.st_gid)
        os.fchmod(place, stat.S_IMODE(like.st_mode))
        os.utime(place, ns=(like.st_atime_ns, like.st_mtime_ns))
    except OSError:
        say("a", path)
def enter(name, twin, place, path):
    fds = []
    try:
        for folder in twin, place:
            fds.append(os.open(name, sure, dir_fd=folder))
        fill(fds[0], fds[1], path)
    except OSError:
        say("s", path)
    for fd in fds:
        os.close(fd)
fill(3, 4, ".")
sys.stdout.buffer.write(b"".join(left))'
azlin_by_names() {
  export AZLIN_THERE AZLIN_BATCH AZLIN_LEFT
  find . -depth -type d -exec sh -c 'eval "$AZLIN_THERE"' sh {} + |
    xargs -0 sh -c 'eval "$AZLIN_BATCH"' "$1" > /proc/self/fd/5/report
  find . -mindepth 1 \( ! -type d -o -empty \) -exec sh -c 'eval "$AZLIN_LEFT"' sh {} + >> /proc/self/fd/5/report
}
azlin_place() {
  cd -P /proc/self/fd/3/ || return 66
  { [ -x /usr/bin/python3 ] && [ -z "${AZLIN_NO_PYTHON:-}" ] &&
    /usr/bin/python3 -I -S -c "$AZLIN_PYTHON" "${1:-all}" > /proc/self/fd/5/report 2> /dev/null; } ||
    azlin_by_names "${1:-all}"
  [ -s /proc/self/fd/5/report ] || return 0
  cat /proc/self/fd/5/report
  return 23
}
azlin_words() { sed -z "s/'/'\\\\''/g; s/^/'/; s/\$/'/" "$1" | tr '\0' ' '; } # the names in file $1, as eval takes them
azlin_tell() { # $1 a number, then names: the hashes of those that are in place, for the look that comes next; see scan.sh.
  # In the stage was.NUMBER is what the file of that number was when it had been hashed, sum.NUMBER its hash.
  azlin_list=$HOME/.local/state/azlin/sync; azlin_n=$1; shift
  mkdir -p -- "$azlin_list" && azlin_list=$azlin_list/.arrived.$azlin_run && rm -f -- "$azlin_list" || return
  for azlin_it; do
    azlin_above=${azlin_it%/*}
    read -r azlin_was < "/proc/self/fd/5/was.$azlin_n" && read -r azlin_sum _ < "/proc/self/fd/5/sum.$azlin_n" &&
      cd -P -- "/proc/self/fd/4/${azlin_above#.}" && azlin_is=$(stat -c '%i %s %.9Y %.9Z' -- "./${azlin_it##*/}") &&
      [ "${azlin_is% *}" = "$azlin_was" ] && echo "=$azlin_is $azlin_sum" >> "$azlin_list"
    azlin_n=$((azlin_n + 1))
  done 2> /dev/null
}
azlin_drop_once() {
  cd -P /proc/self/fd/4/ && azlin_time=$(stat -c @%.9Y .) && cd -P /proc/self/fd/5/.. || return 66
  rm -rf -- "$azlin_run" 2>/dev/null || { chmod -R u+w -- "$azlin_run"; rm -rf -- "$azlin_run"; } || return 66
  cd -P /proc/self/fd/4/ || return 66
  ! rmdir .azlin-partial 2>/dev/null || touch -d "$azlin_time" .
}
azlin_session() { # of process $1
  read -r azlin_line 2>/dev/null <"/proc/$1/stat" || return
  set -- ${azlin_line##*) }
  echo "$4"
}
azlin_others() { # whether another command of the run $1, which has it among its arguments, is at work here
  azlin_own=$(azlin_session $$)
  for it in $(grep -lsF -f - /proc/[0-9]*/cmdline <<EOF
$1
EOF
  ); do
    it=${it#/proc/}
    it=$(azlin_session "${it%/cmdline}")
    [ "${it:-$azlin_own}" = "$azlin_own" ] || return 0
  done
  return 1
}
azlin_alone() { # at most five seconds: who was told to end, or is about to begin, makes no stage behind us
  azlin_waits=0
  while azlin_others "$1" && [ $azlin_waits -lt 50 ]; do sleep 0.1; azlin_waits=$((azlin_waits + 1)); done
}
azlin_drop() { azlin_drop_once || azlin_drop_once; } # somebody may end processes here
