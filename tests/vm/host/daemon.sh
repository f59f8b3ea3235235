# shellcheck shell=bash
# Vocabulary of scenarios: hostcalld under its shipped units, from a known state.

# daemon_fresh NAME=CID... stops whatever an earlier scenario left, forgets its state, registers these VMs
# by configuration, and starts the socket unit. The service is started by the first connection.
daemon_fresh() {
  systemctl stop hostcalld.service hostcalld.socket
  systemctl reset-failed hostcalld.service hostcalld.socket 2>/dev/null || true
  rm -rf /etc/hostcall/vms.d/*.json /var/lib/hostcall/* /run/hostcall/*
  local pair
  for pair in "$@"; do
    vm_record "${pair%%=*}" "${pair#*=}"
  done
  # Not a cursor: journalctl 252 skips the first record that matches after it, whether or not that is the cursor's.
  daemon_since=$EPOCHREALTIME
  systemctl start hostcalld.socket
}

# vm_record NAME CID, as an administrator writes it.
vm_record() {
  printf '{"name": "%s", "cid": %s}\n' "$1" "$2" >"/etc/hostcall/vms.d/$1.json"
}

# daemon_journal [JOURNALCTL-OPTION...] prints the daemon's records since daemon_fresh; unlike with -u, none of what
# systemd says about the unit.
daemon_journal() {
  journalctl --quiet --no-pager --since "@$daemon_since" _SYSTEMD_UNIT=hostcalld.service "$@"
}
