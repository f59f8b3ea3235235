# shellcheck shell=bash
# An initramfs as an operator builds it with the guest kit: busybox, this host's kernel modules and the static hostcall.
# The guest has no shared libraries, and the host knows it by name.
kit=/usr/lib/hostcall/guest-kit
[ -x "$kit/hostcall" ] || skip "the build has no static hostcall; set it up with -Dguest_kit=true"
daemon_fresh web1=42

initramfs=$VM_TEST_DIR/guest.initrd
on_host "$kit/initramfs/make-initramfs" -m virtio_blk -a /etc/hostname:/etc/made-on "$initramfs"
expect_status 0
on_host busybox cpio -t -F "$initramfs"
expect_status 0
for file in usr/bin/hostcall modules/virtio_blk.ko etc/made-on; do
  expect_said "$file"
done
expect_not_said .so

on_host timeout 900 qemu-system-x86_64 -M q35 -accel kvm -cpu host -m 256 -nographic -nic none -kernel /boot/vmlinuz \
  -initrd "$initramfs" -append "console=ttyS0 quiet panic=-1" -device vhost-vsock-pci,guest-cid=42
expect_status 0
expect_stdout 'VM +web1\b'
expect_stdout '^recognised by +CID 42\b'
expect_stdout '^host +vmhost\b'
on_host daemon_journal -p warning
expect_no_stdout
