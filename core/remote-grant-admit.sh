# On the target: $1 id, $2 directory, $3 the directory (and the run) quoted for the forced command, $4 seconds, $5
# public key, $6 the receiver or "" for rrsync. The target's own clock and zone count for the expiry. The receiver
# stands in a file, since a line of authorized_keys may be read by nothing that shows long ones well. Who has logged in
# before the key was taken back, but begins after it, finds the job's folder gone, and does nothing.
set -eu; umask 077; unset TZ
rrsync=
mkdir -p "$HOME/.local/state/azlin/jobs/$1"
if [ -n "$6" ]; then
  printf '%s' "$6" > "$HOME/.local/state/azlin/jobs/$1/receive"
  chmod 700 "$HOME/.local/state/azlin/jobs/$1/receive"
  command="exec sh ~/.local/state/azlin/jobs/$1/receive $3"
else
  for file in /usr/bin/rrsync /usr/local/bin/rrsync; do
    if [ -z "$rrsync" ] && [ -x "$file" ]; then rrsync=$file; fi
  done
  [ -n "$rrsync" ] || { echo 'rrsync is missing: install the package rsync' >&2; exit 66; }
  command="[ -d ~/.local/state/azlin/jobs/$1 ] && exec $rrsync -wo $3"
fi
[ -d "$2" ] || mkdir -p -- "$2"
expiry=$(date -d "@$(($(date +%s) + $4))" +%Y%m%d%H%M%S)
mkdir -p "$HOME/.ssh"
exec 9>>"$HOME/.ssh/.azlin-lock"; flock 9
file=$(readlink -f "$HOME/.ssh/authorized_keys")
tmp="$file.azlin-$1"
{
  if [ -f "$file" ]; then grep -v -- " azlin-job-$1\$" "$file" || [ $? -eq 1 ]; fi
  printf 'restrict,expiry-time="%s",command="%s" %s azlin-job-%s\n' "$expiry" "$command" "$5" "$1"
} > "$tmp"
sync "$tmp"; mv -f -- "$tmp" "$file"
