# shellcheck shell=bash
# A guest whose CID nobody has registered is refused, with words that tell what to do, on both sides.
daemon_fresh web1=42

guest_boot stranger 77
in_guest stranger hostcall whoami
expect_status 126
expect_stderr 'hostcallctl vm add'

on_host systemctl is-active hostcalld.service
expect_status 0
on_host daemon_journal -o json
expect_json '(.HOSTCALL_PEER | test("\\b77\\b")) and (.MESSAGE | test("hostcallctl vm add"))'
