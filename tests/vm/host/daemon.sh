# shellcheck shell=bash disable=SC2154 # "here" comes from scenario
# Functions for scenarios: hostcalld under its shipped units, from a known state.

# daemon_fresh NAME=CID...: stops what an earlier scenario left, deletes its state, registers these VMs in the
# configuration, and starts the socket unit. The first connection starts the service.
daemon_fresh() {
  systemctl stop hostcalld.service hostcalld.socket
  systemctl reset-failed hostcalld.service hostcalld.socket 2>/dev/null || true
  rm -rf /etc/hostcall/vms.d/*.json /etc/hostcall/policy.d/10-*.json /etc/hostcall/services.d \
    /etc/hostcall/hostcalld.json /var/lib/hostcall/* /run/hostcall/*
  local pair
  for pair in "$@"; do
    vm_record "${pair%%=*}" "${pair#*=}"
  done
  # A time and not a cursor, because journalctl 252 skips the first matching record after a cursor.
  daemon_since=$EPOCHREALTIME
  systemctl start hostcalld.socket
}

# vm_record NAME CID [TAG...]: writes a VM record as an administrator would.
vm_record() {
  jq -nc --arg name "$1" --argjson cid "$2" '{$name, $cid, tags: $ARGS.positional}' --args "${@:3}" \
    >"/etc/hostcall/vms.d/$1.json"
}

# daemon_journal [JOURNALCTL-OPTION...]: prints the daemon's records since daemon_fresh, without systemd's own records about
# the unit, which -u would include.
daemon_journal() {
  journalctl --sync
  journalctl --quiet --no-pager --since "@$daemon_since" _SYSTEMD_UNIT=hostcalld.service "$@"
}

# daemon_config MEMBERS: writes members of hostcalld.json, such as '"timeouts": {"drain_ms": 500}'; others keep their
# defaults. They apply from the next start or reload until the next daemon_fresh.
daemon_config() { printf '{%s}\n' "$1" >/etc/hostcall/hostcalld.json; }

# policy_allow VM CALL: adds a rule before those of the shipped policy.
policy_allow() {
  printf '{"rules": [{"vms": ["%s"], "calls": ["%s"], "action": "allow"}]}\n' "$1" "$2" \
    >"/etc/hostcall/policy.d/10-allow-$1.json"
}

# sessions_of VM: prints the ids of its open sessions, one per line.
sessions_of() { hostcallctl session list --json | jq -r --arg vm "$1" '.sessions[] | select(.vm == $vm).id'; }

# has_sessions VM NUMBER: whether it has this many sessions.
has_sessions() {
  local ids
  ids=$(sessions_of "$1") || return
  [ "$(wc -w <<<"$ids")" = "$2" ]
}

# session_over VM ID: whether the session has ended.
session_over() {
  local ids
  ids=$(sessions_of "$1") || return
  ! grep -qx "$2" <<<"$ids"
}

# vm_is VM FILTER: whether the jq filter is true for the VM's state, as in '.connections == 0'.
vm_is() { hostcallctl vm show "$1" --json | jq -e ".vm | $2"; }

# policy_file NAME: writes stdin to a file of the administrator's policy, which comes before the shipped one.
policy_file() { cat >"/etc/hostcall/policy.d/$1"; }

# default_rule TEXT: prints "FILE:LINE" of the only line of the shipped policy that contains the text.
default_rule() {
  local file=/usr/lib/hostcall/policy.d/50-default.json line
  line=$(grep -nF -e "$1" "$file") || fail "no rule in $file has $1"
  echo "$file:${line%%:*}"
}

# daemon_process: prints the daemon's process id.
daemon_process() { systemctl show -p MainPID --value hostcalld.service; }
