# shellcheck shell=bash
# check_style: runs the formatters and shellcheck over all sources. ../run sources this file.

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

# For programs that report by output instead of an exit code.
no_output() {
  local output
  output=$("$@") || return 1
  [ -z "$output" ] && return
  echo "$output"
  return 1
}

# sources FIND-EXPRESSION: lists the project's files, tracked or not.
sources() {
  find . \( -path './build*' -o -name '.git' \) -prune -o -type f \( "$@" \) -print | sort
}

shell_scripts() {
  sources -name '*.sh'
  sources -executable ! -name '*.sh' | xargs grep -lE '^#!(/bin/sh|/usr/bin/env bash)$'
}
