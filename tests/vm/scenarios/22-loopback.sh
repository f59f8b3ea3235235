# shellcheck shell=bash
# A process on the host that connects over vsock loopback is not a guest, whoever runs it, and is told so.
modprobe vsock_loopback
daemon_fresh web1=42
words='a process of the host itself (CID 1, loopback) is not a guest; use hostcallctl, or a Unix listener of a VM'

on_host hostcall --address vsock:1:18499 whoami
expect_status 126
expect_no_stdout
expect_stderr '^hostcall: PERMISSION_DENIED: '
expect_said "$words"
on_host daemon_journal -o json HOSTCALL_VM=@unknown
expect_json "(.MESSAGE | endswith($(in_json "$words"))) and (.HOSTCALL_PEER | test(\"^vsock:1:[0-9]{4,}\$\"))"

# A daemon that has reported a refusal only counts equal ones.
daemon_fresh web1=42
on_host hostcall --address vsock:1:18499 --json --privileged-port whoami
expect_status 126
expect_no_stdout
expect_said "$words"

on_host daemon_journal -o json HOSTCALL_VM=@unknown
expect_json '.HOSTCALL_PEER | test("^vsock:1:[5-9][0-9]{2}$|^vsock:1:10[012][0-9]$")'

# A record can't change that: CID 1 belongs to no VM.
on_host hostcallctl vm add trick --cid 1
expect_status 2
vm_record trick 1
on_host hostcallctl policy reload
expect_status 1
expect_said /etc/hostcall/vms.d/trick.json:1
