# shellcheck shell=bash disable=SC2154 # "here" comes from the script that sources this
# The initramfs of either virtual machine. Its steps are the guest kit's own; only what a guest's image does not need is here.
# Sourced by `image` (the host VM's, cached) and by `run` (the guest's, which carries the CLI under test); they set $here.

# shellcheck source=../../../systemd/guest/initramfs/stage.sh
. "$here/../../systemd/guest/initramfs/stage.sh"

# stage_program PROGRAM TO copies a program to TO/usr/bin with the shared libraries that it loads, each
# at the path where the loader looks for it.
stage_program() {
  local library
  cp "$1" "$2/usr/bin/"
  { ldd "$1" 2>/dev/null || true; } | grep -o '/[^ ]*' | while read -r library; do
    install -D -m 755 "$(readlink -f "$library")" "$2$library"
  done
}
