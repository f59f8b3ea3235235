# shellcheck shell=bash
# A rule that requires a source port below 1024 lets root in the guest call, and no other user.
metrics=hostcall.v1.Host/Metrics
policy_now() {
  policy_file 10-local.json <<'EOT'
{"rules": [
  {"vms": ["*"], "calls": ["hostcall.v1.Host/Metrics"], "require": ["privileged-port"], "action": "allow"},
  {"vms": ["*"], "calls": ["hostcall.v1.Host/Metrics"], "action": "deny"}
]}
EOT
}
# privileged_sessions NUMBER: whether web1 has this many sessions, each from its own port that only root can bind.
privileged_sessions() {
  hostcallctl session list --json --vm web1 |
    jq -e '[.sessions[].peer | capture("^vsock:42:(?<port>[0-9]+)$").port | tonumber] | length == '"$1"' and
      all(.[]; . < 1024) and (unique | length) == length'
}
daemon_fresh web1=42
policy_now
local_file=/etc/hostcall/policy.d/10-local.json
guest_boot web1 42

# --- from an ordinary port: denied, with the reason
missing_in() { echo "VM \"web1\": $metrics is denied by $1:3; $1:2 would allow it from a source port below 1024"; }
in_guest web1 hostcall info --metrics
expect_status 126
expect_said "$(missing_in 10-local.json) (as root of the VM: hostcall --privileged-port)"
on_host hostcallctl policy explain --vm web1 --call "$metrics"
expect_status 126
expect_said "$(missing_in "$local_file")"
in_guest web1 hostcall services -q
expect_not_said "$metrics"

# --- from a privileged one: allowed
in_guest web1 hostcall --privileged-port info --metrics
expect_status 0
in_guest web1 hostcall services -q --privileged-port
expect_said "$metrics"
in_guest web1 hostcall --privileged-port whoami --json
expect_json '.port >= 512 and .port < 1024'
on_host hostcallctl policy explain --vm web1 --call "$metrics" --privileged-port
expect_status 0

# --- several at once, each from its own port; a client whose connection is cut reconnects
guest_background web1 one hostcall --privileged-port --timeout 10m ping -q -c 100000 -i 100ms
guest_background web1 two hostcall --privileged-port --timeout 10m ping -q -c 100000 -i 100ms
wait_until privileged_sessions 2
in_guest web1 hostcall --privileged-port info --metrics
expect_status 0
wait_until privileged_sessions 2
before=$(sessions_of web1)
for session in $before; do
  on_host hostcallctl session close "$session"
  expect_status 0
done
reconnected() { privileged_sessions 2 && ! grep -qFx "$before" <(sessions_of web1); }
wait_until reconnected
for job in one two; do
  guest_interrupt web1 $job
  guest_finish web1 $job
  expect_status 0
done

# --- other users of the guest may call, but can't bind such a port; neither can root of a user namespace
in_guest web1 sh -c 'echo root:x:0:0::/:/bin/sh >/etc/passwd; echo user:x:1000:1000::/:/bin/sh >>/etc/passwd'
in_guest web1 su user -c 'id -u && hostcall whoami'
expect_status 0
expect_stdout '^1000$'
in_guest web1 su user -c 'hostcall info --metrics'
expect_status 126
expect_said "$(missing_in "10-local.json")"
refusal='bind a source port from 512 to 1023: Permission denied; a source port below 1024 needs CAP_NET_BIND_SERVICE'
in_guest web1 su user -c 'hostcall --privileged-port info --metrics'
expect_status 125
expect_no_stdout
expect_said "$refusal"
in_guest web1 unshare -U -r hostcall --privileged-port info --metrics
expect_status 125
expect_said "$refusal"
