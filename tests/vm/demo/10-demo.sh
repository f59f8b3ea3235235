# shellcheck shell=bash disable=SC2154,SC2034 # shares variables with ../host/*.sh
# The part of the demonstration that runs in the host VM: a guest boots, its user calls the host, and the administrator
# watches. The first word of each line tells `run` how to show it: "stage" (of the preparation), "title", "guest" and "host"
# (commands and their output there), "console" (of the guest), "journal" (of the host).

# Shows commands as on a terminal, instead of as a test logs them.
show_command() {
  local place=guest prompt='#'
  case $command in
    host:*) place=host ;;
  esac
  printf '%s %s %s\n' "$place" "$prompt" "${command#*: }"
  sed "s/^/$place /" "$VM_TEST_DIR/stdout" "$VM_TEST_DIR/stderr"
  # Gives the journal's records time to appear, and the reader time to follow.
  sleep 1
}

# follow PLACE COMMAND...: shows its output from now on.
follow() {
  local place=$1
  shift
  "$@" 2>/dev/null | sed -u "s/\r//g; s/[^[:print:]\t]//g; s/^/$place /" &
}

echo 'stage starts hostcalld'
daemon_fresh
# Makes the journal record each session and not only problems.
sed 's/"log_level": "info"/"log_level": "debug"/' /usr/lib/hostcall/hostcalld.json >/etc/hostcall/hostcalld.json
systemctl start hostcalld.service
follow journal journalctl --follow --lines 0 -o short -u hostcalld.service
sleep 0.3

echo 'title The host registers a VM by its CID'
on_host hostcallctl vm add web1 --cid 42
expect_status 0

echo 'title A guest boots, with CID 42'
# Shows more than a test's guest prints, without the warnings that emulation causes.
guest_kernel_options='loglevel=6 noxsave mitigations=off'
guest_start web1 42 >/dev/null
follow console tail -n +1 -F "$VM_TEST_DIR/guest-web1/console.log"
guest_ready web1 >/dev/null

echo "title The guest calls; beside it the host's journal"
in_guest web1 hostcall whoami
expect_stdout '\bweb1\b'
in_guest web1 hostcall info
expect_stdout '\bvmhost\b'
in_guest web1 hostcall ping -c 3
expect_stdout '3 transmitted, 3 received'

echo 'title Policy denies other calls, and both sides say so'
in_guest web1 hostcall call hostcall.v1.Diagnostics/Echo '{"payload": "aGVsbG8="}'
expect_status 126
on_host hostcallctl vm list
expect_stdout '\bweb1\b'
on_host journalctl HOSTCALL_VM=web1 HOSTCALL_CALL=hostcall.v1.Diagnostics/Echo
expect_stdout 'Diagnostics/Echo is denied by'
