#!/bin/bash
# The main job on real machines of this host, in a state folder of its own: deploy, check, copy, kill, fail over, clean up.
set -eu
build=$1
azlin=$build/cli/azlin
export AZLIN_PLUGIN_PATH=$build/plugins:$build/transport
umask 022
mkdir -p "${XDG_CACHE_HOME:-$HOME/.cache}/azlin"
home=$(mktemp -d "${XDG_CACHE_HOME:-$HOME/.cache}/azlin/demo-XXXXXX")
export AZLIN_HOME=$home/state AZLIN_CONFIG=$home/azlin.conf
printf '[bricks]\nprovider=local\n' >"$AZLIN_CONFIG"
chmod 600 "$AZLIN_CONFIG"
clean_up() {
  "$azlin" destroy --yes >/dev/null 2>&1 || true
  rm -rf "$home"
}
trap clean_up EXIT

run() {
  printf '\n$ azlin'
  for word; do
    case $word in *[!a-zA-Z0-9/,._-]*) printf ' "%s"' "$word" ;; *) printf ' %s' "$word" ;; esac
  done
  printf '\n'
  "$azlin" "$@"
}
field() { # one field of one region out of `regions list -o json`
  "$azlin" regions list -o json | python3 -c 'import json, sys
print(next(r[sys.argv[2]] for r in json.load(sys.stdin)["regions"] if r["region"] == sys.argv[1]))' "$1" "$2"
}
started=$SECONDS
run deploy -r us,eu,asia
run regions list
run regions health
run ssh -- "mkdir -p project && echo 'the answer is 42' > project/answer && hostname"
run sync --all --paths /home/azureuser/project

vm=$(field eastus vm_name)
pid=$(sed -n 's/^pid=//p' "$AZLIN_HOME/bricks/provider-local/$vm/"*.ini)
printf '\n$ kill -9 %s    # the machine of the primary, %s, dies\n' "$pid" "$vm"
kill -9 "$pid"

run failover --auto
run regions list
run ssh -- "hostname; cat project/answer"
run destroy --yes
[ -z "$(find "$AZLIN_HOME/bricks" -mindepth 2 -name 'azlin-*' 2>/dev/null)" ] || { echo "demo: machines were left behind" >&2; exit 1; }
printf '\nThe demo took %s s; nothing of it is left.\n' "$((SECONDS - started))"
