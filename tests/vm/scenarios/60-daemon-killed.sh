# shellcheck shell=bash
# kill -9 of the daemon while a guest calls: a running call ends at once and says that its outcome is unknown; all others
# wait for the next daemon, none longer than its deadline. systemd starts the daemon again, however often.
daemon_fresh web1=42
# A loop of programs connects more often than the default limit allows.
daemon_config '"limits": {"connect_rate": 1000, "connect_burst": 1000}'
policy_allow web1 hostcall.v1.Diagnostics/Echo

guest_boot web1 42
guest_background web1 ping hostcall --timeout 1h ping -c 100000 -i 500ms
guest_repeat web1 patient hostcall --timeout 10m whoami
guest_repeat web1 hasty hostcall --timeout 1s whoami
guest_background web1 echo hostcall --timeout 1h call hostcall.v1.Diagnostics/Echo '{"payload": "aGVsbG8=", "delayMs": 60000}'
wait_until vm_is web1 '(.memoryBytes | tonumber) > 0' # which only this call holds

on_host systemctl kill --signal=KILL hostcalld.service
killed=$EPOCHREALTIME
guest_finish web1 echo
echo "the call under way ended after $(milliseconds_since "$killed") ms"
expect_status 125 # and not 124, as at its deadline
expect_stdout 'outcome is unknown'

rounds=5
for ((round = 2; round <= rounds; round++)); do
  wait_until vm_is web1 '(.calls | tonumber) >= 5' # counted since the start
  on_host systemctl kill --signal=KILL hostcalld.service
  expect_status 0
done
wait_until vm_is web1 '(.calls | tonumber) >= 5'
on_host systemctl show -p NRestarts --value hostcalld.service
expect_stdout "^$rounds\$"
on_host systemctl is-active hostcalld.socket hostcalld.service
expect_status 0

# Only a running call may have failed, and its error says what is known about it.
wait_until guest_said web1 patient '^0 ' 5
guest_enough web1 patient
echo "patient calls during $rounds kills: $(<"$VM_TEST_DIR/stdout")"
expect_json '(.["125"] // 0) <= '"$rounds"
in_guest web1 grep -Ev '^0 |^125 .*the request had been sent' /tmp/patient.log
expect_no_stdout
# systemd starts the next daemon after 2 s, which is longer than these calls wait.
guest_enough web1 hasty
echo "hasty calls: $(<"$VM_TEST_DIR/stdout")"
expect_json '.["124"] >= 1'
in_guest web1 grep -Ev '^0 |^124 |^125 .*the request had been sent' /tmp/hasty.log
expect_no_stdout
# One client all the time, which reports what it lost. A ping that ended by its own 5 s says that the machine is slow.
guest_interrupt web1 ping
guest_finish web1 ping
expect_status 0
lost=$(grep '^no reply' "$VM_TEST_DIR/stdout" | grep -vc DEADLINE_EXCEEDED || true)
echo "pings lost: $lost"
[ "$lost" -le "$rounds" ] || fail "$lost pings were lost in $rounds kills"

# A daemon that hangs: connections stay open, and nothing answers. A call ends at its deadline, before an earlier call that
# has more time.
on_host systemctl service-watchdogs no
on_host systemctl kill --signal=STOP hostcalld.service
expect_status 0
guest_background web1 waiting hostcall --timeout 10m whoami
in_guest web1 hostcall --timeout 2s whoami
expect_status 124
! guest_finished web1 waiting || fail "a call with ten minutes to go has ended"
on_host systemctl kill --signal=CONT hostcalld.service
expect_status 0
guest_finish web1 waiting
expect_status 0
in_guest web1 hostcall whoami
expect_status 0
on_host systemctl service-watchdogs yes
