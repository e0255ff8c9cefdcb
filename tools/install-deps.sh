#!/bin/bash
# Installs what building, running and testing azlin needs and this Debian lacks; extra packages may be named as arguments.
set -eu
packages=(gcc libc6-dev meson ninja-build pkg-config libglib2.0-dev libjansson-dev libssh-dev
          libsoup-3.0-dev libgnutls28-dev glib-networking
          bubblewrap openssh-server openssh-client rsync iproute2 nftables etcd-server dbus-daemon gjs python3 python3-gi
          python3-dbusmock inotify-tools nginx-light openssl curl groff-base "$@")
missing=()
for package in "${packages[@]}"; do
  [ "$(dpkg-query -W -f '${db:Status-Status}' "$package" 2>/dev/null)" = installed ] || missing+=("$package")
done
[ ${#missing[@]} -gt 0 ] || exit 0
command -v apt-get >/dev/null || { echo "azlin: not a Debian system; install by hand: ${missing[*]}" >&2; exit 1; }
echo "Installing from Debian's packages: ${missing[*]}"
as_root=()
if [ "$(id -u)" != 0 ]; then
  command -v sudo >/dev/null || { echo "azlin: run as root, or install by hand: ${missing[*]}" >&2; exit 1; }
  as_root=(sudo)
fi
export DEBIAN_FRONTEND=noninteractive
log=$(mktemp)
trap 'rm -f "$log"' EXIT
install() {
  "${as_root[@]}" env DEBIAN_FRONTEND=noninteractive apt-get -o DPkg::Lock::Timeout=300 install -y --no-install-recommends \
    "${missing[@]}" >"$log" 2>&1
}
# The tests start etcd and nginx themselves; a package that was just installed would run one for this host.
stop_service() {
  case " ${missing[*]} " in *" $1"*) ;; *) return 0 ;; esac
  "${as_root[@]}" service "$1" stop >>"$log" 2>&1 || true
  command -v systemctl >/dev/null || return 0
  "${as_root[@]}" systemctl --quiet disable "$1" >>"$log" 2>&1 || true
}
install || { "${as_root[@]}" apt-get -o DPkg::Lock::Timeout=300 update >>"$log" 2>&1; install; } || { tail -20 "$log" >&2; exit 1; }
for service in etcd nginx; do stop_service "$service"; done
