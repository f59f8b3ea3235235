# shellcheck shell=bash disable=SC2154 # status comes from elsewhere
# Restarts the daemon by systemctl while a guest calls without a pause. No call fails: systemd holds the port, and the next
# daemon goes on with the connections.
daemon_fresh web1=42
# A loop of programs connects more often than the default limit allows.
daemon_config '"limits": {"connect_rate": 1000, "connect_burst": 1000}'
policy_allow web1 hostcall.v1.Diagnostics/Echo

guest_boot web1 42
guest_repeat web1 calls hostcall --timeout 10m whoami

# A call that takes long does not outlast the restart, and is told so. Only this call holds memory, which shows that it runs.
guest_background web1 echo hostcall --timeout 1h call hostcall.v1.Diagnostics/Echo '{"payload": "aGVsbG8=", "delayMs": 60000}'
wait_until vm_is web1 '(.memoryBytes | tonumber) > 0'
on_host systemctl restart hostcalld.service
expect_status 0
guest_finish web1 echo
[ "$status" != 0 ] || fail 'a call of a minute has outlasted the restart'
expect_said 'does not outlast it'

# A long-lived client, too.
guest_background web1 ping hostcall --timeout 1h ping -c 100000 -i 500ms
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

# A broken configuration: systemd retries the service until the file is repaired, and then waiting callers are served.
echo '{' >/etc/hostcall/hostcalld.json
on_host systemctl restart hostcalld.service
expect_status 1
guest_background web1 early hostcall --timeout 1h whoami
tried_again() { [ "$(systemctl show -p NRestarts --value hostcalld.service)" -ge 2 ]; }
wait_until tried_again
! guest_finished web1 early || fail "a call did not wait for the daemon"
daemon_config ''
guest_finish web1 early
expect_status 0
