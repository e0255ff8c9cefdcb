# What the source runs on the direct road: splits what is to be copied into units and sends them over several
# connections. Standard input: the names, each ended by NUL, folders before what they hold. $1 the key, $2 known_hosts,
# $3 login, $4 port, $5 folder, $6 connections to begin with, $7 at most, $8 KiB/s or 0, $9 level for zstd or 0, $10 ms
# of a round trip, or 0, $11 dial.py.
# Units are claimed with noclobber, which needs no process; each is done once the target has said so, and one whose
# connection broke is claimed anew. A unit says first how many bytes it has, so a file that shrinks meanwhile is filled
# up with zeros: the comparison afterwards finds it. The key may still be on its way to the target: who is denied before
# anybody has got through tries again. Prints "sent BYTES". Status 255: the target cannot be reached.
set -u; LC_ALL=C; export LC_ALL; umask 077; unset CDPATH
key=$1; known=$2; login=$3; port=$4; folder=$5; first=$6; most=$7; limit=$8; level=$9; rtt=${10}; dialler=${11}
job=${key%/*}; dir=$job/stream; parent=$PPID
echo $$ > "$job/pid"
mkdir -p -- "$dir" && cd -P -- "$folder" || exit 66
for it in "$dir"/*; do # of the attempt before this one; what had arrived then stands in the stage
  case ${it##*/} in names|done.*) ;; *) rm -rf -- "$it";; esac
done
mkfifo "$dir/gate" "$dir/events" && exec 8<> "$dir/gate" 9<> "$dir/events" || exit 70
pack() { tar --format=pax --pax-option=delete=atime,delete=ctime --xattrs --xattrs-include='user.*' -S \
  --no-recursion --null "$@"; }
words() { sed -z "s/'/'\\\\''/g; s/^/'/; s/\$/'/" "$1" | tr '\0' ' '; }

# ---- units: each is claimed by one worker, and done when the target has said so
set -C
claim() { [ ! -e "$dir/done.$1" ] && echo "$worker" > "$dir/claim.$1"; } 2>/dev/null
wanted() { # FALSE: there are lines enough
  [ ! -e "$dir/off.$worker" ] || return
  [ -e "$job/pid" ] && kill -0 $$ 2>/dev/null || exit 75
}
send_file() { # name
  [ -s "$dir/$1" ] && claim "f.$1" || return 0
  echo "F f.$1 $1 $(wc -c < "$dir/$1")"; cat "$dir/$1"
}
send_list() { # list of names
  wanted && claim "a.${1##*/}" || return 0
  size=$(pack -cf /dev/null --totals -T "$1" 2>&1 | sed -n 's/^Total bytes written: \([0-9]*\).*/\1/p')
  echo "A a.${1##*/} $size"
  { pack -cf - -T "$1" 2>> "$dir/trouble"; cat /dev/zero; } 2>/dev/null | head -c "$size"
}
moved() { said=${1#*out}; said=${said#?}; said=${said%% *}; case $said in ''|*[!0-9]*) said=0;; esac; } # dd's words
send_range() { # unit number offset length file size
  echo "R $1 $2 $3 $4 $6"
  moved "$(dd if="$5" bs=1M skip="$3" count="$4" iflag=skip_bytes,count_bytes,fullblock 2>&1 >&3)"
  [ "$said" = "$4" ] || head -c $(($4 - said)) /dev/zero
}
ranges() { # "" or "again": those that others have not finished; "$@" after it: the large files
  again=$1; number=0; shift
  while read -r size; do
    number=$((number + 1)); at=0; file=$1; shift
    while [ $at -lt "$size" ]; do
      wanted || return 0
      length=$((size - at)); [ $length -le "$chunk" ] || length=$chunk
      if [ -z "$again" ]; then claim "r.$number.$at" && send_range "r.$number.$at" $number $at $length "$file" "$size"
      elif [ ! -e "$dir/done.r.$number.$at" ]; then
        claim "$again.$number.$at" && send_range "r.$number.$at" $number $at $length "$file" "$size"
      fi
      at=$((at + length))
    done
  done < "$dir/sizes"
}
send_all() { # the large files
  exec 3>&1
  send_file large; send_file large.tar; send_file folders.tar
  for list in "$dir/linked" "$dir"/shard.*; do [ ! -s "$list" ] || send_list "$list"; done
  ranges '' "$@"
  wanted && [ "$level" = 0 ] || return 0 # the compressor still holds the end of it
  sleep 1.5
  ranges again "$@"
}
work() {
  exec 9>&-
  [ -e "$dir/ready" ] || read -r _ <&7 || exit 75
  exec 7<&-
  read -r chunk level < "$dir/ready"
  eval "set -- $(words "$dir/large")"
  if [ "$level" = 0 ]; then send_all "$@"; else echo 'Z -'; send_all "$@" | zstd -q -"$level" -T1; fi
}
worth_it() { # whether a sample of what there is shrinks by a tenth
  if [ $((small * 2)) -gt $((total / 1048576)) ]; then xargs -0 -a "$dir/small" cat -- 2> /dev/null
  else xargs -0 -a "$dir/large" tail -q -c +2097152 -- 2> /dev/null; fi | head -c 1048576 > "$dir/sample"
  [ $(($(zstd -q -c "$dir/sample" | wc -c) * 10)) -lt $(($(wc -c < "$dir/sample") * 9)) ]
}
pace() { # bytes a second
  exec 3>&1
  step=$(($1 / 8)); all=0; read -r start _ < /proc/uptime; start=${start%.*}${start#*.}
  while moved "$(dd bs=$step count=1 iflag=fullblock 2>&1 >&3)" && [ "$said" != 0 ]; do
    all=$((all + said)); read -r now _ < /proc/uptime; now=${now%.*}${now#*.}
    early=$((all * 100 / $1 - now + start))
    [ $early -le 0 ] || sleep $((early / 100)).$(printf %02d $((early % 100)))
  done
}
heard() { # worker
  exec 7<&-
  while read -r word unit; do
    case $word in
    'done') true > "$dir/done.$unit" && echo 'done' >&9 ;;
    here) echo > "$dir/reached.$1" ;;
    end) echo "$unit" > "$dir/status.$1" ;;
    esac
  done 2>/dev/null
}
line() { if [ "$limit" -gt 0 ]; then work | pace $((limit * 1024 / first)); else work; fi; }
connect() { # worker
  worker=$1
  { exec 7< "$dir/gate" 8>&-; [ -z "$denied" ] || sleep 1; [ -e "$dir/gate" ] && line | {
    exec 7<&-
    sh -c 'echo $$ > "$0"; exec "$@" 9>&-' "$dir/ssh.$1" ssh -F none -T -p "$port" -i "$key" $dial \
      -o IdentitiesOnly=yes -o IdentityAgent=none -o BatchMode=yes -o StrictHostKeyChecking=yes \
      -o UserKnownHostsFile="$known" -o GlobalKnownHostsFile=none -o ConnectTimeout=15 -o ServerAliveInterval=15 \
      -o ServerAliveCountMax=4 -o ClearAllForwardings=yes -o ControlPath=none -o LogLevel=ERROR -o Compression=no \
      -c "$ciphers" -e none \
      -o KexAlgorithms=curve25519-sha256,curve25519-sha256@libssh.org,ecdh-sha2-nistp256,diffie-hellman-group14-sha256 \
      -- "$login" receive 2> "$dir/err.$1"
    echo "end $?"
  } | heard "$1"; echo "end $1" >&9; } > /dev/null 2>&1 &
}
end() { # status
  trap '' TERM HUP INT
  kill "$ticker" 2>/dev/null
  for it in "$dir"/ssh.*; do read -r pid < "$it" && kill "$pid" 2>/dev/null; done
  if [ "$1" = 0 ]; then mv -- "$dir" "$dir.old" && rm -rf -- "$dir.old"; fi
  exit "$1"
}
release() { # worker
  for it in "$dir"/claim.*; do
    [ -e "$it" ] && [ ! -e "$dir/done.${it#"$dir"/claim.}" ] && read -r owner < "$it" && [ "$owner" = "$1" ] && rm -f "$it"
  done
}
sent() {
  bytes=0
  for it in "$dir"/ssh.*; do
    read -r pid < "$it" || continue
    while read -r word value; do [ "$word" != wchar: ] || echo "$value" >| "$dir/io.${it##*.}"; done < "/proc/$pid/io"
  done 2>/dev/null
  for it in "$dir"/io.*; do read -r value < "$it" && bytes=$((bytes + value)); done 2>/dev/null
}
last=0; running=; denied=
more() { # how many
  add=$1
  while [ "$add" -gt 0 ]; do add=$((add - 1)); last=$((last + 1)); running="$running $last"; connect $last; done
}

# ---- the lines are opened while it is still looked at what there is to send
ciphers=aes128-gcm@openssh.com,aes256-gcm@openssh.com,chacha20-poly1305@openssh.com,aes128-ctr
grep -q -w -m 1 aes /proc/cpuinfo || ciphers=chacha20-poly1305@openssh.com,$ciphers # without instructions for AES
dial=
read -r allowed < /proc/sys/net/ipv4/tcp_allowed_congestion_control
case " $allowed " in *' bbr '*)
  if [ -x /usr/bin/python3 ]; then
    # ssh has 2 MiB on the way at most. When a loss is mended it may send all of them at once, and bbr would, faster than
    # what is narrow lets them through: the next loss.
    pace=0; [ "$rtt" = 0 ] || pace=$((2097152 * 1150 / rtt))
    printf '%s\n' "$dialler" > "$dir/dial"
    dial='-o ProxyUseFdpass=yes
      -o ProxyCommand=/usr/bin/python3${IFS}-I${IFS}-S${IFS}"$AZLIN_JOB/stream/dial"${IFS}%h${IFS}%p${IFS}'$pace
    AZLIN_JOB=$job; SHELL=/bin/sh; export AZLIN_JOB SHELL
  fi ;;
esac
ticker=
trap 'end 143' TERM HUP INT
{ exec 8>&-; while kill -0 $$ && sleep 0.2; do echo tick >&9; done; } > /dev/null 2>&1 & ticker=$!
more "$first"
cat > "$dir/names.new" # which come a round trip behind this
cmp -s "$dir/names" "$dir/names.new" || rm -f -- "$dir"/done.*
mv -- "$dir/names.new" "$dir/names"
xargs -0 -r -a "$dir/names" sh -c 'exec find "$@" -maxdepth 0 \( -type d -fprint0 "$0/folders.$$" \
  -o -type f -links +1 -fprint0 "$0/linked.$$" -o -type f -size +8388607c -fprintf "$0/long.$$" "%b %s %p\0" \
  -o -fprint0 "$0/small.$$" -fprintf "$0/bytes.$$" "%s\n" \)' "$dir" 2>> "$dir/trouble"
for list in folders linked long small bytes; do cat "$dir/$list".[0-9]* > "$dir/$list" 2>/dev/null; done
: > "$dir/large"; : > "$dir/sizes"
xargs -0 -r -a "$dir/long" sh -c 'for it; do
  blocks=${it%% *}; it=${it#* }; size=${it%% *}; name=${it#* }
  if [ $((blocks * 585)) -lt "$size" ]; then printf "%s\0" "$name" >> "$0/small"; echo 0 >> "$0/bytes"
  else printf "%s\0" "$name" >> "$0/large"; echo "$size" >> "$0/sizes"; fi; done' "$dir"
[ ! -s "$dir/folders" ] || pack -cf "$dir/folders.tar" -T "$dir/folders" 2>> "$dir/trouble"
if [ -s "$dir/large" ]; then
  mkdir "$dir/twins"
  xargs -0 -r -a "$dir/large" cp -a --attributes-only --parents -t "$dir/twins" -- 2>> "$dir/trouble"
  (cd "$dir/twins" && pack -cf "$dir/large.tar" -T "$dir/large" 2>> "$dir/trouble")
fi
set -- $(awk '{ n++; s += $1 } END { printf "%d %.0f", n, s / 1048576 }' "$dir/bytes")
small=$2
shards=$(($2 / 16 + $1 / 4000 + 1)); [ "$shards" -le 64 ] || shards=64
[ "$shards" -ge "$first" ] || shards=$(($2 / 2 < first ? $2 / 2 + 1 : first)) # so that loss holds up none for long
[ ! -s "$dir/small" ] || split -t '\0' -d -a 3 -n "r/$shards" "$dir/small" "$dir/shard."
total=$(awk -v small="$small" '{ s += $1 } END { printf "%.0f", s + small * 1048576 }' "$dir/sizes")
chunk=$((total / 128 / 65536 * 65536))
[ $chunk -ge 524288 ] || chunk=524288
[ $chunk -le 8388608 ] || chunk=8388608
units=$(awk -v c=$chunk '{ n += int(($1 + c - 1) / c) } END { printf "%d", n }' "$dir/sizes")
for it in large large.tar folders.tar linked "$dir"/shard.*; do [ ! -s "$dir/${it##*/}" ] || units=$((units + 1)); done
[ "$level" = 0 ] || worth_it || level=0
echo $chunk "$level" > "$dir/ready"
more_bytes=
it=0; while [ $it -lt "$last" ]; do it=$((it + 1)); echo; done >&8

# ---- as many lines as bring more
ticks=0; calm=0; before=0; rate=0; best=0; added=; settled=; failed=0
shed() { # lines: they end after the unit that they have
  for it in "$@"; do true >| "$dir/off.$it"; done
}
staying() { # sets `lines`: those that have not been told to end
  lines=
  for it in $running; do [ -e "$dir/off.$it" ] || lines="$lines $it"; done
}
slowest() { # how many of `lines`; by what each has carried since this was last asked
  for it in $lines; do
    now=0; then=0
    read -r now < "$dir/io.$it"; read -r then < "$dir/then.$it"
    echo "$((now - then)) $it"; echo "$now" >| "$dir/then.$it"
  done 2>/dev/null | sort -n | head -n "$1" | cut -d ' ' -f 2
}
# A line has 2 MiB on the way at most; of more than are needed each only fills the queue before the narrow place. The
# slowest go: of what has just met with loss there one may have next to nothing on the way for seconds.
too_many() { # of `lines`
  need=$(((rate / 1000 * rtt + 2097151) / 2097152))
  [ "$rtt" -gt 0 ] && [ $rate -gt 6000000 ] && [ $rate -le $grown ] && [ $rate -ge $((best * 85 / 100)) ] &&
    [ $need -lt $# ]
}
adapt() {
  sent; echo "sent $bytes"
  grown=$((rate * 110 / 100)); rate=$((bytes - before)); before=$bytes
  [ "$limit" = 0 ] && [ $rate -gt 1000000 ] || return 0
  calm=$((calm + 1)); staying
  set -- $lines
  if [ -z "$added" ] && too_many $lines; then
    [ $rate -le $best ] || best=$rate
    shed $(slowest $(($# - need))); settled=1; calm=0
    return 0
  fi
  [ $calm -ge 3 ] || return 0
  calm=0
  if [ -n "$added" ] && [ $rate -lt $((best * 115 / 100)) ]; then shed $added; settled=1; fi
  added=
  if [ -n "$settled" ]; then # what was shed was needed after all
    [ $rate -ge $((best * 75 / 100)) ] || [ $# -ge "$first" ] || { best=0; settled=; more $#; }
    return 0
  fi
  best=$rate
  [ $# -lt "$most" ] && [ $# -lt $((units / 2)) ] && [ $(((total - bytes) / rate)) -ge 3 ] || return 0
  add=$#
  [ $add -le 8 ] || add=8
  [ $((add + $#)) -le "$most" ] || add=$((most - $#))
  it=$last; more $add
  while [ $it -lt $last ]; do it=$((it + 1)); added="$added $it"; done
}
reached() { for it in "$dir"/reached.*; do [ ! -e "$it" ] || return 0; done; return 1; }
ended() { # worker
  left=
  for it in $running; do [ "$it" = "$1" ] || left="$left $it"; done
  running=$left
  read -r status < "$dir/status.$1" || status=255
  [ "$status" -lt 128 ] || status=255
  if [ "$status" = 0 ]; then echo >> "$dir/freed"; return 0; fi
  failed=$((failed + 1)); release "$1"
  denied=; if ! reached && grep -q 'Permission denied' "$dir/err.$1"; then denied=1
  elif [ -n "$dial" ] && ! grep -q 'cannot be reached' "$dir/err.$1"; then dial=; failed=0; fi
  if [ "$status" != 255 ] || [ $failed -ge 12 ] || { ! reached && [ -z "$denied" ] && [ $failed -ge "$first" ]; }; then
    cat "$dir/err.$1" >&2
    [ "$status" != 255 ] || ! reached || status=74
    end "$status"
  fi
  more 1
}
arrived=0
for it in "$dir"/done.*; do [ ! -e "$it" ] || arrived=$((arrived + 1)); done
while [ -n "$running" ] && [ "$arrived" -lt "$units" ]; do
  read -r event number <&9
  case $event in
  'done') arrived=$((arrived + 1)) ;;
  end) ended "$number" ;;
  tick)
    ticks=$((ticks + 1))
    kill -0 "$parent" 2>/dev/null && [ -e "$job/pid" ] || end 143
    [ $((ticks % 5)) -gt 0 ] || adapt ;;
  esac
done
sent; echo "sent $bytes"
[ "$arrived" -ge "$units" ] || { echo 'not all has arrived' >&2; end 74; }
[ ! -s "$dir/trouble" ] || head -n 20 "$dir/trouble" >&2
end 0
