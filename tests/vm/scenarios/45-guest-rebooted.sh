# shellcheck shell=bash
# A guest that reboots in the same QEMU: vhost-vsock does not reset the host's side of its connections, so the daemon has
# to find out that their other ends are gone. The same holds for a VMM that hangs.
daemon_fresh web1=42
guest_boot web1 42

# Opens an idle session and leaves its id in $session.
idle_session() {
  guest_background web1 idle hostcall --timeout 1h ping -c 2 -i 1000s
  wait_until has_sessions web1 1
  session=$(sessions_of web1)
}
heartbeat_ms() {
  daemon_config '"timeouts": {"heartbeat_ms": '"$1"'}'
  on_host systemctl reload hostcalld.service
  expect_status 0
}

# Rebooted and silent: heartbeats end the session, with the shipped times.
idle_session
began=$EPOCHREALTIME
guest_reboot web1
wait_until session_over web1 "$session"
echo "rebooted and silent: the old session ended after $(milliseconds_since "$began") ms"

# Running but frozen: three heartbeats have to be lost, which takes four intervals.
heartbeat_ms 5000
idle_session
guest_freeze web1
began=$EPOCHREALTIME
wait_until session_over web1 "$session"
echo "frozen, a heartbeat every 5 s: the session ended after $(milliseconds_since "$began") ms"
on_host hostcallctl stats --json
expect_json '.counters | map({(.name): .value}) | add | .heartbeats_lost | tonumber >= 1'
guest_thaw web1
in_guest web1 hostcall whoami
expect_status 0

# Rebooted and calling, without heartbeats: the new boot id ends older sessions at once.
heartbeat_ms 0
idle_session
guest_reboot web1
! session_over web1 "$session" || fail "the host's side of the connection was gone already: this shows nothing"
expect_superseded web1 web1 "$session" 'rebooted and calling'
