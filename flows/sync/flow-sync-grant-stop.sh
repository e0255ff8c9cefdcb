# On the source, $1 the key: ends what still runs with it. The id is looked for in the command line, since a number
# left from before a reboot may be another process now.
dir=$HOME/.local/state/azlin/jobs/$1
pid=$(cat -- "$dir/pid" 2>/dev/null) || exit 0
case $pid in ''|*[!0-9]*) exit 0;; esac
n=0
while [ $n -lt 50 ] && grep -q -- "$1" "/proc/$pid/cmdline" 2>/dev/null; do
  kill "$pid" 2>/dev/null
  sleep 0.1
  n=$((n + 1))
done
exit 0
