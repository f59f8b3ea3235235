#!/usr/bin/env bash
# Replaces the kept inputs of fuzz targets (corpus/NAME/Kept…) by the few that reach the most of what fuzzing has reached:
# build-clang/fuzz-corpus/NAME, which tests/run fills. The inputs with other names stay.
# Usage: keep_inputs.sh MOST NAME...
set -euo pipefail

here=$(dirname "$(readlink -f "$0")")
most_bytes=4096
cd "$here/../.."

keep() {
  local most=$1 name=$2 chosen number=0 file
  chosen=$(mktemp -d)
  # Greedy: first the input that reaches the most, then the one that adds the most.
  "build-clang/tests/fuzz/fuzz_$name" -set_cover_merge=1 -max_len="$most_bytes" "$chosen" "build-clang/fuzz-corpus/$name"
  rm -f "tests/fuzz/corpus/$name"/Kept*
  # In the order in which they were chosen.
  while read -r file && [ "$number" -lt "$most" ]; do
    number=$((number + 1))
    cp "$chosen/$file" "tests/fuzz/corpus/$name/Kept$number"
  done < <(ls -tr "$chosen")
  rm -r "$chosen"
}

[ $# -ge 2 ] || { sed -n 's/^# Usage/usage/p' "$0" >&2; exit 2; }
most=$1
shift
for name; do keep "$most" "$name"; done
