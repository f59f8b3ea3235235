# shellcheck shell=bash disable=SC2154 # "here" and "guest_image" come from the other files
# Compares a call over vsock with a raw ping-pong over the same vsock: the programs of tests/bench, from the guest to its
# host, in turns. It checks that both work. It reports the ratio but does not judge it, because emulation exaggerates the
# processor's share of a call.
bench=$(dirname "$here")/bench
[ -e "$bench/bench-raw-server" ] || skip "the build has no benchmarks; set it up with -Dbench=true"
daemon_fresh web1=42
policy_allow web1 'hostcall.v1.Diagnostics/*'
raw_port=18500
"$bench/bench-raw-server" "vsock::$raw_port" &

# The usual guest with the clients added: the kernel unpacks one archive after the other.
cat "$guest_image" "$bench/guest.cpio" >"$VM_TEST_DIR/guest.initrd"
guest_image=$VM_TEST_DIR/guest.initrd
guest_boot web1 42

# measure PROGRAM PORT WORK FIGURE: leaves the figure in $measured.
measure() {
  in_guest web1 "$1" --address "vsock:2:$2" --work "$3" --seconds 0.5
  expect_status 0
  expect_json ".$4 > 0"
  measured=$(jq ".$4" "$VM_TEST_DIR/stdout")
}

# compare WORK FIGURE: five rounds; leaves the median of hostcall's figure over the raw socket's in $ratio.
compare() {
  local round raw ratios=()
  for round in 1 2 3 4 5; do
    measure bench-raw-client "$raw_port" "$1" "$2"
    raw=$measured
    measure bench-hostcall-client 18499 "$1" "$2"
    ratios+=("$(jq -n "$measured / $raw")")
    echo "$1, round $round: raw $raw, hostcall $measured ($2)"
  done
  ratio=$(printf '%s\n' "${ratios[@]}" | jq -s 'sort[2] * 100 | round / 100')
}

compare unary p50_us
unary=$ratio
compare pipelined calls_per_s
tell "over raw vsock: $unary of its p50, $ratio of its calls/s with 64 in flight"

# What a user in the guest sees.
in_guest web1 hostcall speedtest -t 1s
expect_status 0
expect_stdout '^download +[0-9.]+ [KMG]?bits/sec'
expect_stdout '^upload +[0-9.]+ [KMG]?bits/sec'
on_host daemon_journal -p warning
expect_no_stdout
