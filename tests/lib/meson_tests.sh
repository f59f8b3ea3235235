# shellcheck shell=bash
# run_meson_tests: the tests of a build of ../run. Sourced by it.

# run_meson_tests BUILD [OPTION OF meson test...]: builds what these tests need, if it is not there, and runs them. A test
# that crashes leaves the results of an earlier run where meson would read them, so they go first.
run_meson_tests() {
  local build=$1 code=0
  shift
  rm -f "$build"/*.xml "$build"/meson-logs/run.*
  strict_sanitizers
  meson test -C "$build" --logbase run "$@" || code=$?
  python3 tests/lib/results.py "$build" run || code=$?
  return "$code"
}

# The first finding ends the program. Without sanitizers these say nothing.
strict_sanitizers() {
  export ASAN_OPTIONS=abort_on_error=1:detect_stack_use_after_return=1:strict_string_checks=1
  export UBSAN_OPTIONS=halt_on_error=1:abort_on_error=1:print_stacktrace=1
  export TSAN_OPTIONS=abort_on_error=1:halt_on_error=1:second_deadlock_stack=1
}
