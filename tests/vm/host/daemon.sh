# shellcheck shell=bash disable=SC2154 # "here" comes from scenario
# Vocabulary of scenarios: hostcalld under its shipped units, from a known state.

# daemon_fresh NAME=CID... stops whatever an earlier scenario left, forgets its state, registers these VMs
# by configuration, and starts the socket unit. The service is started by the first connection.
daemon_fresh() {
  systemctl stop hostcalld.service hostcalld.socket
  systemctl reset-failed hostcalld.service hostcalld.socket 2>/dev/null || true
  rm -rf /etc/hostcall/vms.d/*.json /etc/hostcall/policy.d/10-*.json /var/lib/hostcall/* /run/hostcall/*
  cp "$(dirname "$here")/product/etc/hostcall/hostcalld.json" /etc/hostcall/hostcalld.json
  local pair
  for pair in "$@"; do
    vm_record "${pair%%=*}" "${pair#*=}"
  done
  # Not a cursor: journalctl 252 skips the first record that matches after it, whether or not that is the cursor's.
  daemon_since=$EPOCHREALTIME
  systemctl start hostcalld.socket
}

# vm_record NAME CID [TAG...], as an administrator writes it.
vm_record() {
  jq -nc --arg name "$1" --argjson cid "$2" '{$name, $cid, tags: $ARGS.positional}' --args "${@:3}" \
    >"/etc/hostcall/vms.d/$1.json"
}

# daemon_journal [JOURNALCTL-OPTION...] prints the daemon's records since daemon_fresh; unlike with -u, none of what
# systemd says about the unit.
daemon_journal() {
  journalctl --sync
  journalctl --quiet --no-pager --since "@$daemon_since" _SYSTEMD_UNIT=hostcalld.service "$@"
}

# daemon_config MEMBERS: of hostcalld.json, as in '"timeouts": {"drain_ms": 500}'; the others keep their defaults. In
# force with the next start or reload, until the next daemon_fresh.
daemon_config() { printf '{%s}\n' "$1" >/etc/hostcall/hostcalld.json; }

# policy_allow VM CALL, before what the shipped policy says.
policy_allow() {
  printf '{"rules": [{"vms": ["%s"], "calls": ["%s"], "action": "allow"}]}\n' "$1" "$2" \
    >"/etc/hostcall/policy.d/10-allow-$1.json"
}

# sessions_of VM prints the ids of its open sessions, one a line.
sessions_of() { hostcallctl session list --json | jq -r --arg vm "$1" '.sessions[] | select(.vm == $vm).id'; }

# has_sessions VM NUMBER: whether it has so many.
has_sessions() {
  local ids
  ids=$(sessions_of "$1") || return
  [ "$(wc -w <<<"$ids")" = "$2" ]
}

# session_over VM ID: whether the VM has no such session any more.
session_over() {
  local ids
  ids=$(sessions_of "$1") || return
  ! grep -qx "$2" <<<"$ids"
}

# vm_is VM FILTER: whether the jq filter is true of the VM's state, as in '.connections == 0'.
vm_is() { hostcallctl vm show "$1" --json | jq -e ".vm | $2"; }

# policy_file NAME: stdin becomes a file of policy.d; NAME starts with 10-, so that it comes before the shipped one.
policy_file() { cat >"/etc/hostcall/policy.d/$1"; }

# rule_place FILE TEXT prints "FILE:LINE" of the only line of a policy file that has the text.
rule_place() {
  local line
  line=$(grep -nF -e "$2" "/etc/hostcall/policy.d/$1") || fail "no rule in $1 has $2"
  echo "/etc/hostcall/policy.d/$1:${line%%:*}"
}

# daemon_process prints the daemon's process id.
daemon_process() { systemctl show -p MainPID --value hostcalld.service; }
