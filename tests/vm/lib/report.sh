# shellcheck shell=bash
# Prints the results of `run`: one line per scenario for people, or TAP for a test harness. Sourced by `run`.

tap=false
passed=0 failed=0 skipped=0

# report_ok "NAME (SECONDS s)"
report_ok() {
  passed=$((passed + 1))
  if $tap; then echo "ok $(report_number) - $1"; else echo "ok $1"; fi
}

# report_skip "NAME: WHY". meson drops the text after SKIP in a TAP line, so the reason comes before it.
report_skip() {
  skipped=$((skipped + 1))
  if $tap; then echo "ok $(report_number) - $1 # SKIP"; else echo "skip $1"; fi
}

# report_fail "NAME: WHY"
report_fail() {
  failed=$((failed + 1))
  if $tap; then echo "not ok $(report_number) - $1"; else echo "FAIL $1"; fi
}

# For lines that are not results.
report_note() {
  if $tap; then echo "# $1"; else echo "$1"; fi
}

report_number() { echo $((passed + failed + skipped)); }

# The last line; true if nothing failed.
report_end() {
  local counts="$passed passed, $failed failed"
  [ "$skipped" = 0 ] || counts+=", $skipped skipped"
  if $tap; then
    echo "1..$(report_number)"
    echo "# $counts"
  else
    echo "$counts"
  fi
  [ "$failed" = 0 ]
}
