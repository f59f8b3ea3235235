# shellcheck shell=bash
# A guest with an unregistered CID is refused; guest and host print the same remedy.
daemon_fresh web1=42
words='CID 77 is not registered with this host; on the host: hostcallctl vm add NAME --cid 77'

guest_boot stranger 77
in_guest stranger hostcall whoami
expect_status 126
expect_no_stdout
expect_stderr '^hostcall: PERMISSION_DENIED: '
expect_said "$words"
in_guest stranger hostcall --json info
expect_status 126
expect_no_stdout
expect_said "$words"
in_guest stranger hostcall doctor --json
expect_status 1
expect_json '.healthy == false and (.findings[] | select(.check == "connection") | .state == "fail")'
expect_said "$words"

on_host systemctl is-active hostcalld.service
expect_status 0
on_host daemon_journal -o json HOSTCALL_VM=@unknown
expect_json "(.MESSAGE | endswith($(in_json "$words"))) and (.HOSTCALL_PEER | test(\"^vsock:77:[0-9]+\$\"))
  and .HOSTCALL_LISTENER == \"vsock::18499\" and .PRIORITY == \"4\""
on_host daemon_journal -x HOSTCALL_VM=@unknown
expect_stdout 'Subject: A caller was refused'
# It has no session and is not listed as a VM.
on_host hostcallctl session list --json
expect_json '[.sessions[].vm] | unique == ["@admin"]'
on_host hostcallctl vm list --json
expect_json '[.vms[].record.name] == ["web1"]'
