# shellcheck shell=bash
# step: runs one part of ../run under a time limit, prints its outcome in one line, and adds up its tests. ../run
# sources this file, sets $logs (a directory), and calls end_steps when it exits.

logs=${logs:?must be set before this file is sourced}
passed=0 failed=0 skipped=0
failed_logs=()
step_times=() # per step: seconds, processor seconds, name

# step NAME SECONDS COMMAND [ARGUMENT...]: runs the command or function with its output in a file. If the last line of
# output is "N passed, N failed[, N skipped]", counts those tests; any other failure counts as one failed test.
# Shows lines that begin with "note " or "skip ". Returns false if the step failed.
step() {
  local name=$1 seconds=$2 begin=$SECONDS processor_begin code=0 log
  shift 2
  log=$logs/$(tr -cs '[:alnum:]\n' '-' <<<"$name").log
  processor_begin=$(processor_seconds)
  printf '%-34s ' "$name"
  run_limited "$seconds" "$@" >"$log" 2>&1 </dev/null || code=$?
  step_times+=("$((SECONDS - begin)) $(($(processor_seconds) - processor_begin)) $name")
  take_counts "$log" "$code"
  if [ "$code" = 0 ]; then
    printf 'ok   %5s s  %s\n' $((SECONDS - begin)) "$counted"
  else
    printf 'FAIL %5s s  %s\n' $((SECONDS - begin)) "$counted"
    failed_logs+=("$log")
  fi
  sed -n 's/^skip /    skipped: /p; s/^note /    /p' "$log"
  return "$code"
}

# leave_out NAME WHY: reports that a step did not run.
leave_out() { printf '%-34s -              %s\n' "$1" "$2"; }

# Runs the command in its own process group, so that everything it starts ends with it.
run_limited() {
  local seconds=$1 code=0 overdue=false
  shift
  set -m
  ("$@") &
  step_group=$!
  set +m
  timeout "$seconds" tail --pid="$step_group" -s 0.2 -f /dev/null &
  step_guard=$!
  if ! wait "$step_guard"; then
    echo "ended, because this step may take at most $seconds s"
    kill_step
    overdue=true
  fi
  wait "$step_group" || code=$?
  step_group='' step_guard=''
  if $overdue; then return 124; fi
  return "$code"
}

# Prints the processor seconds of all ended children of this shell. /proc counts them in ticks.
processor_seconds() {
  local fields
  read -ra fields <"/proc/$$/stat"
  echo $(((fields[15] + fields[16]) / $(getconf CLK_TCK)))
}

kill_step() {
  [ -n "${step_group:-}" ] || return 0
  kill -TERM -- "-$step_group" 2>/dev/null || return 0
  timeout 10 tail --pid="$step_group" -s 0.2 -f /dev/null || kill -KILL -- "-$step_group" 2>/dev/null || true
}

# end_steps: ends a running step. For the caller's trap.
end_steps() {
  kill_step
  [ -z "${step_guard:-}" ] || kill "$step_guard" 2>/dev/null || true
}

# take_counts LOG EXIT-CODE: adds up the counts, and leaves their text in $counted.
take_counts() {
  local pattern='^([0-9]+) passed, ([0-9]+) failed(, ([0-9]+) skipped)?$' last bad=0
  last=$(tail -n 1 "$1")
  counted=''
  if [[ $last =~ $pattern ]]; then
    counted=$last
    passed=$((passed + BASH_REMATCH[1]))
    bad=${BASH_REMATCH[2]}
    skipped=$((skipped + ${BASH_REMATCH[4]:-0}))
  fi
  if [ "$2" != 0 ] && [ "$bad" = 0 ]; then
    bad=1
    counted+="${counted:+; }exit code $2"
  fi
  failed=$((failed + bad))
}

# Prints the full logs of failed steps, without the compiler's progress.
show_failures() {
  local log
  for log in ${failed_logs[@]+"${failed_logs[@]}"}; do
    printf '\n======== %s\n' "$log"
    grep -vE '^\[[0-9]+/[0-9]+\]' "$log" || true
  done
}

# Prints what failed, a line each: a long log hides the one before it.
show_failed_names() {
  [ ${#failed_logs[@]} -gt 0 ] || return 0
  printf '\nfailed:\n'
  grep -hE '^(--- |FAIL |FAILED: |\[  FAILED  \] .*\(|not ok )' "${failed_logs[@]}" | cut -c1-200 | head -n 50 || true
}

# Prints the time of each step, longest first.
show_times() {
  [ ${#step_times[@]} -gt 0 ] || return 0
  printf '\n%-34s %9s %12s\n' step seconds processors
  printf '%s\n' "${step_times[@]}" | sort -rn | while read -r seconds processors name; do
    printf '%-34s %9d %12d\n' "$name" "$seconds" "$processors"
  done
}

# Prints the last line of a run. True if tests passed and none failed.
show_total() {
  if [ "$skipped" -gt 0 ]; then
    echo "$passed passed, $failed failed, $skipped skipped"
  else
    echo "$passed passed, $failed failed"
  fi
  [ "$failed" = 0 ] && [ "$passed" -gt 0 ]
}
