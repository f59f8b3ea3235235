# shellcheck shell=bash disable=SC2154 # VM_TEST_DIR comes from elsewhere
# Calls that hostcalld, in its sandbox, routes to a stock Go server of another user. The VM is one with a Unix socket, because
# guests add nothing here.
inventory=$(dirname "$here")/inventory
[ -e "$inventory/server" ] || skip "the build has no Go server; run the interop tests first"
daemon_fresh
id inventory >/dev/null 2>&1 || useradd --no-create-home --system inventory
printf '{"vms": [{"name": "web-1", "uuid": "6ab3c9a2-0c7e-4a55-9d0f-0a7c5a1d2e3f", "unix_path": "/run/hostcall/web.sock"}]}\n' \
  >/etc/hostcall/vms.d/web.json
policy_file 10-routed.json <<'JSON'
{"rules": [{"vms": ["web-1"], "calls": ["acme.v1.Inventory/Wait"], "action": "deny"},
           {"vms": ["web-1"], "calls": ["acme.v1.Inventory/*"], "action": "allow"}]}
JSON
install -D -m 644 "$inventory/inventory.pb" /usr/share/acme/inventory.pb
mkdir -p /etc/hostcall/services.d
cat >/etc/hostcall/services.d/test.json <<'JSON'
{"service": "acme.v1.Inventory", "ttrpc": "unix:/run/acme/server.sock", "descriptors": "/usr/share/acme/inventory.pb"}
JSON
install -d -m 755 -o inventory /run/acme
on_host systemctl restart hostcalld.service
expect_status 0

# call METHOD [JSON]
call() { on_host hostcall --address unix:/run/hostcall/web.sock call "acme.v1.Inventory/$1" "${@:2}"; }
serve() {
  rm -f /run/acme/server.sock
  (umask 0 && exec setpriv --reuid=inventory --regid=inventory --clear-groups "$inventory/server" /run/acme/server.sock) &
  server=$!
  wait_until test -S /run/acme/server.sock
}

# --- without the server
call Show
expect_stderr 'UNAVAILABLE.*No such file or directory'

# --- with it
serve
call Show '{"payload": "aGk="}'
expect_status 0
for line in '"payload": "aGk="' hostcall-vm=web-1 hostcall-vm-uuid=6ab3c9a2-0c7e-4a55-9d0f-0a7c5a1d2e3f hostcall-evidence=unix; do
  expect_stdout "$line"
done
call Fail
expect_stderr 'OUT_OF_RANGE: no such shelf'
call Wait
expect_stderr PERMISSION_DENIED
on_host hostcall --address unix:/run/hostcall/web.sock services
expect_stdout '^acme.v1.Inventory/Show '
expect_not_said Inventory/Wait
on_host hostcall --address unix:/run/hostcall/web.sock describe acme.v1.Inventory/Show
expect_stdout 'int64 left_nano'

# --- it goes away, and comes again
kill "$server"
wait "$server" || true
call Show
expect_stderr 'UNAVAILABLE.*Connection refused'
serve
call Show
expect_status 0
on_host hostcallctl service list
expect_stdout '^acme.v1.Inventory +server '
on_host journalctl -u hostcalld.service -o cat HOSTCALL_CALL=acme.v1.Inventory/Show
expect_stdout 'called acme.v1.Inventory/Show: OK'
kill "$server"
wait "$server" || true
