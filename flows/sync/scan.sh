# Looks at a place, see scan.c. $1 path, $2 base, $3 1 = make it, $4 id, $5 known, $6 1 = squeeze, $7 hash, $8 batch,
# $9 digest of the hashes expected, $10 blanks to begin with, $11 the run whose list of hashes counts, made while files
# arrived ("=INODE SIZE MTIME CTIME HASH" lines), or "", $12 what ends the answer, or "", $13 blanks behind that, then
# the filter, words for find. For sh, GNU find, sort, comm, coreutils; gzip where it is there. Each thing that it prints
# ends with NUL. First: kind, folder, base, home, free bytes, tools, processors, clock, blanks, packing. Then, packed: "F" and
# every record, or "D" and the changes against the list that the machine keeps under the id, when that has the digest
# `known`; "Z" with find's status and the new list's digest; hashes, or "=" where they are the expected ones; "E". A file
# system that does not count (of size 0) is never full. A record that find prints for a link holds its target behind
# "//", which no path has. Then, of what was listed as a whole, $12: azlin goes on there. Where it was told of changes, what
# follows keeps the connection warm; it would be in the way of how far the target is, which is asked at the same time
# before all is copied.
LC_ALL=C; export LC_ALL; umask 077; now=$(date +%s%N)
path=$1 base=$2 make=$3 id=$4 known=$5 squeeze=$6 hash=$7 batch=$8 expected=$9; shift 9; blanks=$1 run=$2 end=$3 after=$4
shift 4
[ "$make" = 0 ] || (umask 022; mkdir -p -- "$path") || exit 4
if [ -d "$path" ]; then kind=d folder=$path
elif [ -f "$path" ]; then kind=f base=${path##*/} folder=${path%/*}
elif [ -e "$path" ] || [ -L "$path" ]; then kind=o folder=/
else
  kind=- folder=$path
  while [ ! -d "${folder:-/}" ]; do folder=${folder%/*}; done
fi
real=$(cd -- "${folder:-/}" && pwd -P && echo .) || exit 5
home=$(cd -- "$HOME" && pwd -P && echo .) || home='/
.'
free=$(df --output=size,avail -B1 -- "${real%??}" | tail -n 1 | {
  read -r size free
  [ "$size" != 0 ] || free=9223372036854775807
  echo "$free"
})
tools=' '
for tool in rsync rrsync tar curl zstd openssl perl python3 ssh; do
  command -v "$tool" >/dev/null && tools="$tools$tool "
done
cpus=$(nproc) || cpus=1
[ "$squeeze" = 1 ] && command -v gzip >/dev/null || squeeze=0
printf '%s\0' "$kind" "${real%??}" "$base" "${home%??}" "$free" "$tools" "$cpus" "$now" \
  "$([ "$blanks" = 0 ] || printf "%${blanks}s" '')" "$squeeze"
case $kind in d|f) ;; *) exit 0 ;; esac
cd -- "${real%??}" || exit 5
root=.; [ -z "$base" ] || root=./$base
for own in "$HOME/.ssh" "$HOME/.local/state/azlin"; do
  [ ! -d "$own" ] || set -- -samefile "$own" -o "$@"
done
dir=$HOME/.local/state/azlin/sync
ARRIVED=$dir/.arrived.$run; [ -n "$run" ] && [ -s "$ARRIVED" ] || ARRIVED=; export ARRIVED
tmp=$(mkdir -p -- "$dir" 2>/dev/null && mktemp -d "$dir/.scan.XXXXXX" 2>/dev/null) || tmp=$(mktemp -d) ||
  tmp=$(mktemp -d -p /dev/shm) || exit 6
trap 'rm -rf -- "$tmp"' EXIT; trap 'exit 1' HUP INT TERM PIPE

walk() { # the filter, and what find does with what it leaves
  [ -e "$root" ] || [ -L "$root" ] || return 0
  find "$root" -regextype posix-extended \( -name .azlin-partial -o -name .azlin-trash -o "$@"
}
list() {
  walk "$@" \) -prune -o -type l -printf 'l %m %s %T@ %C@ %i %n %b %p//%l\0' \
    -o \( -type f -o -type d \) -printf '%y %m %s %T@ %C@ %i %n %b %p\0'
}
hashes() { # of names that may be anything by now
  mkdir -p "$tmp/h" && xargs -0 -r -n "$batch" -P "$cpus" sh -c '
    find "$@" -maxdepth 0 -type f \( -size -4194304c -exec b2sum -l 256 -z -- {} + \
      -o ! -size -4194304c -exec sh -c '\''
        for file do
          sum=
          [ -z "$ARRIVED" ] ||
            sum=$(grep -s -m 1 -F -e "=$(stat -c "%i %s %.9Y %.9Z" -- "$file") " -- "$ARRIVED") || sum=
          sum=${sum##* }
          if [ -n "$sum" ]; then :
          elif command -v openssl >/dev/null; then sum=$(openssl dgst -sha256 -r <"$file")
          else sum=$(sha256sum <"$file"); fi
          [ -z "$sum" ] || printf "%s  %s\0" "${sum%% *}" "$file"
        done'\'' sh {} + \) >> "$0/$$" 2>/dev/null' "$tmp/h"
  cat -- "$tmp/h/"* 2>/dev/null
}
hash_all() { # what is small at once, as find comes upon it
  mkdir "$tmp/h" && : > "$tmp/large"
  walk "$@" \) -prune -o -type f \( -size -4194304c -print0 -o -fprint0 "$tmp/large" \) |
    xargs -0 -r -n "$batch" -P "$cpus" sh -c 'exec b2sum -l 256 -z -- "$@" >> "$0/$$" 2>/dev/null' "$tmp/h"
  hashes < "$tmp/large"
}
sums() { case $hash in n) hashes ;; a) hash_all "$@" ;; esac; }
answer() {
  status=$({ { list "$@"; echo $? >&3; } | sort -z > "$tmp/new" || echo 200 >&3; } 3>&1)
  [ "$status" = 0 ] || : > "$tmp/partly"
  [ -z "$known" ] || ln -- "$dir/$id" "$tmp/old" 2>/dev/null
  if [ -f "$tmp/old" ] && [ "$(sha256sum < "$tmp/old")" = "$known  -" ]; then
    printf 'D\0'; comm -z -3 "$tmp/old" "$tmp/new"; : > "$tmp/changes"
  else
    printf 'F\0'; cat "$tmp/new"
  fi
  sum=$(sha256sum < "$tmp/new"); printf 'Z%s %.64s\0' "$status" "$sum"
  mv -f -- "$tmp/new" "$dir/$id" 2>/dev/null
  if [ -z "$expected" ]; then sums "$@"
  else
    sums "$@" | sort -z > "$tmp/sums"
    if [ "$(sha256sum < "$tmp/sums")" = "$expected  -" ]; then printf '=\0'; else cat "$tmp/sums"; fi
  fi
  printf 'E\0'
}
if [ "$squeeze" = 1 ]; then answer "$@" | gzip -1; else answer "$@"; fi
[ -e "$tmp/changes" ] || after=0
[ -z "$end" ] || [ -e "$tmp/partly" ] || printf "%s%${after}s" "$end" ''
[ -z "$ARRIVED" ] || rm -f -- "$ARRIVED"
find "$dir" -maxdepth 1 -type f -mtime +30 -delete 2>/dev/null; exit 0
