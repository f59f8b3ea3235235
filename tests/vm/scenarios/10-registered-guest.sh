# shellcheck shell=bash
# A guest whose CID is in a VM record calls its host over real AF_VSOCK, without a word of configuration in the guest.
# The host knows it by its record's name, and the service comes up because somebody called.
daemon_fresh web1=42
on_host systemctl is-active hostcalld.socket
expect_status 0

guest_boot web1 42
in_guest web1 hostcall whoami
expect_status 0
expect_stdout '\bweb1\b'
in_guest web1 hostcall whoami --json
expect_status 0
expect_json '.vmName == "web1"'
in_guest web1 hostcall info
expect_status 0
expect_stdout '\bvmhost\b'
in_guest web1 hostcall ping -c 3
expect_status 0

on_host systemctl is-active hostcalld.socket hostcalld.service
expect_status 0
on_host hostcallctl vm list
expect_status 0
expect_stdout '\bweb1\b'
# Under the shipped sandbox, with the shipped configuration, there is nothing to complain about.
on_host daemon_journal -o json
expect_json '.MESSAGE | test("started")'
on_host daemon_journal -p warning
expect_no_stdout
