# shellcheck shell=bash
# The steps of make-initramfs, for scripts that make their own initramfs: an init, busybox, kernel modules in load order,
# files. Source this file, never execute it. Each step adds to a directory; the last one packs it.

# stage_busybox BUSYBOX TO adds busybox and the mount points for an init.
stage_busybox() {
  mkdir -p "$2"/{bin,dev,proc,sys,tmp,run,etc,root,usr/bin}
  cp "$1" "$2/bin/busybox"
  ln -sf busybox "$2/bin/sh"
}

# stage_modules ROOT KERNEL TO MODULE... copies the modules and their dependencies from the system tree ROOT to TO/modules,
# and writes TO/modules/order: one file name per line, in load order. Skips built-in modules.
stage_modules() {
  local root=$1 kernel=$2 to=$3 path
  shift 3
  mkdir -p "$to/modules"
  modprobe -d "$root" -S "$kernel" --show-depends -a "$@" |
    sed -n 's/^insmod \([^ ]*\).*/\1/p' | awk '!seen[$0]++' |
    while read -r path; do
      stage_module "$path" "$to/modules"
    done >"$to/modules/order"
}

# Unpacks a compressed module, because not every insmod and kernel can. Prints the file's name.
stage_module() {
  local name=${1##*/}
  case $name in
    *.gz) gzip -dc "$1" ;;
    *.xz) xz -dc "$1" ;;
    *.zst) zstd -dcq "$1" ;;
    *) cat "$1" ;;
  esac >"$2/${name%.ko*}.ko"
  echo "${name%.ko*}.ko"
}

stage_no_modules() {
  mkdir -p "$1/modules"
  : >"$1/modules/order"
}

# stage_files TO FILE:PATH... adds each file at its path.
stage_files() {
  local to=$1 pair
  shift
  for pair in "$@"; do
    mkdir -p "$to$(dirname "${pair#*:}")"
    cp "${pair%%:*}" "$to${pair#*:}"
  done
}

# pack_initramfs TREE OUT packs the tree with its own busybox's cpio.
pack_initramfs() {
  (cd "$1" && find . | LC_ALL=C sort | ./bin/busybox cpio -o -H newc -R 0:0 2>/dev/null) >"$2"
}
