# What the target runs on the direct road for each connection, after landing.sh. $1 the folder, $2 the run. Large files
# arrive in pieces under numbers of their own outside the tree, so that no name of the sender's is ever opened. Each
# archive is unpacked into a folder of its own: tar opens no name through a link that it has made itself, but what an
# earlier archive left it takes for granted.
azlin_open "$1" "$2" || exit
cd -P /proc/self/fd/5/ && : > "writer.$$" || exit 66
echo here
# Hashes large files while they arrive, each from its first byte to its last: at the end nobody has to wait for that. It
# ends with the copy, or with the last receiver.
AZLIN_FOLLOW='
digest() { if command -v openssl > /dev/null; then openssl dgst -sha256 -r; else sha256sum; fi; }
alone() { for it in writer.*; do [ ! "/proc/${it#writer.}/cwd" -ef . ] || return 1; done; }
more() { # whether it is worth waiting for
  [ -e follower ] && [ ! -e enough ] || return
  if alone; then idle=$((idle + 1)); else idle=0; fi
  [ $idle -lt 60 ] && sleep 0.05
}
pieces() { # file, bytes
  at=0
  while [ "$at" -lt "$2" ]; do
    if read -r length < "got.$1.$at"; then
      dd if="large.$1" bs=1M skip="$at" count="$length" iflag=skip_bytes,count_bytes status=none || return
      at=$((at + length))
    else
      more || return
    fi
  done
  : > "whole.$1"
}
number=1 idle=0 size=
while read -r size < "size.$number" || more; do
  [ -n "$size" ] || continue
  pieces $number "$size" | digest > "sum.$number"
  [ -e "whole.$number" ] && [ ! -e enough ] || exit
  number=$((number + 1)) size=
done'
follow() {
  if [ ! -e follower ] && mkdir follower 2> /dev/null; then
    sh -c "$AZLIN_FOLLOW" azlin-follow < /dev/null > /dev/null 2>&1 3>&- 4>&- 5>&- &
    echo $! > follower/pid
  fi
}
set -C # what has begun is claimed by its name, which needs no process
piece() { # file, offset, length, size; what comes twice may be written over what was hashed
  { true > "begun.$1.$2"; } 2> /dev/null || true >| "twice.$1"
  { echo "$4" > "size.$1"; } 2> /dev/null
  take "$3" of="large.$1" oflag=seek_bytes seek="$2"
  echo "$3" >| "got.$1.$2"
}
take() {
  azlin_got=$(dd bs=1M count="$1" iflag=fullblock,count_bytes "$2" conv=notrunc "$3" "$4" 2>&1) ||
    { printf '%s\n' "$azlin_got" >&2; exit 70; }
  case $azlin_got in *"
$1 byte"*) ;; *) exit 74;; esac
}
receive() {
  while read -r azlin_what azlin_unit azlin_a azlin_b azlin_c azlin_d; do
    [ "$azlin_what" != Z ] || { zstd -q -d -c | receive; return; }
    case $azlin_unit$azlin_a$azlin_b$azlin_c$azlin_d in ''|*[!a-z0-9.]*) echo 'this is no copy of azlin' >&2; exit 65;; esac
    case $azlin_what in
    F)
      case $azlin_a in large|large.tar|folders.tar) ;; *) exit 65;; esac
      rm -f "$azlin_a"
      take "$azlin_b" of="$azlin_a" oflag=seek_bytes seek=0 ;;
    A)
      mkdir -m 1700 "part.$$" || exit 70
      dd bs=1M count="$azlin_a" iflag=fullblock,count_bytes status=none |
        tar -C "part.$$" --xattrs --xattrs-include='user.*' --delay-directory-restore -xpf - || exit 70
      mv -T "part.$$" "archive.$azlin_unit.$$" || exit 70 ;;
    R)
      for azlin_it in "$azlin_a" "$azlin_b" "$azlin_c" "$azlin_d"; do
        case $azlin_it in ''|*[!0-9]*) exit 65;; esac
      done
      follow
      piece "$azlin_a" "$azlin_b" "$azlin_c" "$azlin_d" ;;
    *)
      exit 65 ;;
    esac
    echo "done $azlin_unit"
  done
}
receive
