# shellcheck shell=bash disable=SC2016 # jq stands in single quotes
# A VM that the administrator adds while the service runs is known at once, and still known after a reload and a restart
# under the shipped sandbox. Once removed, it is refused again, and its open connections end.
daemon_fresh other=41
# Without heartbeats, only the removal can end a session.
daemon_config '"log_level": "debug", "timeouts": {"heartbeat_ms": 0}'
on_host systemctl start hostcalld.service
expect_status 0

# whoami_as REGISTRATION-FILTER: checks that the guest is known as web1 and that its registration fulfils the filter.
whoami_as() {
  in_guest web1 hostcall whoami --json
  expect_status 0
  expect_json ".vmName == \"web1\" and .tags == [\"web\"] and (.registration | tonumber | $1)"
}

guest_boot web1 42
in_guest web1 hostcall whoami
expect_status 126
on_host hostcallctl vm add web1 --cid 42 --tag web
expect_status 0
whoami_as '. > 0'
first=$(jq -r .registration "$VM_TEST_DIR/stdout")

on_host systemctl reload hostcalld.service
expect_status 0
whoami_as ". == $first"
on_host systemctl restart hostcalld.service
expect_status 0
whoami_as ". == $first"
on_host hostcallctl doctor
expect_status 0

# --- removed while a connection is open: the connection ends at once, and its program learns why
guest_background web1 ping hostcall --timeout 10m ping -q -c 100000 -i 200ms
wait_until has_sessions web1 1
session=$(sessions_of web1)
on_host hostcallctl vm remove web1
expect_status 0
expect_stdout '\b1 of its sessions ended$'
wait_until session_over web1 "$session"
guest_finish web1 ping
expect_status 126
expect_said 'hostcall: PERMISSION_DENIED: CID 42 is not registered with this host'
daemon_journal -o json HOSTCALL_VM=web1 >"$VM_TEST_DIR/records"
on_host jq -s --arg closed "session $session of VM \"web1\" closed" '
  def when: ._SOURCE_REALTIME_TIMESTAMP | tonumber;
  (map(select(.MESSAGE | startswith($closed)) | when) | last) -
  (map(select(.MESSAGE == "VM \"web1\" removed") | when) | last)' "$VM_TEST_DIR/records"
echo "removed: the session ended $(<"$VM_TEST_DIR/stdout") us later"
expect_json '. >= 0'
in_guest web1 hostcall whoami
expect_status 126
expect_stderr 'hostcallctl vm add'

# --- added again: known at once, with a new registration number
on_host hostcallctl vm add web1 --cid 42 --tag web
expect_status 0
whoami_as ". > $first"
on_host hostcallctl vm remove web1
expect_status 0

on_host systemctl stop hostcalld.service
expect_status 0
on_host systemctl show -p Result --value hostcalld.service
expect_stdout '^success$'
