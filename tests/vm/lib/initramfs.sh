# shellcheck shell=bash disable=SC2154 # "here" comes from the script that sources this
# Builds the initramfs of either virtual machine with the steps of the guest kit, and adds what only the tests need. Sourced
# by `image` (for the host VM, cached) and by `run` (for the guest, with the CLI under test), which set $here.

# shellcheck source=../../../systemd/guest/initramfs/stage.sh
. "$here/../../systemd/guest/initramfs/stage.sh"

# stage_program PROGRAM TO: copies a program to TO/usr/bin, and its shared libraries to where the loader looks for them.
stage_program() {
  local library
  cp "$1" "$2/usr/bin/"
  { ldd "$1" 2>/dev/null || true; } | grep -o '/[^ ]*' | while read -r library; do
    install -D -m 755 "$(readlink -f "$library")" "$2$library"
  done
}
