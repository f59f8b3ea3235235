# shellcheck shell=bash
# fuzz: runs the fuzzers of build-clang. ../run sources this file and sets $logs (a directory).

logs=${logs:?must be set before this file is sourced}

# fuzz SECONDS: each target gets a share of the time and leaves its findings in $logs. Add them to tests/fuzz/corpus with
# the fix.
fuzz() {
  local seconds=$1 targets target name good=0 bad=0
  mapfile -t targets < <(find build-clang/tests/fuzz -maxdepth 1 -name 'fuzz_*' -type f -executable | sort)
  [ ${#targets[@]} -gt 0 ] || { echo 'no fuzz targets were built'; return 1; }
  strict_sanitizers
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

# Keeps new inputs beside the build for the next run. The fuzzer prints its seed; 0 makes it choose one.
fuzz_one() {
  local target=$1 name=$2 seconds=$3 found=build-clang/fuzz-corpus/$2
  mkdir -p "$found"
  echo "== $name: $seconds s"
  "$target" -max_total_time="$seconds" -seed="${HOSTCALL_SEED:-0}" -timeout=60 -rss_limit_mb=2048 -print_final_stats=1 \
    -artifact_prefix="$logs/$name-" "$found" "tests/fuzz/corpus/$name"
}
