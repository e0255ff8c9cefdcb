# The target of a staged copy. $1: the folder, $2: the run, $3: "kept" when the folder's own mode and times stay, $4: the
# program of lanes.py, for where there is Python.
# Everything else, secrets too, comes as lines on standard input from azlin, which conducts; what has arrived is told by
# lines that begin with '@'.
unset CURL_HOME TAR_OPTIONS
trap '' PIPE
die() { echo "@fail $*"; exit 1; }
azlin_open "$1" "$2" 2>&1 || die "the folder to copy into cannot be used"
stage=/proc/self/fd/5
kept=$3 program=$4
mkdir -p "$stage/big" "$stage/pieces" || die "the stage cannot be written"
find /tmp -maxdepth 1 -name 'azlin.????????' -type d -user "$(id -u)" -mmin +1440 -exec rm -rf {} + 2>/dev/null
T=$(mktemp -d /tmp/azlin.XXXXXXXX) || die "no temporary folder can be made"
finish() {
  trap '' TERM
  kill 0 2>/dev/null
  rm -rf "$T"
}
trap finish EXIT
trap 'exit 1' HUP INT TERM
# Whatever ends this shell, what it has started must not stay.
{ trap '' TERM; while kill -0 "$$"; do sleep 1; done; kill 0; sleep 0.1; rm -rf "$T"; } </dev/null >/dev/null 2>&1 &

full() {
  echo "@full"
  exit 1
}

common() { # of each request in a configuration of curl
  cat <<EOF
silent
show-error
fail
http1.1
no-buffer
connect-timeout = 20
speed-limit = 1
speed-time = 60
header = "x-ms-version: 2021-12-02"
EOF
  [ "$rate" = 0 ] || echo "limit-rate = $rate"
}

# The blob $1 as the file $2, when its MD5 is $3; asked again by itself.
get_file() {
  try=0
  while [ "$try" -lt 5 ]; do
    [ "$try" = 0 ] || sleep "$try"
    said=$({
      common
      printf 'output = "%s"\nurl = "%s/%s?%s"\n' "$2" "$base" "$1" "$sas"
    } | curl -q -K - 2>&1) && {
      sum=$(md5sum <"$2")
      [ "${sum%% *}" != "$3" ] || return 0
      said="it is not what was stored"
      echo "@torn $1"
    }
    case $said in
      *"(23)"*) full ;;
      *" 404"*) echo "@torn $1" ;;
    esac
    try=$((try + 1))
  done
  echo "@fail $1 cannot be fetched: $said"
  return 1
}

# What went through tar, in its order: waits for each piece's turn.
unpack() {
  mkfifo "$T/ready"
  exec 9<>"$T/ready"
  {
    next=0 count=-1
    while [ "$next" != "$count" ]; do
      eval "sum=\$piece_$next"
      if [ -n "$sum" ]; then
        cat "$stage/pieces/$next.$sum"
        [ "$keep" = 1 ] || rm -f "$stage/pieces/$next.$sum"
        next=$((next + 1))
      else
        read -r word rest sum <&9
        if [ "$word" = packed ]; then count=$rest; else eval "piece_$rest=$sum"; fi
      fi
    done
  } | { if [ "$level" = 0 ]; then cat; else zstd -q -d -c; fi; } |
    tar --extract --file=- --preserve-permissions --delay-directory-restore --xattrs --sparse 2>"$T/tar.err" 9>&-
  echo $? >"$T/tar.status"
}

get_piece() {
  [ -e "$stage/pieces/$1.$2" ] || {
    get_file "t/$1" "$stage/pieces/$1" "$2" && mv "$stage/pieces/$1" "$stage/pieces/$1.$2"
  } || return
  echo "piece $1 $2" >"$T/ready"
  echo "@unpack $1"
}

# $1 the run, $2 the file, $3 its first chunk, $4 how often that was tried in vain, $5 where that chunk begins, $6 how long
# it and its neighbours are. One connection, made at once by asking for what is not there; before each request curl reads
# a pipe that is opened once that chunk is stored; two pipes in turn, so that none is passed twice.
lane() {
  mkfifo "$T/$1.a" "$T/$1.b"
  keep_gates "$1" &
  keeper=$!
  {
    configure "$@" | {
      dd if=/dev/null oflag=seek_bytes seek="$5" count=0 conv=notrunc 2>/dev/null
      sh -c 'echo $$ >"$1"; shift; exec "$@"' sh "$T/$1.pid" curl -q --fail-early -K - 2>&6
      echo "end $?" >&6
    } 1<>"$stage/big/$2"
  } 6>&1 | {
    i=$3 at=$5 lengths="$6 "
    while read -r word rest; do
      case $word in
        200)
          length=${lengths%% *} lengths=${lengths#* }
          sum=$(dd if="$stage/big/$2" bs=64k skip="$at" count="$length" iflag=skip_bytes,count_bytes 2>/dev/null | $summer)
          echo "@got $2 $i ${sum%% *} $1"
          i=$((i + 1)) at=$((at + length))
          ;;
        curl:)
          case $rest in "(23)"*) full ;; esac
          echo "@say $rest"
          ;;
        end)
          [ "$rest" = 0 ] || [ -e "$T/$1.over" ] || sleep $((1 + $4))
          echo "@end $1 $rest"
          ;;
        [0-9]*) echo "@bad $2 $i $word" ;;
      esac
    done
  }
  kill "$keeper" 2>/dev/null
  rm -f "$T/$1" "$T/$1".*
}

# "have": the next chunk is stored; "cut": it is another lane's, with all behind it. Opening a gate waits until curl has
# come to it.
keep_gates() {
  pipe=a
  while read -r word <&8; do
    exec 7>"$T/$1.$pipe"
    if [ "$word" = cut ]; then
      : >"$T/$1.over"
      read -r pid <"$T/$1.pid"
      kill "$pid"
      break
    fi
    exec 7>&-
    if [ "$pipe" = a ]; then pipe=b; else pipe=a; fi
  done
}

configure() {
  i=$3 pipe=a
  printf 'silent\noutput = "/dev/null"\nhttp1.1\nheader = "x-ms-version: 2021-12-02"\nurl = "%s/b?%s"\n' "$base" "$sas"
  for length in $6; do
    printf 'next\nsilent\noutput = "/dev/null"\nurl = "file://%s"\nnext\n' "$T/$1.$pipe"
    if [ "$pipe" = a ]; then pipe=b; else pipe=a; fi
    common
    printf 'url = "%s/%s?%s"\nwrite-out = "%%{stderr}%%{http_code} %%{size_download}\\n"\n' "$base" "b/$2/$i" "$sas"
    i=$((i + 1))
  done
}

# Gives what came in ranges its attributes and its name.
name_big() {
  [ -s "$stage/m" ] || return 0
  mkdir -p "$stage/meta" && tar -x -p --xattrs -f "$stage/m" -C "$stage/meta" || return 1
  echo 0 >"$T/count"
  xargs -0 -r sh -c '
    T=$1; shift
    read -r k <"$T/count"
    for name; do
      mkdir -p -- "${name%/*}"
      cp --attributes-only --preserve=all -- "/proc/self/fd/5/meta/stub/$k" "/proc/self/fd/5/big/$k" 2>/dev/null ||
        cp --attributes-only --preserve=mode,timestamps -- "/proc/self/fd/5/meta/stub/$k" "/proc/self/fd/5/big/$k"
      [ ! -e "/proc/self/fd/5/sum.$k" ] || stat -c "%i %s %.9Y" "/proc/self/fd/5/big/$k" >"/proc/self/fd/5/was.$k"
      mv -f -- "/proc/self/fd/5/big/$k" "$name" || echo "@warn a file could not be put in place"
      k=$((k + 1))
    done
    echo "$k" >"$T/count"' sh "$T" <"$stage/meta/names"
}

# Of what was hashed while it arrived.
tell() {
  [ -s "$stage/meta/names" ] || return 0
  eval "set -- $(azlin_words "$stage/meta/names")"
  azlin_tell 0 "$@"
}

land() {
  if [ -n "$warm" ]; then
    echo land >&6
    wait "$lanes"
  fi
  name_big || die "what came in ranges cannot be named"
  if [ -n "$unpacker" ]; then
    wait "$unpacker"
    ! grep -q -e 'No space left' -e 'quota exceeded' -e 'Cannot write' "$T/tar.err" || full
    sed -n '1,20s/^/@warn /p' "$T/tar.err"
    [ "$(cat "$T/tar.status")" = 0 ] || echo "@warn tar ended with $(cat "$T/tar.status")"
  fi
  azlin_place $kept >"$T/report"
  status=$?
  tr '\0\n' '\n?' <"$T/report" | sed 's/^/@left /'
  [ -z "$warm" ] || tell
  azlin_drop
  echo "@landed $status"
}

unpacker=
while read -r word a b c d e f; do
  case $word in
    set)
      keep=$a level=$b rate=$c summer=$d
      [ "$summer" = md5sum ] || summer=crc
      ;;
    lanes) start_lanes get "$stage" "$a" "$b" ;;
    base | sas)
      eval "$word=\$a"
      [ -z "$warm" ] || echo "$word $a" >&6
      ;;
    unpack)
      unpack &
      unpacker=$!
      while [ ! -p "$T/ready" ]; do sleep 0.01; done
      ;;
    piece) get_piece "$a" "$b" & ;;
    packed) echo "packed $a" >"$T/ready" ;;
    meta) { get_file m "$stage/m" "$a" && echo "@meta"; } & ;;
    run)
      if [ -n "$warm" ]; then
        echo "run $a $b $c $d $e $f" >&6
      else
        mkfifo "$T/$a"
        exec 8<>"$T/$a"
        lane "$a" "$b" "$c" "$d" "$e" "$f" &
        exec 8>&-
      fi
      ;;
    have | cut) [ ! -p "$T/$a" ] || echo "$word" 1<>"$T/$a" ;;
    drop)
      if [ -n "$warm" ]; then
        echo "drop $a" >&6
      elif [ -p "$T/$a" ]; then
        : >"$T/$a.over"
        { read -r pid <"$T/$a.pid" && kill "$pid"; } 2>/dev/null
      fi
      ;;
    whole) [ -z "$warm" ] || echo "whole $a $b" >&6 ;;
    land) land; exit 0 ;;
    stop) exit 0 ;;
  esac
done
exit 1
