# shellcheck shell=bash disable=SC2154,SC2034,SC2016 # "here" comes from, "status" goes to, the other files
# Functions for scenarios: real guests of the host VM, on KVM with vhost-vsock. A guest's name is known only to the test; its
# files are in $VM_TEST_DIR/guest-NAME. guest/init is the program inside.

guest_kernel=${VM_TEST_KERNEL:-/boot/vmlinuz}
guest_image=${VM_TEST_INITRD:-$(dirname "$here")/guest.initrd}
# QEMU's options for a guest, and below for its vsock device; ../machine/hybrid.sh replaces both.
guest_machine=(-M q35 -accel kvm -cpu host -m 256)
guest_kernel_options=quiet
# Descriptors of the port's two directions, by guest name.
declare -A port_in port_out

# guest_start NAME CID: boots a guest without waiting for it.
guest_start() {
  local name=$1 cid=$2 dir=$VM_TEST_DIR/guest-$1
  rm -rf "$dir"
  mkdir -p "$dir"
  mkfifo "$dir/port.in" "$dir/port.out"
  guest_vsock "$dir" "$cid"
  qemu-system-x86_64 "${guest_machine[@]}" -nodefaults -display none \
    -kernel "$guest_kernel" -initrd "$guest_image" -append "console=ttyS0 $guest_kernel_options panic=-1" \
    -serial "file:$dir/console.log" \
    -device virtio-serial-pci -chardev "pipe,id=port,path=$dir/port" -device virtserialport,chardev=port \
    "${vsock_device[@]}" \
    </dev/null >"$dir/qemu.log" 2>&1 &
  echo $! >"$dir/pid"
  guest_open_port "$name"
  echo "guest $name: started with CID $cid"
}

# guest_vsock DIR CID: leaves QEMU's options in $vsock_device.
guest_vsock() { vsock_device=(-device "vhost-vsock-pci,guest-cid=$2"); }

# Held open while the guest lives, because lines would be lost between two readers. Opened for reading and writing, because
# opening a FIFO would otherwise wait for QEMU.
guest_open_port() {
  local dir=$VM_TEST_DIR/guest-$1 to from
  exec {to}<>"$dir/port.in" {from}<>"$dir/port.out"
  port_in[$1]=$to
  port_out[$1]=$from
}

# guest_ready NAME: waits until the guest has booted (again) and leaves its boot id in $boot_id.
guest_ready() {
  local word began=$SECONDS
  guest_line "$1"
  read -r word boot_id <<<"$line"
  [ "$word" = ready ] || fail "guest $1: expected it to get ready, but it said: $line"
  echo "guest $1: ready after $((SECONDS - began)) s, boot id $boot_id"
}

# guest_boot NAME CID
guest_boot() {
  guest_start "$1" "$2"
  guest_ready "$1"
}

# in_guest NAME COMMAND...: runs a command in the guest; expect.sh lists what it leaves.
in_guest() {
  local name=$1 line word out err
  shift
  command="$name: $*"
  guest_request "$name" "$(printf '%q ' "$@")"
  guest_line "$name"
  read -r word status out err <<<"$line"
  [ "$word" = "done" ] || fail "$command: the guest answered: ${line:0:200}"
  decode "$out" >"$VM_TEST_DIR/stdout"
  decode "$err" >"$VM_TEST_DIR/stderr"
  show_command
}

# guest_kill NAME: kills the VMM, so that the guest can't close its connections.
guest_kill() {
  local pid
  pid=$(<"$VM_TEST_DIR/guest-$1/pid")
  kill -KILL "$pid"
  wait "$pid" 2>/dev/null || true
}

# guest_freeze NAME, guest_thaw NAME: stop and continue the VMM, as if it hung or was being migrated.
guest_freeze() { kill -STOP "$(<"$VM_TEST_DIR/guest-$1/pid")"; }
guest_thaw() { kill -CONT "$(<"$VM_TEST_DIR/guest-$1/pid")"; }

# guest_reboot NAME: reboots the guest in the same QEMU at once, without stopping its programs; leaves $boot_id.
guest_reboot() {
  local earlier
  in_guest "$1" cat /proc/sys/kernel/random/boot_id
  earlier=$(<"$VM_TEST_DIR/stdout")
  guest_request "$1" 'reboot -f'
  guest_ready "$1"
  [ "$boot_id" != "$earlier" ] || fail "guest $1: the boot id is the same after a reboot"
}

# guest_background NAME JOB COMMAND...: starts a background program. The guest's /tmp has its output in JOB.log, its process
# id in JOB.pid, and once it has ended, its exit status in JOB.status.
guest_background() {
  in_guest "$1" sh -c 'job=/tmp/$0; rm -f "$job".*
    { "$@" & echo $! >"$job.pid"; wait $!; echo $? >"$job.new"; mv "$job.new" "$job.status"; } >"$job.log" 2>&1 &
  ' "${@:2}"
  expect_status 0
}

# expect_superseded NAME VM SESSION CASE: checks that the guest is known as this VM with its current boot id, and that its
# first call ends the earlier session.
expect_superseded() {
  local began=$EPOCHREALTIME
  in_guest "$1" hostcall whoami --json
  expect_status 0
  expect_json '.vmName == "'"$2"'" and .bootId == "'"$boot_id"'"'
  wait_until session_over "$2" "$3"
  echo "$4: the old session ended after $(milliseconds_since "$began") ms, the new guest's first call included"
}

# guest_signal NAME JOB SIGNAL: sends a signal. guest_interrupt NAME JOB: sends SIGINT, as Ctrl-C does.
guest_signal() {
  in_guest "$1" sh -c 'kill "-$1" "$(cat "/tmp/$0.pid")"' "$2" "$3"
  expect_status 0
}
guest_interrupt() { guest_signal "$1" "$2" INT; }

# guest_finished NAME JOB: whether the program has ended.
guest_finished() {
  in_guest "$1" test -e "/tmp/$2.status"
  [ "$status" = 0 ]
}

# guest_finish NAME JOB: waits until the program has ended and leaves its status and all its output, as stdout.
guest_finish() {
  wait_until guest_finished "$1" "$2"
  in_guest "$1" sh -c 'cat "/tmp/$0.log"; exit "$(cat "/tmp/$0.status")"' "$2"
}

# guest_said NAME JOB PATTERN TIMES: whether the program has printed at least so many matching lines.
guest_said() {
  in_guest "$1" grep -Ec -e "$3" "/tmp/$2.log"
  [ "$(<"$VM_TEST_DIR/stdout")" -ge "$4" ]
}

# expect_pings_answered: checks a finished `hostcall ping`: each ping had its reply. On a slow machine a ping may exceed its
# 5 s; any other error fails.
expect_pings_answered() {
  expect_stdout '^[0-9]{2,} transmitted, [1-9]'
  grep '^no reply' "$VM_TEST_DIR/stdout" >"$VM_TEST_DIR/lost" || true
  ! grep -v DEADLINE_EXCEEDED "$VM_TEST_DIR/lost" || fail "pings were lost: $(head -n 1 "$VM_TEST_DIR/lost")"
}

# guest_repeat NAME JOB COMMAND...: runs the command repeatedly in the background. JOB.log gets a line for each run: its
# status, its hundredths of a second, and the first line of its stderr.
guest_repeat() {
  guest_background "$1" "$2" sh -c 'job=/tmp/$0
    until [ -e "$job.enough" ]; do
      read -r begin rest </proc/uptime
      "$@" >/dev/null 2>"$job.words"
      status=$?
      read -r end rest </proc/uptime
      echo "$status $((${end%.*}${end#*.} - ${begin%.*}${begin#*.})) $(head -n 1 "$job.words")"
    done
  ' "${@:2}"
}

# guest_enough NAME JOB: ends guest_repeat and leaves JSON on stdout: how often each status occurred, and the longest run as
# longestMs.
guest_enough() {
  in_guest "$1" touch "/tmp/$2.enough"
  wait_until guest_finished "$1" "$2"
  in_guest "$1" awk '{ times[$1]++; if ($2 > longest) longest = $2 }
    END { printf "{"; for (status in times) printf "\"%d\": %d, ", status, times[status]
      printf "\"longestMs\": %d}\n", longest * 10 }' "/tmp/$2.log"
}

guest_request() {
  printf '%s\n' "$(base64 -w 0 <<<"$2")" >&"${port_in[$1]}"
}

# guest_line NAME: reads one line from the guest into $line. Waits longer than the CLI's default deadline of 30 s, because the
# CLI itself must end a call that hangs.
guest_line() {
  IFS= read -r -t "$patience_seconds" -u "${port_out[$1]}" line || fail "guest $1: silent for $patience_seconds s"
}

decode() {
  if [ "$1" != - ]; then
    base64 -d <<<"$1"
  fi
}
