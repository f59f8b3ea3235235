# shellcheck shell=bash
# A guest whose CID is in a VM record calls its host over real AF_VSOCK, without any configuration in the guest. The host
# knows it by its record's name. The first call starts the service, in its full sandbox.
daemon_fresh web1=42
on_host systemctl is-active hostcalld.socket
expect_status 0
guest_boot web1 42
on_host systemctl show -p ActiveState --value hostcalld.service
expect_stdout '^inactive$'

in_guest web1 hostcall whoami
expect_status 0
expect_stdout '\bweb1\b'
on_host systemctl is-active hostcalld.socket hostcalld.service
expect_status 0
on_host systemctl show -p TriggeredBy --value hostcalld.service
expect_stdout '\bhostcalld\.socket\b'

in_guest web1 hostcall whoami --json
expect_status 0
expect_json '.vmName == "web1" and .evidence == "cid" and .cid == 42 and .port >= 1024'
in_guest web1 hostcall info
expect_status 0
expect_stdout '\bvmhost\b'
in_guest web1 hostcall ping -c 3
expect_status 0
on_host hostcallctl vm list
expect_status 0
expect_stdout '\bweb1\b'

# The running process as the kernel sees it, whatever the unit file says.
daemon=$(daemon_process)
user=$(id -u hostcall) group=$(id -g hostcall)
on_host cat "/proc/$daemon/status"
expect_stdout "^Uid:	$user	$user	$user	$user$"
expect_stdout "^Gid:	$group	$group	$group	$group$"
expect_stdout '^NoNewPrivs:	1$'
expect_stdout '^Seccomp:	2$'
for capabilities in CapInh CapPrm CapEff CapBnd CapAmb; do
  expect_stdout "^$capabilities:	0000000000000000$"
done
# Its own view of the file system: the system's is read-only, and devices are hidden, also /dev/vsock and /dev/vhost-vsock.
on_host grep ' / / ' "/proc/$daemon/mountinfo"
expect_stdout ' / / ro,'
on_host ls "/proc/$daemon/root/dev"
expect_stdout '^null$'
expect_not_said vsock
expect_not_said kvm
# The sandbox as systemd reports it.
for setting in User=hostcall ProtectSystem=strict PrivateDevices=yes DevicePolicy=closed MemoryDenyWriteExecute=yes \
  RestrictNamespaces=yes CapabilityBoundingSet= 'RestrictAddressFamilies=AF_UNIX AF_VSOCK' NRestarts=0; do
  on_host systemctl show -p "${setting%%=*}" hostcalld.service
  expect_stdout "^$setting$"
done

# The shipped configuration causes no warnings.
on_host daemon_journal -o json
expect_json '.MESSAGE | test("started")'
on_host daemon_journal -p warning
expect_no_stdout
