# shellcheck shell=bash
# systemctl restart of the daemon while a guest calls without a pause: no call fails, because systemd holds the port,
# calls under way get their answers before the daemon goes, and clients that stay connect again by themselves.
daemon_fresh web1=42
# A loop of programs connects more often than the default allows.
daemon_config '"limits": {"connect_rate": 1000, "connect_burst": 1000}'
policy_allow web1 hostcall.v1.Diagnostics/Echo

guest_boot web1 42
guest_repeat web1 calls hostcall --timeout 10m whoami

# The first restart waits for a call under way, and all who call meanwhile wait for the restart. Only this call holds memory; a
# machine that is so slow that it has ended before it was seen begins it again.
call_slowly() {
  guest_background web1 echo hostcall call hostcall.v1.Diagnostics/Echo '{"payload": "aGVsbG8=", "delayMs": 6000}'
}
is_under_way() {
  ! guest_finished web1 echo || call_slowly
  vm_is web1 '(.memoryBytes | tonumber) > 0'
}
call_slowly
wait_until is_under_way
on_host systemctl restart hostcalld.service
expect_status 0
guest_finish web1 echo
expect_status 0
expect_stdout '"aGVsbG8="'

# One client that stays, too.
guest_background web1 ping hostcall ping -c 100000 -i 500ms
rounds=5
for ((round = 1; round <= rounds; round++)); do
  wait_until vm_is web1 '(.calls | tonumber) >= 5' # counted since the start
  on_host systemctl restart hostcalld.service
  expect_status 0
done
wait_until vm_is web1 '(.calls | tonumber) >= 5'

wait_until guest_said web1 calls '^0 ' 10
guest_enough web1 calls
echo "calls during the restarts: $(<"$VM_TEST_DIR/stdout")"
expect_json 'keys == ["0", "longestMs"]'
wait_until guest_said web1 ping '^reply' 1
wait_until guest_said web1 ping '^reply' $(($(<"$VM_TEST_DIR/stdout") + 2)) # it has come back after the last restart, too
guest_interrupt web1 ping
guest_finish web1 ping
expect_status 0
expect_pings_answered

on_host systemctl is-active hostcalld.socket hostcalld.service
expect_status 0
on_host daemon_journal -p warning
expect_no_stdout

# A broken configuration: the service is tried until it is mended, and who has called meanwhile is served then.
echo '{' >/etc/hostcall/hostcalld.json
on_host systemctl restart hostcalld.service
expect_status 1
guest_background web1 early hostcall whoami
tried_again() { [ "$(systemctl show -p NRestarts --value hostcalld.service)" -ge 2 ]; }
wait_until tried_again
! guest_finished web1 early || fail "a call did not wait for the daemon"
daemon_config ''
guest_finish web1 early
expect_status 0
