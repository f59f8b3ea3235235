# shellcheck shell=bash disable=SC2034,SC2154,SC2054 # shares variables with ../host/*.sh; QEMU has commas in options
# Functions for scenarios on this machine itself: hostcalld as an ordinary process, and guests whose vsock device connects
# to a Unix path, as with Firecracker, Cloud Hypervisor and vhost-device-vsock. Sourced after ../host/guest.sh, whose
# functions start and use the guests. They do not use this machine's own vsock.

# The device appends this to its path when a guest connects to vsock:2:18499.
hybrid_port=18499
# Short, because a socket's path is limited to 107 bytes.
hybrid_dir=$(mktemp -d "${TMPDIR:-/tmp}/hybrid.XXXXXX")
trap hybrid_end EXIT

# Emulated, with memory that the guest shares with the device's process.
guest_machine=(-M q35 -accel tcg -cpu max -m 256
  -object memory-backend-memfd,id=memory,size=256M,share=on -numa node,memdev=memory)

# Ends the daemon, devices and guests that still run; after a failure, prints their output.
hybrid_end() {
  local status=$? pids
  [ "$status" = 0 ] || tail -n 60 "$hybrid_dir/journal" "$VM_TEST_DIR"/guest-*/*.log || true
  mapfile -t pids < <(jobs -pr)
  [ ${#pids[@]} = 0 ] || kill "${pids[@]}" 2>/dev/null || true
  wait
  rm -rf "$hybrid_dir"
}

# hybrid_vm NAME VMM-UID registers a VM by its path and the user of its VMM.
hybrid_vm() {
  mkdir -p "$hybrid_dir/vms.d"
  printf '{"name": "%s", "unix_path": "%s_%s", "vmm_uid": %s}\n' "$1" "$hybrid_dir/$1" "$hybrid_port" "$2" \
    >"$hybrid_dir/vms.d/$1.json"
}

# Starts the daemon with the shipped policy; its log is in $hybrid_dir/journal.
hybrid_daemon() {
  mkdir -p "$hybrid_dir"/{run,state,policy.d}
  cp "$here"/../../../systemd/policy.d/*.json "$hybrid_dir/policy.d/"
  cat >"$hybrid_dir/hostcalld.json" <<JSON
{
  "admin_socket": "$hybrid_dir/admin.sock", "admin_group": "",
  "vms_directory": "$hybrid_dir/vms.d", "policy_directory": "$hybrid_dir/policy.d",
  "runtime_directory": "$hybrid_dir/run", "state_directory": "$hybrid_dir/state"
}
JSON
  "$VM_TEST_BUILD/daemon/hostcalld" --config "$hybrid_dir/hostcalld.json" 2>"$hybrid_dir/journal" &
  hybrid_daemon=$!
  wait_until grep -q started "$hybrid_dir/journal"
}

# Kills it as a crash would, so that its sockets stay behind.
hybrid_daemon_kill() {
  kill -KILL "$hybrid_daemon"
  wait "$hybrid_daemon" 2>/dev/null || true
}

# The device comes first: QEMU connects to it when it starts.
guest_vsock() {
  local name=${1##*/guest-}
  vhost-device-vsock --vm "guest-cid=$2,socket=$hybrid_dir/$name.vhost,uds-path=$hybrid_dir/$name" \
    >"$1/device.log" 2>&1 </dev/null &
  wait_until test -S "$hybrid_dir/$name.vhost"
  vsock_device=(-chardev "socket,id=vsock,path=$hybrid_dir/$name.vhost" -device vhost-user-vsock-pci,chardev=vsock)
}
