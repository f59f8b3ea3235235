# shellcheck shell=bash
# Functions for scenarios: run a command on the host VM or in a guest (guest.sh), then check its results. Both ways leave
# $status, $VM_TEST_DIR/stdout and $VM_TEST_DIR/stderr of the last command, and its text in $command.

# fail WHY...: ends the scenario as failed.
fail() {
  printf '%s\n' "$*" >"$VM_TEST_DIR/why"
  exit 1
}

# skip WHY...: ends the scenario as skipped, if this VM can't run it.
skip() {
  printf '%s\n' "$*" >"$VM_TEST_DIR/skip"
  exit 1
}

# tell WHAT...: adds a note to the scenario's result if it passes.
tell() { printf ': %s' "$*" >"$VM_TEST_DIR/told"; }

# on_host COMMAND...: runs a command on the host VM.
on_host() {
  command="host: $*"
  status=0
  "$@" >"$VM_TEST_DIR/stdout" 2>"$VM_TEST_DIR/stderr" </dev/null || status=$?
  show_command
}

# Logs the command and its output.
show_command() {
  printf '$ %s\n' "$command"
  sed 's/^/    /' "$VM_TEST_DIR/stdout"
  sed 's/^/  ! /' "$VM_TEST_DIR/stderr"
  printf '  = %s\n' "$status"
}

expect_status() { [ "$status" = "$1" ] || fail "$command: status $status, not $1$(last_words)"; }

# PATTERN is an extended regular expression; at least one line must match.
expect_stdout() {
  grep -Eq -e "$1" "$VM_TEST_DIR/stdout" || fail "$command: nothing on stdout matches /$1/$(last_words)"
}
expect_stderr() {
  grep -Eq -e "$1" "$VM_TEST_DIR/stderr" || fail "$command: nothing on stderr matches /$1/$(last_words)"
}

expect_no_stdout() { [ ! -s "$VM_TEST_DIR/stdout" ] || fail "$command: stdout should be empty$(last_words)"; }

# expect_json FILTER: stdout is JSON, and the jq filter is true for at least one of its documents. A filter that fails for a
# document, for example because a field is missing, is not true for it.
expect_json() {
  jq -es "any(.[]; ($1)?)" "$VM_TEST_DIR/stdout" >/dev/null 2>&1 ||
    fail "$command: stdout is not JSON for which this is true: $1$(last_words)"
}

last_words() {
  local words
  words=$(tail -qn 1 "$VM_TEST_DIR/stderr" "$VM_TEST_DIR/stdout" | cut -c1-200 | paste -sd' ')
  [ -z "$words" ] || printf '; it said: %s' "$words"
}

# A watchdog against hanging. No scenario judges how long anything takes.
patience_seconds=300

# wait_until COMMAND...: runs the command until it succeeds, and drops its output. For conditions without an event.
wait_until() {
  local end=$((SECONDS + patience_seconds))
  until "$@" >/dev/null 2>&1; do
    [ "$SECONDS" -lt "$end" ] || fail "waited in vain for: $*"
    sleep 0.1
  done
}

# milliseconds_since TIME: prints the time since an earlier $EPOCHREALTIME.
milliseconds_since() { echo $(((${EPOCHREALTIME/./} - ${1/./}) / 1000)); }

# expect_said TEXT: stdout or stderr contains the text (not a pattern). expect_not_said TEXT: neither contains it.
expect_said() { said "$1" || fail "$command: did not say: $1$(last_words)"; }
expect_not_said() { ! said "$1" || fail "$command: should not say: $1$(last_words)"; }
said() { grep -Fq -e "$1" "$VM_TEST_DIR/stdout" "$VM_TEST_DIR/stderr"; }

# in_json TEXT: prints it as a JSON string, for the filters of expect_json.
in_json() { jq -n --arg text "$1" '$text'; }
