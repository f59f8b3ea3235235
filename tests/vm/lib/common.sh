# shellcheck shell=bash
# Functions that `run` and `image` share: messages, root rights, missing tools. Sourced on the development machine; nothing
# here runs inside a virtual machine.

# Debian keeps mke2fs and chroot in directories that are not in an ordinary user's PATH.
PATH=$PATH:/usr/local/sbin:/usr/sbin:/sbin

note() { printf '%s\n' "$*" >&2; }

die() {
  note "${0##*/}: $*"
  exit 1
}

# The host VM's share of this machine.
host_vm_megabytes=3072

# check_machine: ends the script with the reason if this machine can't run the virtual machines. They need no KVM.
check_machine() {
  local megabytes
  [ "$(uname -m)" = x86_64 ] || die "the virtual machines are x86_64, this machine is $(uname -m)"
  megabytes=$(awk '$1 == "MemAvailable:" { print int($2 / 1024) }' /proc/meminfo)
  [ "$megabytes" -ge "$host_vm_megabytes" ] ||
    die "the host VM takes up to $host_vm_megabytes MiB of memory, and only $megabytes MiB are available"
}

# as_root COMMAND...: runs it with root rights, or says which step needs them.
as_root() {
  if [ "$(id -u)" = 0 ]; then
    "$@"
  elif command -v sudo >/dev/null; then
    sudo "$@"
  else
    die "needs root (or sudo) for: $*"
  fi
}

# need_tools COMMAND=PACKAGE...: installs the Debian packages of missing commands.
need_tools() {
  local pair missing=()
  for pair in "$@"; do
    command -v "${pair%%=*}" >/dev/null || missing+=("${pair#*=}")
  done
  [ ${#missing[@]} -gt 0 ] || return 0
  command -v apt-get >/dev/null ||
    die "missing ${missing[*]}, and this is no Debian machine: install them by hand"
  note "installing ${missing[*]}"
  apt_install "${missing[@]}" || die "cannot install ${missing[*]}; apt-get's words are above"
}

# The package lists of a fresh machine may be empty or old, so a first failure is not final.
apt_install() {
  local install=(timeout 600 env DEBIAN_FRONTEND=noninteractive apt-get install -qq -y --no-install-recommends "$@")
  as_root "${install[@]}" >/dev/null 2>&1 && return
  as_root timeout 300 apt-get update -qq >&2 || true
  as_root "${install[@]}" >&2
}

# Prints a hash of the contents of the named files. It ignores their paths, so that two checkouts of the same tree share the
# cache.
hash_of_files() { cat -- "$@" | sha256sum | cut -c1-16; }
