# shellcheck shell=bash disable=SC2154,SC2034 # shares variables with host/guest.sh
# A CID is given to another VM, or to another guest of the same VM: nobody is mistaken for its previous owner. Heartbeats
# are off, because they would end a connection whose guest has gone before anybody could misuse it.
daemon_fresh web1=42
daemon_config '"timeouts": {"heartbeat_ms": 0}'
policy_allow web1 hostcall.v1.Diagnostics/Echo
policy_allow db1 hostcall.v1.Diagnostics/Echo

# open_call GUEST VM: opens a session with a call that runs for a minute.
open_call() {
  guest_background "$1" echo hostcall --timeout 1h call hostcall.v1.Diagnostics/Echo '{"delayMs": 60000}'
  wait_until vm_is "$2" '.streams == 1'
}

# The record is replaced by another with the same CID while the guest still runs. Its program is stopped, so that the host
# ends the connection.
guest_boot old 42
open_call old web1
guest_signal old echo STOP
rm /etc/hostcall/vms.d/web1.json
vm_record db1 42
began=$EPOCHREALTIME
on_host systemctl reload hostcalld.service
expect_status 0
wait_until has_sessions web1 0
echo "record removed: its session ended after $(milliseconds_since "$began") ms, the reload included"
has_sessions db1 0 || fail "the session of web1 became one of db1"
guest_signal old echo CONT
guest_finish old echo
expect_status 125
expect_stdout 'the VM was removed or registered again'
# On a new connection, the new record identifies it.
in_guest old hostcall whoami --json
expect_status 0
expect_json '.vmName == "db1"'

# The guest dies, and another guest gets its CID.
open_call old db1
guest_kill old
# The kernel ends a guest's connections with its vhost device. Here the device is kept open, for the next case.
guest_vsock() {
  exec {vhost}<>/dev/vhost-vsock
  vsock_device=(-device "vhost-vsock-pci,guest-cid=$2,vhostfd=$vhost")
}
guest_boot next 42
in_guest next hostcall whoami --json
expect_status 0
expect_json '.vmName == "db1" and .bootId == "'"$boot_id"'"'
on_host hostcallctl session list --json
expect_json '[.sessions[].vm] == ["@admin"]'

# If a device gives up its CID while it runs, the kernel ends no connection: one survives until the CID has a new owner.
open_call next db1
session=$(sessions_of db1)
set_guest_cid=0x4008AF60
perl -e 'open(my $device, "+<&=", $ARGV[0]) or die "descriptor $ARGV[0]: $!";
  my $cid = pack("Q", $ARGV[2]);
  ioctl($device, hex $ARGV[1], $cid) or die "VHOST_VSOCK_SET_GUEST_CID: $!"' "$vhost" "$set_guest_cid" 4242
guest_boot last 42
! session_over db1 "$session" || fail "the connection did not survive: this shows nothing"
expect_superseded last db1 "$session" survived
# The pending call never gets an answer.
in_guest last hostcall whoami
expect_status 0
! guest_finished next echo || fail "the guest without a CID was answered"
on_host hostcallctl stats --json
expect_json '.counters | map({(.name): .value}) | add | .violations == "0"'
