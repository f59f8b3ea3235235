# shellcheck shell=bash
# run_meson_tests: runs the tests of a build. ../run sources this file.

# run_meson_tests BUILD [OPTION OF meson test...]: builds what the tests need, and runs them. First removes old results,
# because meson would read those of an earlier run for a test that crashes.
run_meson_tests() {
  local build=$1 code=0
  shift
  rm -f "$build"/*.xml "$build"/meson-logs/run.*
  strict_sanitizers
  meson test -C "$build" --logbase run "$@" || code=$?
  python3 tests/lib/results.py "$build" run || code=$?
  return "$code"
}

# Makes the first finding end the program. Without sanitizers this has no effect.
strict_sanitizers() {
  export ASAN_OPTIONS=abort_on_error=1:detect_stack_use_after_return=1:strict_string_checks=1
  export UBSAN_OPTIONS=halt_on_error=1:abort_on_error=1:print_stacktrace=1
  export TSAN_OPTIONS=abort_on_error=1:halt_on_error=1:second_deadlock_stack=1
}
