# shellcheck shell=bash disable=SC2154 # "here" comes from ../host/scenario
# Guests without vhost-vsock, such as Firecracker's: the calls of each guest arrive at its own Unix socket, whose path
# identifies it. The guests see no difference: they connect to the same address with the same program.
command -v vhost-device-vsock >/dev/null || skip 'vhost-device-vsock is not installed; Debian has it since forky'
. "$here/../machine/hybrid.sh"

hybrid_vm fc1 "$(id -u)"
hybrid_vm fc2 4321 # not the user of its VMM
hybrid_daemon
guest_start fc1 52
guest_start fc2 53
guest_ready fc1
guest_ready fc2

in_guest fc1 hostcall whoami
expect_status 0
expect_stdout '\bfc1\b'
in_guest fc1 hostcall whoami --json
expect_status 0
expect_json '.vmName == "fc1"'
in_guest fc1 hostcall ping -c 3
expect_status 0
in_guest fc1 hostcall doctor
expect_status 0

in_guest fc2 hostcall whoami
expect_status 126
expect_stderr '"fc2" requires uid 4321'
on_host grep -F '"fc2" requires uid 4321' "$hybrid_dir/journal"
expect_status 0

# After a crash, the daemon's socket file is still there. A new daemon takes it over, and the guest does not notice.
hybrid_daemon_kill
in_guest fc1 hostcall --timeout 10 whoami
expect_status 124
expect_stderr 'did not answer'
hybrid_daemon
in_guest fc1 hostcall whoami
expect_status 0
expect_stdout '\bfc1\b'
