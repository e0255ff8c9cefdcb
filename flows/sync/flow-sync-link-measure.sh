# $1 host, $2 port: seconds to a connection, or "shut". What answers there is no web server: curl leaves at its first
# words.
LC_ALL=C; export LC_ALL
host=$1
case $host in *:*) host=[$host] ;; esac
if command -v curl >/dev/null; then
  took=$(curl -s -o /dev/null --noproxy '*' --connect-timeout 3 --max-time 3 -w '%{time_connect}' "http://$host:$2/" \
    </dev/null)
  case $took in 0|0.000000) echo shut ;; *) echo "$took" ;; esac
fi
