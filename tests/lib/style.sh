# shellcheck shell=bash
# check_style: what tools say of the sources' format and of the scripts. Sourced by ../run.

check_style() {
  local good=0 bad=0 cxx go scripts
  mapfile -t cxx < <(sources -name '*.cc' -o -name '*.h' -o -name '*.c')
  mapfile -t go < <(sources -name '*.go')
  mapfile -t scripts < <(shell_scripts)
  style clang-format clang-format --dry-run --Werror -- "${cxx[@]}"
  style gofmt no_output gofmt -l "${go[@]}"
  style shellcheck shellcheck -- "${scripts[@]}"
  echo "$good passed, $bad failed"
  [ "$bad" = 0 ]
}

style() {
  local name=$1
  shift
  if "$@"; then
    good=$((good + 1))
    echo "ok $name"
  else
    bad=$((bad + 1))
    echo "FAILED: $name, see above"
  fi
}

# For programs that tell by words instead of an exit code.
no_output() {
  local output
  output=$("$@") || return 1
  [ -z "$output" ] && return
  echo "$output"
  return 1
}

# sources FIND-EXPRESSION: files of the project, tracked or about to be.
sources() {
  find . \( -path './build*' -o -name '.git' \) -prune -o -type f \( "$@" \) -print | sort
}

shell_scripts() {
  sources -name '*.sh'
  sources -executable ! -name '*.sh' | xargs grep -lE '^#!(/bin/sh|/usr/bin/env bash)$'
}
