# shellcheck shell=bash
# Two guests at once under different rules, which an administrator has put before the shipped ones and changes while both
# guests run. Guest, journal and `hostcallctl policy explain` agree; one guest's denials do not affect the other.
echo_call=hostcall.v1.Diagnostics/Echo metrics=hostcall.v1.Host/Metrics

# allowed GUEST CALL, denied GUEST CALL RULE: checks it in the guest and with policy explain on the host.
allowed() {
  on_host hostcallctl policy explain --vm "$1" --call "$2"
  expect_status 0
  in_guest "$1" hostcall call "$2"
  expect_status 0
}
denied() {
  local words
  on_host hostcallctl policy explain --vm "$1" --call "$2"
  expect_status 126
  expect_stdout "^VM \"$1\": $2 is denied by $3[;]"
  words=$(<"$VM_TEST_DIR/stdout")
  in_guest "$1" hostcall call "$2"
  expect_status 126
  expect_no_stdout
  expect_said "hostcall: PERMISSION_DENIED: ${words/"$3"/"${3##*/}"}"
  on_host daemon_journal -o json "HOSTCALL_VM=$1" "HOSTCALL_CALL=$2"
  expect_json ".MESSAGE == $(in_json "$words (see hostcallctl policy explain)") and .HOSTCALL_RULE == \"$3\""
}

daemon_fresh
vm_record web1 42 web
vm_record db1 43
policy_file 10-local.json <<'EOT'
{"rules": [
  {"vms": ["tag:web"], "calls": ["hostcall.v1.Diagnostics/Echo"], "action": "allow"},
  {"vms": ["web1"], "calls": ["hostcall.v1.Host/Metrics"], "action": "deny"}
]}
EOT
local_file=/etc/hostcall/policy.d/10-local.json
guest_start web1 42
guest_start db1 43
guest_ready web1
guest_ready db1

# --- each guest follows its own rules while the other works
guest_background web1 ping hostcall --timeout 10m ping -c 100000 -i 200ms
wait_until has_sessions web1 1
allowed web1 "$echo_call"
denied web1 "$metrics" "$local_file:3"
allowed db1 "$metrics"
denied db1 "$echo_call" "$(default_rule "$echo_call")"
in_guest web1 hostcall services -q
expect_said "$echo_call"
expect_not_said "$metrics"
in_guest db1 hostcall services -q
expect_not_said "$echo_call"
expect_said "$metrics"

# --- a reload swaps the rules, also for open connections
guest_background db1 ping hostcall --timeout 10m ping -q -c 100000 -i 200ms
wait_until has_sessions db1 1
policy_file 10-local.json <<'EOT'
{"rules": [
  // Turned round, and by name.
  {"vms": ["db1"], "calls": ["hostcall.v1.Diagnostics/Echo"], "action": "allow"},
  {"vms": ["db1"], "calls": ["hostcall.v1.Session/Ping"], "action": "deny"},
  {"vms": ["db1"], "calls": ["hostcall.v1.Host/Metrics"], "action": "deny"}
]}
EOT
on_host hostcallctl policy reload
expect_status 0
expect_stdout '^2 VMs, [0-9]+ rules and [0-9]+ services? in force$'
guest_finish db1 ping
expect_status 126
expect_said "hostcall.v1.Session/Ping is denied by ${local_file##*/}:4; "
allowed db1 "$echo_call"
denied db1 "$metrics" "$local_file:5"
allowed web1 "$metrics"
denied web1 "$echo_call" "$(default_rule "$echo_call")"

# --- a broken file changes nothing; the error names file and line
policy_file 10-local.json <<'EOT'
{"rules": [
  {"vms": ["*"], "calls": ["*"], "action": "allow"},
  {"vms": ["web1"], "calls": ["hostcall.v1.Host/Metrics"], "action": "denied"}
]}
EOT
reason="$local_file:3: action: \"denied\" is not an action; write allow or deny"
on_host hostcallctl policy check
expect_status 1
expect_said "$reason"
on_host hostcallctl policy reload
expect_status 1
expect_said "$reason"
on_host systemctl reload hostcalld.service
failed_reloads() { daemon_journal -o cat -p err | grep -cFx "reload failed, the old configuration stays in force: $reason"; }
failed_twice() { [ "$(failed_reloads)" = 2 ]; }
wait_until failed_twice
allowed db1 "$echo_call"
denied web1 "$echo_call" "$(default_rule "$echo_call")"

# --- the ping that ran on web1 all the time lost nothing
guest_interrupt web1 ping
guest_finish web1 ping
expect_status 0
expect_pings_answered
