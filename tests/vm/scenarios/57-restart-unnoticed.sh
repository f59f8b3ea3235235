# shellcheck shell=bash disable=SC2154,SC2016 # VM_TEST_DIR comes from elsewhere; perl's variables stand in single quotes
# Restarts the daemon by systemctl while a guest has connections with calls, watches, relays and programs: all of them go
# on in the next daemon, and nobody is told. systemd keeps what is handed over.
daemon_fresh web1=42
rounds=20
pings=20
watches=5
relays=5
programs=2
daemon_config '"limits": {"connections": 100, "connect_rate": 1000, "connect_burst": 1000}'
policy_file 10-restart.json <<'JSON'
{"rules": [
  {"vms": ["web1"], "calls": ["hostcall.v1.Run/Start", "hostcall.v1.Relay/Open"], "resources": ["**"], "action": "allow"}]}
JSON
mkdir -p /etc/hostcall/services.d
cat >/etc/hostcall/services.d/restart.json <<'JSON'
{"services": [
  {"name": "cat", "run": ["/bin/cat"], "concurrent_per_vm": 10},
  {"name": "echo", "socket": "unix:/run/hostcall-test/echo.sock", "concurrent_per_vm": 10}]}
JSON
mkdir -p /run/hostcall-test
perl -MIO::Socket::UNIX -e '
  my $listening = IO::Socket::UNIX->new(Local => "/run/hostcall-test/echo.sock", Listen => 10) or die "$!";
  chmod 0777, "/run/hostcall-test/echo.sock";
  while (my $peer = $listening->accept) {
    next if fork;
    while (sysread $peer, my $bytes, 65536) { syswrite $peer, $bytes }
    exit;
  }' &
server=$!
trap 'kill "$server"' EXIT
on_host systemctl restart hostcalld.service
expect_status 0

guest_boot web1 42
for ((i = 0; i < pings; i++)); do
  guest_background web1 "ping$i" hostcall --timeout 1h ping -c 100000 -i 2s
done
for ((i = 0; i < watches; i++)); do
  guest_background web1 "watch$i" hostcall --timeout 1h kv watch "/self/" --count "$rounds"
done
# Each says a number every now and then until it is told to stop, and hears it again.
talk='until [ -e /tmp/quiet ]; do echo "word $((n += 1))"; sleep 1; done'
for ((i = 0; i < programs; i++)); do
  guest_background web1 "run$i" sh -c "{ $talk; } | hostcall --timeout 1h run cat"
done
for ((i = 0; i < relays; i++)); do
  guest_background web1 "relay$i" sh -c "{ $talk; } | hostcall --timeout 1h connect echo"
done
for ((i = 0; i < pings; i++)); do wait_until guest_said web1 "ping$i" '^reply' 1; done
for ((i = 0; i < programs; i++)); do wait_until guest_said web1 "run$i" '^word' 1; done
for ((i = 0; i < relays; i++)); do wait_until guest_said web1 "relay$i" '^word' 1; done
all=$((pings + watches + programs + relays))
wait_until has_sessions web1 "$all"
before=$(sessions_of web1)

for ((round = 1; round <= rounds; round++)); do
  on_host hostcallctl kv put /round "$round" --vm web1
  expect_status 0
  on_host systemctl restart hostcalld.service
  expect_status 0
done
wait_until guest_said web1 ping0 '^reply' 3

# --- the same sessions, and nothing lost
for ((i = 0; i < watches; i++)); do
  guest_finish web1 "watch$i"
  expect_status 0
  [ "$(grep -c 'put /self/round' "$VM_TEST_DIR/stdout")" = "$rounds" ] || fail "watch $i lost or repeated a change"
done
after=$(sessions_of web1) # the watches have ended by themselves
[ "$(wc -w <<<"$after")" = $((all - watches)) ] || fail 'a connection was broken'
for session in $after; do
  grep -qx "$session" <<<"$before" || fail 'a client has connected again'
done
for ((i = 0; i < pings; i++)); do
  guest_interrupt web1 "ping$i"
  guest_finish web1 "ping$i"
  expect_status 0
  expect_pings_answered
done
in_guest web1 touch /tmp/quiet
for job in run{0..1} relay{0..4}; do
  guest_finish web1 "$job"
  expect_status 0
  awk '/^word/ && $2 != ++n { exit 1 } END { exit n < 3 }' "$VM_TEST_DIR/stdout" || fail "$job lost or repeated a word"
done
daemon_journal | grep -F 'of silence' | tail -n 3
on_host daemon_journal -p warning
expect_no_stdout
