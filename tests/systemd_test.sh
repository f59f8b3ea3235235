#!/bin/sh
# The shipped systemd files, as systemd itself judges them: units without complaint, exposure of the services at most 1.5 (of
# hostcall-runner 0.8), users and directories that can be made, message explanations that can be compiled.
#
# systemd_test.sh SERVICE GUEST-SERVICE TMPFILES SYSUSERS CATALOG RUNNER-SERVICE CONNECT-SERVICE SOCKET...: the files as they
# are installed. Exit code 77: no systemd-analyze.
set -eu
command -v systemd-analyze >/dev/null || exit 77

service=$1 guest_service=$2 tmpfiles=$3 sysusers=$4 catalog=$5 runner=$6 connect=$7
shift 7
root=$(mktemp -d)
trap 'rm -rf "$root"' EXIT
failed=0
fail() {
  echo "FAILED: $*"
  failed=1
}

# A host with our units and the guest's, the units of systemd that they name, and stand-ins for the programs.
units=$root/usr/lib/systemd/system
mkdir -p "$units" "$root/usr/bin" "$root/usr/sbin" "$root/etc"
for name in bin sbin lib; do ln -s "usr/$name" "$root/$name"; done
cp "$service" "$guest_service" "$runner" "$connect" "$@" "$units"
printf '[Unit]\nDescription=Stand-in\n' >"$root/stand-in"
for target in basic sysinit sockets timers shutdown multi-user; do cp "$root/stand-in" "$units/$target.target"; done
printf '[Service]\nExecStart=/usr/bin/kill\n' >"$units/modprobe@.service"
printf '[Socket]\nListenStream=/run/bus\n' >"$units/dbus.socket"
cp "$units/modprobe@.service" "$units/dbus.service"
for program in $(sed -n 's/^Exec[A-Za-z]*=\([^ ]*\).*/\1/p' "$service" "$guest_service" "$runner" "$@") /usr/bin/kill; do
  mkdir -p "$root$(dirname "$program")"
  echo '#!/bin/sh' >"$root$program"
  chmod +x "$root$program"
done

verify() {
  echo "== systemd-analyze verify $*"
  # It exits with 0 after mere warnings, so what it says counts as well.
  complaints=$(systemd-analyze verify --man=no --recursive-errors=yes --root="$root" "$@" 2>&1) || fail "verify $*"
  if [ -n "$complaints" ]; then
    echo "$complaints"
    fail "verify $* complains"
  fi
}
verify hostcalld.service
verify hostcalld.socket
verify hostcall-online.service
verify hostcall-runner.socket hostcall-runner.service
verify hostcall-connect.socket hostcall-connect.service
verify hostcall-run.slice
verify hostcall-metrics.socket hostcall-metrics.service
verify hostcall-textfile.timer hostcall-textfile.service

# judge UNIT TENTHS
judge() {
  echo "== systemd-analyze security $1 (threshold $2 tenths)"
  systemd-analyze security --no-pager --offline=yes --threshold="$2" --root="$root" "$1" >"$root/security" 2>&1 ||
    fail "$1 is more exposed than $2 tenths"
  grep -v '✓' "$root/security" || true
}
judge hostcalld.service 15
judge hostcall-online.service 15
judge hostcall-runner.service 8
judge hostcall-metrics.service 8
# It is root, for the admin socket and the directory of node_exporter.
judge hostcall-textfile.service 20
# It has a network, which is its job.
judge hostcall-connect.service 11

echo "== systemd-sysusers"
mkdir -p "$root/usr/lib/sysusers.d" "$root/usr/lib/tmpfiles.d"
cp "$sysusers" "$root/usr/lib/sysusers.d/hostcall.conf"
systemd-sysusers --root="$root" hostcall.conf || fail "sysusers"
for name in hostcall hostcall-connect; do
  grep "^$name:" "$root/etc/passwd" "$root/etc/group" || fail "sysusers made no user and group $name"
done

echo "== systemd-tmpfiles"
cp "$tmpfiles" "$root/usr/lib/tmpfiles.d/hostcall.conf"
systemd-tmpfiles --root="$root" --create hostcall.conf || fail "tmpfiles"
uid=$(sed -n 's/^hostcall:[^:]*:\([0-9]*\):.*/\1/p' "$root/etc/passwd")
# Owners can be given by root only.
if [ "$(id -u)" = 0 ]; then
  for expected in "755 $uid /run/hostcall" "700 $uid /var/lib/hostcall"; do
    path=${expected##* }
    found=$(stat -c '%a %u' "$root$path")
    [ "$found $path" = "$expected" ] || fail "$path: mode and owner are $found, not ${expected% *}"
  done
fi

echo "== journalctl --update-catalog"
mkdir -p "$root/usr/lib/systemd/catalog" "$root/var/lib/systemd/catalog"
cp "$catalog" "$root/usr/lib/systemd/catalog/hostcall.catalog"
complaints=$(journalctl --update-catalog --root="$root" 2>&1) || fail "catalogue"
[ -z "$complaints" ] || fail "the catalogue: $complaints"
ids=$(grep -c '^-- ' "$catalog")
listed=$(journalctl --root="$root" --list-catalog --no-pager | wc -l)
echo "$listed of $ids messages explained"
[ "$listed" = "$ids" ] || fail "not all messages are explained"

exit "$failed"
