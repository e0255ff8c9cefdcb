# The source of a staged copy. $1: the folder; $2: the program of lanes.py, for where there is Python. Everything else, secrets too, comes as lines on standard input from azlin,
# which conducts; what was stored is told by lines that begin with '@'.
umask 077
LC_ALL=C
export LC_ALL
unset CURL_HOME TAR_OPTIONS
trap '' PIPE
die() { echo "@fail $*"; exit 1; }
program=$2
cd -P -- "$1" || die "the folder cannot be entered"
find /tmp -maxdepth 1 -name 'azlin.????????' -type d -user "$(id -u)" -mmin +1440 -exec rm -rf {} + 2>/dev/null
T=$(mktemp -d /tmp/azlin.XXXXXXXX) || die "no temporary folder can be made"
finish() {
  trap '' TERM
  kill 0 2>/dev/null
  cd / && rm -rf "$T"
}
trap finish EXIT
trap 'exit 1' HUP INT TERM
# Whatever ends this shell, what it has started must not stay.
{ trap '' TERM; while kill -0 "$$"; do sleep 1; done; kill 0; sleep 0.1; rm -rf "$T"; } </dev/null >/dev/null 2>&1 &
mkdir "$T/spool" "$T/meta" "$T/meta/stub" "$T/big"

# Sorts the names into those that are sent in ranges and those that go through tar. Of files in ranges the attributes
# are kept as empty twins. Files with several names or holes are left to tar, which keeps both.
sort_out() {
  : >"$T/meta/names"
  echo 0 >"$T/count"
  xargs -0 -r sh -c 'size=$1; shift; exec find "$@" -maxdepth 0 -type f -links 1 -size +"$size"c -print0' sh "$big" \
    <"$T/names" 2>/dev/null |
    xargs -0 -r sh -c '
      T=$1; shift
      read -r k <"$T/count"
      for f; do
        facts=$(stat -c "%s %b" -- "$f") && [ -r "$f" ] || continue
        size=${facts% *}
        [ $((${facts#* } * 512)) -ge "$size" ] || continue
        cp --attributes-only --preserve=mode,ownership,timestamps,xattr -- "$f" "$T/meta/stub/$k" 2>/dev/null ||
          cp --attributes-only --preserve=mode,timestamps -- "$f" "$T/meta/stub/$k" || continue
        ln -s -- "$PWD/$f" "$T/big/$k"
        printf "%s\0" "$f" >>"$T/meta/names"
        echo "@big $k $size"
        k=$((k + 1))
      done
      echo "$k" >"$T/count"' sh "$T"
  sort -z "$T/names" >"$T/all"
  sort -z "$T/meta/names" | comm -z -23 "$T/all" - >"$T/small"
}

# The MD5 of standard input as HTTP wants it, in $sum_64, and in hex, in $sum.
sum_up() {
  sum=$(md5sum) && sum=${sum%% *}
  octal= rest=$sum
  while [ -n "$rest" ]; do
    tail=${rest#??}
    byte=$((0x${rest%"$tail"}))
    octal="$octal\\$((byte / 64))$((byte / 8 % 8))$((byte % 8))"
    rest=$tail
  done
  sum_64=$(printf "$octal" | base64)
}

common() { # of each transfer in a configuration of curl
  cat <<EOF
silent
show-error
fail
http1.1
proto = "=http,https"
connect-timeout = 20
speed-limit = 1
speed-time = 60
header = "x-ms-version: 2021-12-02"
header = "x-ms-blob-type: BlockBlob"
header = "Content-Type: application/octet-stream"
header = "Expect:"
output = "/dev/null"
EOF
  [ "$rate" = 0 ] || echo "limit-rate = $rate"
}

# One whole file as one blob: $1 the file, $2 the blob, $3 the file with the MD5 that is stored already; asked again by
# itself. In $sum its MD5.
put_file() {
  sum_up <"$1"
  [ ! -e "$3" ] || { read -r old <"$3" && [ "$old" != "$sum" ]; } || return 0
  try=0
  while [ "$try" -lt 5 ]; do
    [ "$try" = 0 ] || sleep "$try"
    said=$({
      common
      printf 'upload-file = "%s"\nurl = "%s/%s?%s"\nheader = "Content-MD5: %s"\n' "$1" "$base" "$2" "$sas" "$sum_64"
    } | curl -q -K - 2>&1) && return 0
    try=$((try + 1))
  done
  echo "@fail $2 cannot be stored: $said"
  return 1
}

# What goes through tar: one stream, cut into pieces that are stored side by side; so many at a time as there are tokens.
pack() {
  mkfifo "$T/tokens"
  exec 4<>"$T/tokens"
  i=0
  while [ "$i" -lt "$packers" ]; do echo >&4; i=$((i + 1)); done
  {
    tar --create --file=- --no-recursion --format=posix --pax-option=delete=atime,delete=ctime --sparse \
      --no-acls --no-selinux --xattrs --verbatim-files-from --null --files-from="$T/small" 2>"$T/tar.err"
    echo $? >"$T/tar.status"
  } | { if [ "$level" = 0 ]; then cat; else zstd -q -c -T0 -"$level"; fi; } | {
    n=0
    while read -r token <&4; do
      piece=$T/spool/$n
      dd bs=64k count=$((chunk / 65536)) iflag=fullblock of="$piece" 2>/dev/null || die "a piece cannot be written to /tmp"
      [ -s "$piece" ] || break
      {
        if put_file "$piece" "t/$n" "$T/skip.$n"; then
          echo "@pack $n $sum $(stat -c %s "$piece")"
          rm -f "$piece"
          echo >&4
        fi
      } &
      n=$((n + 1))
    done
    wait
    echo "@packed $n $(cat "$T/tar.status")"
    sed -n '1,20s/^/@warn /p' "$T/tar.err"
  }
}

# The same bytes each time, so that a second attempt changes nothing.
send_meta() {
  touch -d @0 "$T/meta/names" "$T/meta/stub" "$T/meta"
  tar --create --file="$T/meta.tar" -C "$T/meta" --sort=name --format=posix --pax-option=delete=atime,delete=ctime \
    --xattrs --no-acls . && put_file "$T/meta.tar" m "" && echo "@meta $sum"
}

# $1 the run, $2 the file, $3 its first chunk, $4 how often that was tried in vain, $5 where that chunk begins, $6 how long
# it and its neighbours are. One connection; two pipes in turn, so that curl never takes what belongs to its next request.
lane() {
  mkfifo "$T/$1.a" "$T/$1.b"
  feed "$@" &
  feeder=$!
  {
    configure "$@" | sh -c 'echo $$ >"$1"; shift; exec "$@"' sh "$T/$1.pid" stdbuf -oL curl -q --fail-early -K - 2>&1
    echo "end $?"
  } | {
    i=$3 code=0 md5=
    while read -r word rest; do
      rest=${rest%"$cr"}
      case $word in
        HTTP/*) code=${rest%% *} md5= ;;
        [Cc]ontent-[Mm][Dd]5:) md5=$rest ;;
        "$cr") [ "$code" = 100 ] || { echo "@put $2 $i $code ${md5:--} $1"; i=$((i + 1)); } ;;
        curl:) echo "@say $rest" ;;
        end)
          if [ -e "$T/$1.drop" ]; then
            kill "$feeder" 2>/dev/null
          elif [ "$rest" != 0 ] && [ ! -e "$T/$1.over" ]; then
            kill "$feeder" 2>/dev/null
            sleep $((1 + $4))
          fi
          ;;
      esac
    done
  }
  wait "$feeder"
  echo "@end $1 0"
  rm -f "$T/$1".*
}

# $3 bytes of file $1 from $2 on, of a lane whose notes begin with $4: exactly as many as there were when all began,
# whatever becomes of the file meanwhile. That it changed is found out when both sides are compared.
part() {
  dd if="$T/big/$1" bs=64k skip="$2" count="$3" iflag=skip_bytes,count_bytes 2>"$4" || return
  { read -r rest; read -r rest; read -r copied rest; } <"$4"
  [ "${copied:-0}" = "$3" ] || head -c $(($3 - ${copied:-0})) /dev/zero
}

# Opening a pipe to write waits until curl is ready for that chunk. By then the rest of the run may be another lane's.
feed() {
  i=$3 at=$5 pipe=a
  for length in $6; do
    exec 7>"$T/$1.$pipe"
    if [ -e "$T/$1.cut" ] && read -r n <"$T/$1.cut" && [ "$i" -ge $(($3 + n)) ]; then
      : >"$T/$1.over"
      read -r pid <"$T/$1.pid"
      kill "$pid"
      break
    fi
    { # the same bytes, from the cache
      sum=$(part "$2" "$at" "$length" "$T/$1.read$i" | $summer)
      echo "@sum $2 $i ${sum%% *}"
      rm -f "$T/$1.read$i"
    } 7>&- &
    part "$2" "$at" "$length" "$T/$1.sent" >&7 || {
      [ -e "$T/$1.drop" ] || echo "@say a file cannot be read any more"
      read -r pid <"$T/$1.pid"
      kill "$pid"
      break
    }
    exec 7>&-
    i=$((i + 1)) at=$((at + length))
    if [ "$pipe" = a ]; then pipe=b; else pipe=a; fi
  done
  wait
}

configure() {
  i=$3 pipe=a
  for length in $6; do
    [ "$i" = "$3" ] || echo next
    common
    printf 'upload-file = "%s"\nurl = "%s/%s?%s"\nheader = "Content-Length: %s"\nheader = "Transfer-Encoding:"\n' \
      "$T/$1.$pipe" "$base" "b/$2/$i" "$sas" "$length"
    echo 'dump-header = "-"'
    i=$((i + 1))
    if [ "$pipe" = a ]; then pipe=b; else pipe=a; fi
  done
}

# Bytes that mean nothing, by which azlin sees how much the line carries. One line is one write, whatever else is said.
train() {
  pad=$(printf '%4000s' '')
  i=0
  while [ "$i" -lt 400 ]; do echo "@train $pad"; i=$((i + 1)); done
}

cr=$(printf '\r')
while read -r word a b c d e f; do
  case $word in
    set)
      chunk=$a packers=$b level=$c rate=$d big=$e summer=$f
      [ "$summer" = md5sum ] || summer=crc
      ;;
    names)
      head -c "$a" >"$T/names"
      sort_out
      echo "@sorted $(tr -dc '\0' <"$T/small" | wc -c)"
      ;;
    lanes) start_lanes put "$T" "$a" "$b" ;;
    base | sas)
      eval "$word=\$a"
      [ -z "$warm" ] || echo "$word $a" >&6
      ;;
    skip) echo "$b" >"$T/skip.$a" ;;
    go)
      if [ -s "$T/small" ]; then pack & fi
      if [ -s "$T/meta/names" ]; then
        send_meta &
      fi
      ;;
    cut) echo "$b" >"$T/$a.cut" ;;
    drop)
      if [ -n "$warm" ]; then
        echo "drop $a" >&6
      elif [ -e "$T/$a.pid" ]; then
        : >"$T/$a.drop"
        { read -r pid <"$T/$a.pid" && kill "$pid"; } 2>/dev/null
      fi
      ;;
    train) train & ;;
    run) if [ -n "$warm" ]; then echo "run $a $b $c $d $e $f" >&6; else lane "$a" "$b" "$c" "$d" "$e" "$f" & fi ;;
    stop) exit 0 ;;
  esac
done
exit 1
