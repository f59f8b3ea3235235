# shellcheck shell=bash
# The steps of `run --long`, which take too long for every change. ../run sources this file after the others here, and
# sets $logs (a directory) and $watchdog.

logs=${logs:?must be set before this file is sourced}
watchdog=${watchdog:?must be set before this file is sourced}

# The function long_NAME runs the step NAME.
long_steps=(fuzz tsan coverage loops)

fuzz_long_seconds=3600
# The store's writer is the only second thread; the reactor receives its answers.
tsan_tests=(daemon-loop daemon-store daemon-store-faults)
coverage_folders=(daemon/calls daemon/services)
coverage_least=85 # percent of the lines of each, by unit tests alone
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
  local seconds=${HOSTCALL_FUZZ_SECONDS:-$fuzz_long_seconds}
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
  step 'coverage' "$watchdog" coverage || true
}

# Without optimization, which removes lines, and without precompiled headers, which hide a missing include of a test.
# Deletes the counts of earlier runs.
build_coverage() {
  CC=gcc CXX=g++ configure build-coverage --buildtype=debug -Db_pch=false -Db_coverage=true &&
    ninja -C build-coverage unit &&
    find build-coverage -name '*.gcda' -delete
}

coverage() {
  local folder good=0 bad=0
  gcovr --root . --json "$logs/coverage.json" build-coverage || return
  for folder in "${coverage_folders[@]}"; do
    if covered "$folder"; then good=$((good + 1)); else bad=$((bad + 1)); fi
  done
  echo "$good passed, $bad failed"
  [ "$bad" = 0 ]
}

# covered FOLDER: true if unit tests run enough of its lines. gcovr prints "lines: 91.2% (1034 out of 1134)".
covered() {
  local lines
  lines=$(gcovr --root . --add-tracefile "$logs/coverage.json" --filter "$1/" --txt "$logs/coverage-${1//\//-}.txt" \
    --print-summary | sed -n 's/^lines: //p')
  echo "note $1: $lines of the lines; at least $coverage_least%"
  awk -v covered="${lines%%%*}" -v least="$coverage_least" 'BEGIN { exit !(covered >= least) }'
}

long_loops() {
  HOSTCALL_CRASH_ROUNDS=${HOSTCALL_CRASH_ROUNDS:-$crash_rounds} \
    HOSTCALL_POWER_ROUNDS=${HOSTCALL_POWER_ROUNDS:-$power_rounds} \
    step 'loops: crashes and power losses' "$watchdog" gcc_tests daemon-store-faults || true
  HOSTCALL_HISTORY_TRANSACTIONS=${HOSTCALL_HISTORY_TRANSACTIONS:-$history_transactions} \
    step 'loops: histories of the store' "$watchdog" gcc_tests store-history || true
  GTEST_REPEAT=$repeats GTEST_SHUFFLE=1 step 'loops: unit tests, sanitizers' "$watchdog" clang_tests --suite unit || true
}

gcc_tests() { configure_gcc true && run_meson_tests build-gcc "$@"; }
clang_tests() { configure_clang && run_meson_tests build-clang "$@"; }
