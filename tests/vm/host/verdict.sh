# shellcheck shell=bash
# Prints a scenario's result in one line. Sourced by `runner` in the host VM and by `run` for the scenarios outside it.
# $VM_TEST_DIR is the scenario's directory; see expect.sh.

# scenario_name FILE: prints its name without directory, number and .sh.
scenario_name() {
  local name
  name=$(basename "$1" .sh)
  echo "${name#[0-9][0-9]-}"
}

# scenario_failed STATUS: whether it neither passed nor was skipped.
scenario_failed() { [ "$1" != 0 ] && [ ! -e "$VM_TEST_DIR/skip" ]; }

# The scenario's note; see tell in expect.sh.
told() { [ ! -e "$VM_TEST_DIR/told" ] || cat "$VM_TEST_DIR/told"; }

# verdict NAME STATUS BEGAN LIMIT: prints "ok NAME (SECONDS s)[: NOTE]", "skip NAME: WHY" or "FAIL NAME: WHY". BEGAN is an
# $EPOCHREALTIME, LIMIT the scenario's watchdog in seconds.
verdict() {
  local name=$1 status=$2 began=$3 limit=$4
  if [ "$status" = 0 ]; then
    echo "ok $name ($(since "$began"))$(told)"
  elif scenario_failed "$status"; then
    echo "FAIL $name: $(reason "$status" "$began" "$limit")"
  else
    echo "skip $name: $(<"$VM_TEST_DIR/skip")"
  fi
}

# The reason that the scenario gave. One that was ended by its watchdog gave none.
reason() {
  local status=$1 seconds=$((${EPOCHREALTIME%.*} - ${2%.*})) limit=$3
  if [ -s "$VM_TEST_DIR/why" ]; then
    tr '\n' ' ' <"$VM_TEST_DIR/why"
  elif [ "$seconds" -ge "$limit" ]; then
    echo "not done after $limit s"
  else
    echo "ended with status $status without a word"
  fi
}

since() { awk -v from="$1" -v to="$EPOCHREALTIME" 'BEGIN { printf "%.1f s", to - from }'; }
