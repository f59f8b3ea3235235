# shellcheck shell=bash
# Builds the initramfs of either virtual machine: busybox, kernel modules in load order, an init, more files.
# Sourced by `image` (the host VM's, cached) and by `run` (the guest's, which carries the CLI under test).

# stage_modules ROOT KERNEL TO MODULE... copies the modules and all that they need from the system
# tree ROOT into TO/modules, and writes TO/modules/order, one file name a line, as they must be loaded.
stage_modules() {
  local root=$1 kernel=$2 to=$3 path
  shift 3
  mkdir -p "$to/modules"
  as_root chroot "$root" modprobe -S "$kernel" --show-depends -a "$@" |
    sed -n 's/^insmod \([^ ]*\).*/\1/p' | awk '!seen[$0]++' |
    while read -r path; do
      cp "$root$path" "$to/modules/"
      basename "$path"
    done >"$to/modules/order"
}

# stage_busybox BUSYBOX TO puts the static busybox and the directories that an init mounts on.
stage_busybox() {
  mkdir -p "$2"/{bin,dev,proc,sys,tmp,run,etc,root,usr/bin}
  cp "$1" "$2/bin/busybox"
  ln -sf busybox "$2/bin/sh"
}

# stage_program PROGRAM TO copies a program to TO/usr/bin with the shared libraries that it loads, each
# at the path where the loader looks for it. A static program has none.
stage_program() {
  local library
  cp "$1" "$2/usr/bin/"
  { ldd "$1" 2>/dev/null || true; } | grep -o '/[^ ]*' | while read -r library; do
    install -D -m 755 "$(readlink -f "$library")" "$2$library"
  done
}

# pack_initramfs TREE OUT. Not compressed: an emulated processor reads the bytes faster than it unpacks them.
pack_initramfs() {
  (cd "$1" && find . -print0 | LC_ALL=C sort -z | cpio --null --quiet -o -H newc -R 0:0) >"$2"
}
