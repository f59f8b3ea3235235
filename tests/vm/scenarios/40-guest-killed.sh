# shellcheck shell=bash disable=SC2154 # "boot_id" comes from host/guest.sh
# A guest whose VMM is killed during a call can't close its connections. Its sessions still end, their charges are
# released, and the VM can boot again at once.
daemon_fresh web1=42
policy_allow web1 hostcall.v1.Diagnostics/Echo

guest_boot web1 42
killed_boot=$boot_id
guest_background web1 ping hostcall --timeout 1h ping -c 100000 -i 100ms
guest_background web1 echo hostcall --timeout 1h call hostcall.v1.Diagnostics/Echo '{"payload": "aGVsbG8=", "delayMs": 60000}'
wait_until vm_is web1 '.connections == 2 and .streams >= 1 and (.memoryBytes | tonumber) > 0'
on_host hostcallctl session list --vm web1
expect_status 0

guest_kill web1
killed=$EPOCHREALTIME
wait_until has_sessions web1 0
echo "the sessions of the killed guest ended after $(milliseconds_since "$killed") ms"
on_host hostcallctl vm show web1 --json
expect_json '.vm | .connections == 0 and .streams == 0 and .memoryBytes == "0"'
on_host hostcallctl stats --json
expect_json '.counters | map({(.name): .value}) | add | .connections_open == "1"' # this question's own

guest_boot web1 42
[ "$boot_id" != "$killed_boot" ] || fail "the new boot has the boot id of the killed one"
in_guest web1 hostcall whoami --json
expect_status 0
expect_json '.vmName == "web1" and .bootId == "'"$boot_id"'"'
on_host daemon_journal -p warning
expect_no_stdout
