# shellcheck shell=bash
# The steps of `run --long`, which take too long for every change. ../run sources this file after the others here, and
# sets $logs (a directory) and $watchdog.

logs=${logs:?must be set before this file is sourced}
watchdog=${watchdog:?must be set before this file is sourced}

# The function long_NAME runs the step NAME.
long_steps=(hostile fuzz tsan coverage loops faults soak)

fuzz_long_seconds=3600 # of each target
soak_long_seconds=1800
# The store's writer is the only second thread; the reactor receives its answers.
tsan_tests=(daemon-loop daemon-store daemon-store-faults)
# Percent of the lines of each folder: by unit tests alone, and by the integration tests, too.
unit_coverage=(daemon/calls 85 daemon/services 85)
whole_coverage=(daemon 90 proto 90)
crash_rounds=5000 power_rounds=1000 history_transactions=200000
repeats=20 # of each unit test

is_long_step() {
  local name
  for name in "${long_steps[@]}"; do
    [ "$name" != "$1" ] || return 0
  done
  return 1
}

# run_long_steps [NAME...]: runs the named steps, or all of them.
run_long_steps() {
  local name
  [ $# -gt 0 ] || set -- "${long_steps[@]}"
  for name; do "long_$name"; done
}

long_fuzz() {
  step 'fuzzers: build' "$watchdog" build_clang fuzzers || return 0
  local seconds=${HOSTCALL_FUZZ_SECONDS:-$((fuzz_long_seconds * $(fuzz_targets | wc -l)))}
  step 'fuzzing' $((seconds + watchdog)) fuzz "$seconds" || true
}

long_tsan() { step 'threads' "$watchdog" tsan || true; }

tsan() {
  CC=clang CXX=clang++ configure build-tsan -Db_sanitize=thread -Db_lundef=false &&
    run_meson_tests build-tsan "${tsan_tests[@]}"
}

long_coverage() {
  step 'coverage: build' "$watchdog" build_coverage || return 0
  step 'coverage: unit tests' "$watchdog" run_meson_tests build-coverage --suite unit || true
  step 'coverage by unit tests' "$watchdog" coverage "${unit_coverage[@]}" || true
  # An ordinary user's program can't add to root's counts, and would say so.
  GCOV_ERROR_FILE=/dev/null step 'coverage: integration tests' "$watchdog" run_meson_tests build-coverage --suite integration || true
  step 'coverage by both' "$watchdog" coverage "${whole_coverage[@]}" || true
}

# Without optimization, which removes lines, and without precompiled headers, which hide a missing include of a test.
# Deletes the counts of earlier runs.
build_coverage() {
  CC=gcc CXX=g++ configure build-coverage --buildtype=debug -Db_pch=false -Db_coverage=true &&
    ninja -C build-coverage unit &&
    find build-coverage -name '*.gcda' -delete
}

# coverage FOLDER PERCENT...: whether the tests so far have run this much of each folder.
coverage() {
  local good=0 bad=0
  gcovr --root . --json "$logs/coverage.json" build-coverage || return
  while [ $# -gt 0 ]; do
    if covered "$1" "$2"; then good=$((good + 1)); else bad=$((bad + 1)); fi
    shift 2
  done
  echo "$good passed, $bad failed"
  [ "$bad" = 0 ]
}

# covered FOLDER PERCENT. gcovr prints "lines: 91.2% (1034 out of 1134)".
covered() {
  local lines
  lines=$(gcovr --root . --add-tracefile "$logs/coverage.json" --filter "$1/" --txt "$logs/coverage-${1//\//-}.txt" \
    --print-summary | sed -n 's/^lines: //p')
  echo "note $1: $lines of the lines; at least $2%"
  awk -v covered="${lines%%%*}" -v least="$2" 'BEGIN { exit !(covered >= least) }'
}

long_loops() {
  HOSTCALL_CRASH_ROUNDS=${HOSTCALL_CRASH_ROUNDS:-$crash_rounds} \
    HOSTCALL_POWER_ROUNDS=${HOSTCALL_POWER_ROUNDS:-$power_rounds} \
    step 'loops: crashes and power losses' "$watchdog" gcc_tests daemon-store-faults || true
  HOSTCALL_HISTORY_TRANSACTIONS=${HOSTCALL_HISTORY_TRANSACTIONS:-$history_transactions} \
    step 'loops: histories of the store' "$watchdog" gcc_tests store-history || true
  GTEST_REPEAT=$repeats GTEST_SHUFFLE=1 step 'loops: unit tests, sanitizers' "$watchdog" clang_tests --suite unit || true
}

# Each call with all its callers instead of the nearest, and each k-th call instead of every seventh.
long_faults() {
  HOSTCALL_FAULT_DEPTH=${HOSTCALL_FAULT_DEPTH:-12} HOSTCALL_FAULT_STEP=${HOSTCALL_FAULT_STEP:-1} \
    step 'faults' "$watchdog" gcc_tests --suite faults || true
}

long_soak() {
  HOSTCALL_SOAK_SECONDS=${HOSTCALL_SOAK_SECONDS:-$soak_long_seconds} \
    step 'soak' "$watchdog" gcc_tests --suite soak --verbose || true
}

# With the bound that a neighbour's waiting has on a machine that does nothing else.
long_hostile() {
  HOSTCALL_STRICT_TIMES=1 step 'hostile guests, strict times' "$watchdog" gcc_tests --suite hostile || true
}

gcc_tests() { configure_gcc true && run_meson_tests build-gcc "$@"; }
clang_tests() { configure_clang && run_meson_tests build-clang "$@"; }
