# shellcheck shell=bash disable=SC2154,SC2034 # "here" comes from, "status" goes to, the other files
# Vocabulary of scenarios: guests of the host VM, real ones, on KVM with vhost-vsock. A guest has a name, known
# only to the test, and lives in $VM_TEST_DIR/guest-NAME. guest/init is the program inside.

guest_image=$(dirname "$here")/guest.initrd
# A guest is up in about 10 s on an idle machine.
guest_boot_seconds=90
# Longer than the CLI's own default deadline of 30 s: a call that hangs must be ended by the CLI, not by us.
guest_command_seconds=45
# By guest name: the descriptors of the port's two directions.
declare -A port_in port_out

# guest_start NAME CID boots a guest without waiting for it.
guest_start() {
  local name=$1 cid=$2 dir=$VM_TEST_DIR/guest-$1
  rm -rf "$dir"
  mkdir -p "$dir"
  mkfifo "$dir/port.in" "$dir/port.out"
  qemu-system-x86_64 -M q35 -accel kvm -cpu host -m 256 -nodefaults -display none \
    -kernel /boot/vmlinuz -initrd "$guest_image" -append "console=ttyS0 quiet panic=-1" \
    -serial "file:$dir/console.log" \
    -device virtio-serial-pci -chardev "pipe,id=port,path=$dir/port" -device virtserialport,chardev=port \
    -device "vhost-vsock-pci,guest-cid=$cid" \
    </dev/null >"$dir/qemu.log" 2>&1 &
  echo $! >"$dir/pid"
  guest_open_port "$name"
  echo "guest $name: started with CID $cid"
}

# Held open for the guest's life, because lines would be lost between two readers; opened for both reading and writing,
# because a FIFO's open would else wait for QEMU.
guest_open_port() {
  local dir=$VM_TEST_DIR/guest-$1 to from
  exec {to}<>"$dir/port.in" {from}<>"$dir/port.out"
  port_in[$1]=$to
  port_out[$1]=$from
}

# guest_ready NAME waits for a (re)boot to finish; leaves the boot id in $boot_id.
guest_ready() {
  local word began=$SECONDS
  guest_line "$1" "$guest_boot_seconds"
  read -r word boot_id <<<"$line"
  [ "$word" = ready ] || fail "guest $1: expected it to get ready, but it said: $line"
  echo "guest $1: ready after $((SECONDS - began)) s, boot id $boot_id"
}

# guest_boot NAME CID
guest_boot() {
  guest_start "$1" "$2"
  guest_ready "$1"
}

# in_guest NAME COMMAND... runs a command there; see expect.sh for what it leaves behind.
in_guest() {
  local name=$1 line word out err
  shift
  command="$name: $*"
  guest_request "$name" "$(printf '%q ' "$@")"
  guest_line "$name" "$guest_command_seconds"
  read -r word status out err <<<"$line"
  [ "$word" = "done" ] || fail "$command: the guest answered: ${line:0:200}"
  decode "$out" >"$VM_TEST_DIR/stdout"
  decode "$err" >"$VM_TEST_DIR/stderr"
  show_command
}

# guest_kill NAME: as a host that loses the VMM; the guest gets no chance to say good-bye.
guest_kill() {
  local pid
  pid=$(<"$VM_TEST_DIR/guest-$1/pid")
  kill -KILL "$pid"
  wait "$pid" 2>/dev/null || true
}

guest_request() {
  printf '%s\n' "$(base64 -w 0 <<<"$2")" >&"${port_in[$1]}"
}

# guest_line NAME SECONDS reads one line from the guest into $line.
guest_line() {
  IFS= read -r -t "$2" -u "${port_out[$1]}" line || fail "guest $1: silent for $2 s"
}

decode() {
  if [ "$1" != - ]; then
    base64 -d <<<"$1"
  fi
}
