# shellcheck shell=bash disable=SC2154 # "here" comes from host/scenario
# The guest kit in a guest that runs a distribution: the host VM's own Debian, with the static hostcall and the unit copied
# into it. A service that needs the host starts after the host has answered. If the host refuses the VM, the unit fails at
# once with the remedy in the journal, and the boot still completes; if nobody answers, the unit gives up.
kit=/usr/lib/hostcall/guest-kit
[ -x "$kit/hostcall" ] || skip "the build has no static hostcall; set it up with -Dguest_kit=true"
daemon_fresh web1=42

initramfs=$VM_TEST_DIR/guest.initrd

# A service of the guest, as in the kit's README.
cat >"$VM_TEST_DIR/agent.service" <<'UNIT'
[Unit]
Wants=hostcall-online.service
After=hostcall-online.service
[Service]
Type=oneshot
RemainAfterExit=yes
ExecStart=-/usr/bin/hostcall whoami -q
UNIT

# Prints on the console how the boot went, and ends the guest.
cat >"$VM_TEST_DIR/report.service" <<'UNIT'
[Service]
Type=exec
ExecStart=/usr/bin/report
StandardOutput=tty
TTYPath=/dev/console
UNIT
cat >"$VM_TEST_DIR/report" <<'SCRIPT'
#!/bin/sh
echo
echo "boot: $(systemctl is-system-running --wait)"
for unit in hostcall-online agent; do
  echo "$unit: $(systemctl is-active $unit.service)"
  journalctl --quiet --output=cat --unit=$unit.service _TRANSPORT=stdout | sed "s/^/$unit says: /"
done
echo "hostcall-online: status $(systemctl show --property=ExecMainStatus --value hostcall-online.service)"
nobody=$(hostcall whoami --wait --timeout 10s --address vsock:2:9 2>&1)
echo "without a daemon: $? $nobody"
systemctl poweroff --force --force
SCRIPT
chmod +x "$VM_TEST_DIR/report"

# Its first program is the host VM's, which copies the contents of /add onto the drive's root. It does not load the vsock
# driver: the unit does.
debian_initramfs() {
  # shellcheck source=../../../systemd/guest/initramfs/stage.sh
  . "$kit/initramfs/stage.sh"
  local tree=$VM_TEST_DIR/tree units=/add/etc/systemd/system
  stage_busybox /bin/busybox "$tree"
  stage_modules / "$(uname -r)" "$tree" virtio_pci virtio_blk
  stage_files "$tree" "$here/init:/init" "$kit/hostcall:/add/usr/bin/hostcall" "$VM_TEST_DIR/report:/add/usr/bin/report" \
    "$kit/hostcall-online.service:$units/hostcall-online.service" \
    "$VM_TEST_DIR/agent.service:$units/agent.service" "$VM_TEST_DIR/report.service:$units/report.service"
  pack_initramfs "$tree" "$initramfs"
}
debian_initramfs

# Other units of this Debian, which nothing here needs and which would triple the time.
unwanted=(vm-test.service dbus.service dbus.socket kmod-static-nodes.service
  {dev-hugepages,dev-mqueue,sys-fs-fuse-connections,sys-kernel-{config,debug,tracing}}.mount
  modprobe@{configfs,dm_mod,drm,efi_pstore,fuse,loop}.service
  systemd-{journal-flush,logind,modules-load,random-seed,remount-fs,sysctl,sysusers,user-sessions}.service
  systemd-{udevd,udev-trigger,update-utmp,update-utmp-runlevel}.service systemd-udevd-{control,kernel}.socket)

# boot_debian CID: boots a guest and leaves its console output.
boot_debian() {
  on_host timeout 900 qemu-system-x86_64 -M q35 -accel kvm -cpu host -m 512 -nographic -nic none \
    -kernel /boot/vmlinuz -initrd "$initramfs" -drive file=/dev/vdc,format=raw,if=virtio,snapshot=on \
    -append "console=ttyS0 quiet panic=-1 systemd.show_status=0 ${unwanted[*]/#/systemd.mask=}
      systemd.wants=agent.service systemd.wants=report.service" \
    -device "vhost-vsock-pci,guest-cid=$1"
  expect_status 0
}

boot_debian 42
expect_stdout '^boot: running\b'
expect_stdout '^hostcall-online: active\b'
expect_stdout '^hostcall-online says: VM +web1\b'
expect_stdout '^agent: active\b'
expect_stdout '^agent says: web1\b'

boot_debian 77
expect_stdout '^boot: degraded\b'
expect_stdout '^hostcall-online: failed\b'
expect_stdout '^hostcall-online says: .*hostcallctl vm add NAME --cid 77\b'
expect_stdout '^agent: active\b'
expect_stdout '^hostcall-online: status 126\b' # the refusal, and not 124 as after all of the unit's time
expect_stdout '^without a daemon: 124 .*is hostcalld running'
