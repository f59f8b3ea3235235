# shellcheck shell=bash
# fuzz: runs the fuzzers of build-clang. Sourced by ../run, which sets $logs.

logs=${logs:?is to be set before this is sourced}

# fuzz SECONDS, of which each target has its share. What it finds is left in $logs, to be added to tests/fuzz/corpus with
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
      echo "FAILED: $name; try it again with: $target $logs/$name-*"
    fi
  done
  echo "$good passed, $bad failed"
  [ "$bad" = 0 ]
}

# New inputs are kept beside the build for the next run. The fuzzer says its seed, and chooses one where 0 is given.
fuzz_one() {
  local target=$1 name=$2 seconds=$3 found=build-clang/fuzz-corpus/$2
  mkdir -p "$found"
  echo "== $name: $seconds s"
  "$target" -max_total_time="$seconds" -seed="${HOSTCALL_SEED:-0}" -timeout=60 -rss_limit_mb=2048 -print_final_stats=1 \
    -artifact_prefix="$logs/$name-" "$found" "tests/fuzz/corpus/$name"
}
