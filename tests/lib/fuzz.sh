# shellcheck shell=bash
# fuzz: runs the fuzzers of build-clang. ../run sources this file and sets $logs (a directory).

logs=${logs:?must be set before this file is sourced}

fuzz_targets() { find build-clang/tests/fuzz -maxdepth 1 -name 'fuzz_*' -type f -executable | sort; }

# fuzz SECONDS: each target gets a share of the time and leaves its findings in $logs. Add them to tests/fuzz/corpus with
# the fix.
fuzz() {
  local seconds=$1 targets target name good=0 bad=0
  mapfile -t targets < <(fuzz_targets)
  [ ${#targets[@]} -gt 0 ] || { echo 'no fuzz targets were built'; return 1; }
  strict_sanitizers
  # Some targets make a database and sockets for each input.
  [ ! -w /dev/shm ] || export TMPDIR=/dev/shm
  for target in "${targets[@]}"; do
    name=${target##*/fuzz_}
    if fuzz_one "$target" "$name" $((seconds / ${#targets[@]})); then
      good=$((good + 1))
    else
      bad=$((bad + 1))
      echo "FAILED: $name; reproduce with: $target $logs/$name-*"
    fi
  done
  echo "$good passed, $bad failed"
  [ "$bad" = 0 ]
}

# Keeps new inputs beside the build for the next run. The fuzzer prints its seed; 0 makes it choose one. Shows that and
# the number of inputs, of a finding all but the progress; everything is in the target's own log.
fuzz_one() {
  local target=$1 name=$2 seconds=$3 found=build-clang/fuzz-corpus/$2 log=$logs/fuzz-$2.log
  mkdir -p "$found"
  echo "== $name: $seconds s"
  if "$target" -max_total_time="$seconds" -seed="${HOSTCALL_SEED:-0}" -timeout=60 -rss_limit_mb=2048 \
    -print_final_stats=1 -artifact_prefix="$logs/$name-" "$found" "tests/fuzz/corpus/$name" >"$log" 2>&1; then
    grep -E '^(INFO: Seed|Done )' "$log"
  else
    grep -vE '^#[0-9]+' "$log"
    return 1
  fi
}
