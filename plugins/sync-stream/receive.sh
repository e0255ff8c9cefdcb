# What the target runs on the direct road for each connection, after landing.sh. $1 the folder, $2 the run. Large files
# arrive in pieces under numbers of their own outside the tree, so that no name of the sender's is ever opened. Each
# archive is unpacked into a folder of its own: tar opens no name through a link that it has made itself, but what an
# earlier archive left it takes for granted.
azlin_open "$1" "$2" || exit
cd -P /proc/self/fd/5/ && : > "writer.$$" || exit 66
echo here
take() {
  azlin_got=$(dd bs=1M count="$1" iflag=fullblock,count_bytes "$2" conv=notrunc "$3" "$4" 2>&1) ||
    { printf '%s\n' "$azlin_got" >&2; exit 70; }
  case $azlin_got in *"
$1 byte"*) ;; *) exit 74;; esac
}
receive() {
  while read -r azlin_what azlin_unit azlin_a azlin_b azlin_c; do
    [ "$azlin_what" != Z ] || { zstd -q -d -c | receive; return; }
    case $azlin_unit$azlin_a$azlin_b$azlin_c in ''|*[!a-z0-9.]*) echo 'this is no copy of azlin' >&2; exit 65;; esac
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
      case $azlin_a in ''|*[!0-9]*) exit 65;; esac
      take "$azlin_c" of="large.$azlin_a" oflag=seek_bytes seek="$azlin_b" ;;
    *)
      exit 65 ;;
    esac
    echo "done $azlin_unit"
  done
}
receive
