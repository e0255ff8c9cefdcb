# $1 host, $2 port: seconds to a connection, or "shut". bash tells as soon as it stands. curl, which decides where bash could
# not, waits for the first words of what answers there; it is no web server, and curl leaves at them.
LC_ALL=C; export LC_ALL
took=$(timeout 3 bash -c '
a=${EPOCHREALTIME/./}
: <> "/dev/tcp/$0/$1" && b=${EPOCHREALTIME/./} && [ -n "$a" ] &&
  printf "%d.%06d\n" $(((b - a) / 1000000)) $(((b - a) % 1000000))' "$1" "$2" 2>/dev/null </dev/null)
status=$?
if [ $status = 0 ] && [ -n "$took" ]; then echo "$took"
elif [ $status = 124 ]; then echo shut
elif command -v curl >/dev/null; then
  host=$1
  case $host in *:*) host=[$host] ;; esac
  took=$(curl -s -o /dev/null --noproxy '*' --connect-timeout 3 --max-time 3 -w '%{time_connect}' "http://$host:$2/" \
    </dev/null)
  case $took in 0|0.000000) echo shut ;; *) echo "$took" ;; esac
fi
