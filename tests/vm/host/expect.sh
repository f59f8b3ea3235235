# shellcheck shell=bash
# Vocabulary of scenarios: run a command, on the host VM or in a guest (guest.sh), then say what must have come of it.
# Both kinds of runners leave the same three things behind: $status, $VM_TEST_DIR/stdout and $VM_TEST_DIR/stderr,
# always of the last command, whose text is in $command.

# fail WHY... ends the scenario.
fail() {
  printf '%s\n' "$*" >"$VM_TEST_DIR/why"
  exit 1
}

# skip WHY... ends it without a verdict, for what this VM cannot show.
skip() {
  printf '%s\n' "$*" >"$VM_TEST_DIR/skip"
  exit 1
}

# tell WHAT... is said behind the scenario's result when it is good.
tell() { printf ': %s' "$*" >"$VM_TEST_DIR/told"; }

# on_host COMMAND... runs it on the host VM.
on_host() {
  command="host: $*"
  status=0
  "$@" >"$VM_TEST_DIR/stdout" 2>"$VM_TEST_DIR/stderr" </dev/null || status=$?
  show_command
}

# What was run and what it said, for the log.
show_command() {
  printf '$ %s\n' "$command"
  sed 's/^/    /' "$VM_TEST_DIR/stdout"
  sed 's/^/  ! /' "$VM_TEST_DIR/stderr"
  printf '  = %s\n' "$status"
}

expect_status() { [ "$status" = "$1" ] || fail "$command: status $status, not $1$(last_words)"; }

# PATTERN is an extended regular expression that some line must match.
expect_stdout() {
  grep -Eq -e "$1" "$VM_TEST_DIR/stdout" || fail "$command: nothing on stdout matches /$1/$(last_words)"
}
expect_stderr() {
  grep -Eq -e "$1" "$VM_TEST_DIR/stderr" || fail "$command: nothing on stderr matches /$1/$(last_words)"
}

expect_no_stdout() { [ ! -s "$VM_TEST_DIR/stdout" ] || fail "$command: stdout should be empty$(last_words)"; }

# expect_json FILTER: stdout is JSON, and the jq filter is true for it (for one document at least, if several).
# A filter that fails for a document, because a field is missing there, is not true for it.
expect_json() {
  jq -es "any(.[]; ($1)?)" "$VM_TEST_DIR/stdout" >/dev/null 2>&1 ||
    fail "$command: stdout is not JSON for which this is true: $1$(last_words)"
}

last_words() {
  local words
  words=$(tail -qn 1 "$VM_TEST_DIR/stderr" "$VM_TEST_DIR/stdout" | cut -c1-200 | paste -sd' ')
  [ -z "$words" ] || printf '; it said: %s' "$words"
}

# For what must come: a watchdog against hanging. No scenario judges how long anything takes.
patience_seconds=300

# wait_until COMMAND... polls for what has no event to wait for. The command's output is dropped.
wait_until() {
  local end=$((SECONDS + patience_seconds))
  until "$@" >/dev/null 2>&1; do
    [ "$SECONDS" -lt "$end" ] || fail "waited in vain for: $*"
    sleep 0.1
  done
}

# milliseconds_since TIME, an earlier $EPOCHREALTIME.
milliseconds_since() { echo $(((${EPOCHREALTIME/./} - ${1/./}) / 1000)); }

# expect_said TEXT: it stands in stdout or stderr as it is, no pattern; expect_not_said TEXT: in neither.
expect_said() { said "$1" || fail "$command: did not say: $1$(last_words)"; }
expect_not_said() { ! said "$1" || fail "$command: should not say: $1$(last_words)"; }
said() { grep -Fq -e "$1" "$VM_TEST_DIR/stdout" "$VM_TEST_DIR/stderr"; }

# in_json TEXT prints it as a JSON string, for the filters of expect_json.
in_json() { jq -n --arg text "$1" '$text'; }
