# shellcheck shell=bash
# install_packages: installs missing Debian packages; unpack_packages: unpacks those that must not be installed. ../run and
# ../../quickstart source this file. The lists are the files in ../packages: one name per line, # starts a comment.

package_folder=$(dirname "$(readlink -f "${BASH_SOURCE[0]}")")/../packages

# install_packages LIST...: installs the missing packages of the lists, with sudo unless root. If it can't, explains on
# standard error and returns false. If nothing is missing, needs neither network nor root.
install_packages() {
  local missing
  mapfile -t missing < <(missing_packages "$@")
  [ ${#missing[@]} -gt 0 ] || return 0
  echo "installing ${#missing[@]} Debian packages: ${missing[*]}" >&2
  if ! command -v apt-get >/dev/null; then
    echo "This is not a Debian machine: install them with its own package manager, or run this on Debian 12." >&2
    return 1
  fi
  local as_root=()
  if [ "$(id -u)" != 0 ]; then
    if ! command -v sudo >/dev/null; then
      printf 'Installing them needs root, and sudo is missing. As root, run:\n  apt-get install %s\n' "${missing[*]}" >&2
      return 1
    fi
    as_root=(sudo)
    echo "sudo may ask for your password" >&2
  fi
  apt_install "${missing[@]}" || {
    printf 'apt-get could not install: %s\nIts output is above. Does the network work, and is this Debian 12?\n' \
      "$(missing_packages "$@" | paste -sd' ')" >&2
    return 1
  }
}

# missing_packages LIST...: prints the names that are not installed, one per line.
missing_packages() {
  local list name
  for list in "$@"; do
    while read -r name; do
      package_is_installed "$name" || echo "$name"
    done < <(listed_packages "$list")
  done
}

listed_packages() { sed 's/#.*//; /^ *$/d' "$package_folder/$1"; }

package_is_installed() {
  [ "$(dpkg-query -W -f='${db:Status-Status}\n' "$1" 2>/dev/null | head -n 1)" = installed ]
}

# Retries, because mirrors fail now and then, and updates, because a fresh machine's package lists are empty or old.
# Uses its caller's as_root.
apt_install() {
  local try
  for try in 1 2 3; do
    [ "$try" = 1 ] || sleep $((try * 5))
    apt_get update -qq >/dev/null || continue
    apt_get install -qq -y --no-install-recommends "$@" >/dev/null && return 0
  done
  return 1
}

# apt_get COMMAND...: runs apt-get without questions; waits for another apt-get, but never hangs on a dead mirror.
apt_get() {
  timeout --foreground 900 "${as_root[@]}" env DEBIAN_FRONTEND=noninteractive apt-get \
    -o DPkg::Lock::Timeout=300 -o Acquire::Retries=3 -o Acquire::http::Timeout=30 -o Dpkg::Use-Pty=0 "$@"
}

# unpack_packages LIST DIRECTORY: downloads the packages of the list and unpacks them below the directory, unless they
# are there. Installs nothing, and needs no root. If it can't, says so and returns false.
unpack_packages() {
  local name folder=$2 as_root=()
  while read -r name; do
    [ ! -e "$folder/$name" ] || continue
    rm -rf "$folder/.new"
    mkdir -p "$folder/.new"
    if ! (cd "$folder/.new" && apt_get download -qq "$name" && dpkg-deb -x ./*.deb .) >/dev/null 2>&1; then
      echo "could not download $name; tests that need it are skipped" >&2
      return 1
    fi
    rm -f "$folder"/.new/*.deb
    mv "$folder/.new" "$folder/$name"
  done < <(listed_packages "$1")
}
