# shellcheck shell=bash
# A VM that the administrator adds while the service runs: at once known, still known after a reload and a restart
# under the shipped sandbox, and a stranger again once it is removed.
daemon_fresh other=41
on_host systemctl start hostcalld.service
expect_status 0

guest_boot web1 42
in_guest web1 hostcall whoami
expect_status 126
on_host hostcallctl vm add web1 --cid 42 --tag web
expect_status 0
in_guest web1 hostcall whoami --json
expect_status 0
expect_json '.vmName == "web1" and .tags == ["web"]'

on_host systemctl reload hostcalld.service
expect_status 0
in_guest web1 hostcall whoami
expect_status 0
on_host systemctl restart hostcalld.service
expect_status 0
in_guest web1 hostcall whoami --json
expect_status 0
expect_json '.vmName == "web1" and .tags == ["web"]'

on_host hostcallctl doctor
expect_status 0
on_host hostcallctl vm remove web1
expect_status 0
in_guest web1 hostcall whoami
expect_status 126
expect_stderr 'hostcallctl vm add'

on_host systemctl stop hostcalld.service
expect_status 0
on_host systemctl show -p Result --value hostcalld.service
expect_stdout '^success$'
