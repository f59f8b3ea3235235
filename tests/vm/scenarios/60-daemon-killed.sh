# shellcheck shell=bash
# kill -9 of the daemon while a guest calls: a call that was under way ends at once and says that its outcome is
# unknown, all others wait for the next daemon, none longer than its deadline. systemd starts that one, however often.
daemon_fresh web1=42
# A loop of programs connects more often than the default allows.
daemon_config '"limits": {"connect_rate": 1000, "connect_burst": 1000}'
policy_allow web1 hostcall.v1.Diagnostics/Echo

guest_boot web1 42
guest_background web1 ping hostcall ping -c 100000 -i 500ms
guest_repeat web1 patient hostcall --timeout 20s whoami
guest_repeat web1 hasty hostcall --timeout 1s whoami
guest_background web1 echo hostcall --timeout 100s call hostcall.v1.Diagnostics/Echo '{"delayMs": 60000}'
wait_until 30 vm_is web1 '.streams >= 1'

on_host systemctl kill --signal=KILL hostcalld.service
killed=$EPOCHREALTIME
guest_finish web1 echo 30
echo "the call under way ended after $(milliseconds_since "$killed") ms"
expect_status 125
expect_stdout 'outcome is unknown'
[ "$(milliseconds_since "$killed")" -le 10000 ] || fail "a call whose daemon was killed went on for too long"

rounds=5
for ((round = 2; round <= rounds; round++)); do
  wait_until 30 vm_is web1 '(.calls | tonumber) >= 5' # counted since the start
  on_host systemctl kill --signal=KILL hostcalld.service
  expect_status 0
done
wait_until 30 vm_is web1 '(.calls | tonumber) >= 5'
on_host systemctl show -p NRestarts --value hostcalld.service
expect_stdout "^$rounds\$"
on_host systemctl is-active hostcalld.socket hostcalld.service
expect_status 0

# Only a call that was under way may have failed, and its words say what is known of it.
guest_enough web1 patient
echo "patient calls during $rounds kills: $(<"$VM_TEST_DIR/stdout")"
expect_json '.["0"] >= 5 and .longestMs <= 20000 and (.["125"] // 0) <= '"$rounds"
in_guest web1 grep -Ev '^0 |^125 .*outcome is unknown' /tmp/patient.log
expect_no_stdout
guest_enough web1 hasty
echo "hasty calls: $(<"$VM_TEST_DIR/stdout")"
expect_json '.["0"] >= 5 and .["124"] >= 1 and .longestMs <= 6000' # emulated, a program takes a second to start
in_guest web1 grep -Ev '^0 |^124 |^125 .*outcome is unknown' /tmp/hasty.log
expect_no_stdout
# One client all the time; what it lost, it says.
guest_interrupt web1 ping
guest_finish web1 ping 10
expect_status 0
lost=$(grep -c '^no reply' "$VM_TEST_DIR/stdout" || true)
echo "pings lost: $lost"
[ "$lost" -le "$rounds" ] || fail "$lost pings were lost in $rounds kills"

# A daemon that hangs: connections stand, and nothing answers.
on_host systemctl kill --signal=STOP hostcalld.service
expect_status 0
began=$EPOCHREALTIME
in_guest web1 hostcall --timeout 2s whoami
passed=$(milliseconds_since "$began")
expect_status 124
[ "$passed" -le 7000 ] || fail "a call with 2 s to go took $passed ms"
on_host systemctl kill --signal=CONT hostcalld.service
expect_status 0
in_guest web1 hostcall whoami
expect_status 0
