# On the source, $1 id, $2 line for known_hosts. Prints the folder and the public key. From a PEM file ssh can read the key
# as a whole alone, so it signs with it at once, where it would else ask first whether the target knows it: a round trip.
set -eu; umask 077
dir="$HOME/.local/state/azlin/jobs/$1"
mkdir -p "$dir"
if [ ! -f "$dir/public" ]; then
  rm -f "$dir/id"
  ssh-keygen -q -t ecdsa -b 256 -m PEM -N '' -C "azlin-job-$1" -f "$dir/id" </dev/null >&2
  mv -f "$dir/id.pub" "$dir/public"
fi
printf '%s\n' "$2" > "$dir/known_hosts"
printf '%s\n' "$dir"
cat "$dir/public"
