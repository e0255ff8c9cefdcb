# On the target: $1 id. Takes out of authorized_keys, and away, what the key of that id left.
set -eu; umask 077
rm -rf -- "$HOME/.local/state/azlin/jobs/$1"
file=$(readlink -f "$HOME/.ssh/authorized_keys") || exit 0
rm -f -- "$file.azlin-$1"
[ -f "$file" ] || exit 0
exec 9>>"$HOME/.ssh/.azlin-lock"; flock 9
grep -q -- " azlin-job-$1\$" "$file" || exit 0
tmp="$file.azlin-$1"
grep -v -- " azlin-job-$1\$" "$file" > "$tmp" || [ $? -eq 1 ]
sync "$tmp"; mv -f -- "$tmp" "$file"
