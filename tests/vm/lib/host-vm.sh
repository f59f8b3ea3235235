# shellcheck shell=bash disable=SC2154,SC2034 # the sourcing script sets and reads these
# Makes the host VM's second drive, starts the VM and ends it. Sourced by `run` and `demo`, which set $here (this directory's
# parent), $build and $total_seconds, the VM's watchdog.

# prepare_host_vm NAME: checks that this machine can run one, leaves the directories $image (cached) and $work (of this run,
# with NAME in its name), and arranges their removal.
prepare_host_vm() {
  check_machine
  need_tools qemu-system-x86_64=qemu-system-x86 meson=meson
  image=$("$here/image")
  work=$(mktemp -d "$build/$1.XXXXXX")
  trap 'end_host_vm; rm -rf "$work"' EXIT
  trap 'exit 130' INT TERM HUP
}

# stage_drive: collects everything that changes between runs, except the scenarios.
stage_drive() {
  local tree=$work/drive
  mkdir -p "$tree/product"
  DESTDIR=$tree/product meson install -C "$build" --no-rebuild --quiet --strip >"$work/install.log" 2>&1 ||
    { cat "$work/install.log" >&2; die "meson install failed; is $build built?"; }
  [ -x "$tree/product/usr/bin/hostcall" ] ||
    die "$build installs no /usr/bin/hostcall; set it up with --prefix=/usr --sysconfdir=/etc"
  cp -r "$here/host" "$tree/host"
  make_guest "$tree/product/usr/bin/hostcall" "$tree/guest.initrd"
  [ ! -e "$build/tests/bench/bench-raw-server" ] || make_bench "$tree/bench"
  [ ! -e "$build/tests/interop/go/inventory/inventory.pb" ] || cp -r "$build/tests/interop/go/inventory" "$tree/"
}

# make_drive SCENARIO-FILE...: makes the second drive, a bare tar, of what stage_drive collected. See host/vm-test.service.
make_drive() {
  local tree=$work/drive
  rm -rf "$tree/scenarios"
  mkdir "$tree/scenarios"
  cp "$@" "$tree/scenarios/"
  tar -C "$tree" --owner=0 --group=0 --numeric-owner -cf "$work/drive.tar" .
}

# The guest has only the CLI of the product. Its initramfs is made here, where the CLI's libraries are known. Perl sends bytes
# that no client of ours would send: every Debian has it, and its sockets accept any address.
make_guest() {
  cp -r "$image/guest" "$work/guest"
  install -m 755 "$here/guest/init" "$work/guest/init"
  stage_program "$1" "$work/guest"
  stage_program /usr/bin/perl "$work/guest"
  pack_initramfs "$work/guest" "$2"
}

# The benchmarks' servers for the host VM, and an archive of their clients that is appended to a guest's initramfs, because
# only one scenario's guest needs them.
make_bench() {
  local program
  mkdir -p "$1" "$work/bench/usr/bin"
  strip -o "$1/bench-raw-server" "$build/tests/bench/bench-raw-server"
  for program in bench-raw-client bench-hostcall-client; do
    stage_program "$build/tests/bench/$program" "$work/bench"
    strip "$work/bench/usr/bin/$program"
  done
  (cd "$work/bench" && find . | LC_ALL=C sort | "$work/guest/bin/busybox" cpio -o -H newc -R 0:0 2>/dev/null) >"$1/guest.cpio"
}

# Starts the host VM. Descriptor $results reads its runner's lines and ends when QEMU does.
start_host_vm() {
  exec {results}< <(exec_host_vm 2>"$work/qemu.log" </dev/null)
  vm=$!
}

# The root drive is the cached image; this run's writes go to a temporary file that QEMU deletes. The third drive is the
# unchanged image, for guests that run a distribution.
# One processor: with two, QEMU 7.2's emulation of SVM sometimes left the host VM's kernel spinning forever on one of them
# (in 1 of about 130 guest boots), and two were not faster.
exec_host_vm() {
  TMPDIR=$work exec timeout --kill-after=5 "$total_seconds" \
    qemu-system-x86_64 -M q35 -accel tcg,thread=multi -cpu EPYC,+svm -smp 1 -m "$host_vm_megabytes" \
    -nodefaults -display none -no-reboot -nic none \
    -kernel "$image/vmlinuz" -initrd "$image/host.initrd" \
    -append "console=ttyS0 quiet panic=-1 systemd.show_status=0" \
    -serial "file:$work/console.log" \
    -drive "file=$image/root.img,format=raw,if=virtio,snapshot=on" \
    -drive "file=$work/drive.tar,format=raw,if=virtio,readonly=on" \
    -drive "file=$image/root.img,format=raw,if=virtio,readonly=on" \
    -device virtio-serial-pci -chardev file,id=results,path=/dev/stdout \
    -device virtserialport,chardev=results,name=hostcall.vm-test
}

# timeout passes the signal on to its child, QEMU, and kills it when that does not help.
end_host_vm() {
  if [ -n "${vm:-}" ] && kill -0 "$vm" 2>/dev/null; then
    kill "$vm" 2>/dev/null || true
    wait "$vm" 2>/dev/null || true
  fi
}
