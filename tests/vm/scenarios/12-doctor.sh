# shellcheck shell=bash
# The doctors on both sides find no fault where there is none; where there is one, they name it and its remedy.
# --- before the first call: the socket exists, the daemon does not run
daemon_fresh web1=42
on_host hostcallctl doctor --json
expect_status 1
expect_json '.findings[] | select(.check == "unit.hostcalld.socket") | .state == "ok"'
expect_json '.findings[] | select(.check == "daemon") | .state == "fail" and (.advice | test("systemctl start hostcalld"))'

# --- with a guest: no findings
guest_boot web1 42
in_guest web1 hostcall doctor
expect_status 0
expect_stdout '^ok    vsock.device: virtio[0-9]+ is a virtio vsock device with a driver$'
expect_stdout '^ok    connection: hostcalld [0-9.]+ answers after '
expect_stdout '^ok    identity: the host knows this VM as web1, by cid$'
in_guest web1 hostcall doctor --json
expect_status 0
# Nothing corrects the guest's clock, and the host VM's is emulated: a second of difference is no failure.
expect_json '.healthy and all(.findings[]; .state == "ok" or (.check == "clock" and .state == "warn"))'

on_host hostcallctl doctor
expect_status 0
expect_stdout '^ok    vms: 1 VM record$'
expect_stdout '^ok    vsock.module: vhost_vsock is loaded$'
expect_stdout '^ok    vsock.device: /dev/vhost-vsock has mode 0660, group '
on_host hostcallctl doctor --json
expect_status 0
expect_json '.healthy and all(.findings[]; .state == "ok") and (.findings | length) >= 9'
on_host hostcallctl doctor -q
expect_status 0
expect_no_stdout

# --- a socket that does not listen: the guest is told where to look for the cause
on_host systemctl stop hostcalld.socket hostcalld.service
expect_status 0
in_guest web1 hostcall doctor --timeout 10s
expect_status 1
expect_stdout '^fail  connection: '
expect_said 'hostcallctl doctor'
on_host hostcallctl doctor -q
expect_status 1
expect_stdout '^fail  daemon: '
expect_stdout '^warn  unit.hostcalld.socket: inactive'
