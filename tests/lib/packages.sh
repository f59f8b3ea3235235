# shellcheck shell=bash
# install_packages: gets Debian packages onto the machine, if any is missing. Sourced by ../run and ../../quickstart.
# The lists are the files of ../packages: a name a line, # begins a comment.

package_folder=$(dirname "$(readlink -f "${BASH_SOURCE[0]}")")/../packages

# install_packages LIST...: installs what is missing of the lists, by sudo unless root. False, and an explanation on
# standard error, when it can't. Needs no network and no root when nothing is missing.
install_packages() {
  local missing
  mapfile -t missing < <(missing_packages "$@")
  [ ${#missing[@]} -gt 0 ] || return 0
  echo "installing ${#missing[@]} Debian packages: ${missing[*]}" >&2
  if ! command -v apt-get >/dev/null; then
    echo "This is no Debian machine: install them by its own means, or run this on Debian 12." >&2
    return 1
  fi
  local as_root=()
  if [ "$(id -u)" != 0 ]; then
    if ! command -v sudo >/dev/null; then
      printf 'This needs root, and there is no sudo. As root, run:\n  apt-get install %s\n' "${missing[*]}" >&2
      return 1
    fi
    as_root=(sudo)
    echo "asking sudo for the right to do so" >&2
  fi
  apt_install "${missing[@]}" || {
    printf 'apt-get could not install: %s\nIts own words are above. Is the network there, and is this Debian 12?\n' \
      "$(missing_packages "$@" | paste -sd' ')" >&2
    return 1
  }
}

# missing_packages LIST...: the names that are not installed, one a line.
missing_packages() {
  local list name
  for list in "$@"; do
    while read -r name; do
      package_is_installed "$name" || echo "$name"
    done < <(sed 's/#.*//; /^ *$/d' "$package_folder/$list")
  done
}

package_is_installed() {
  [ "$(dpkg-query -W -f='${db:Status-Status}\n' "$1" 2>/dev/null | head -n 1)" = installed ]
}

# Mirrors fail now and then, and a fresh machine's package lists are empty or old. Uses as_root of its caller.
apt_install() {
  local try
  for try in 1 2 3; do
    [ "$try" = 1 ] || sleep $((try * 5))
    apt_get update -qq >/dev/null || continue
    apt_get install -qq -y --no-install-recommends "$@" >/dev/null && return 0
  done
  return 1
}

# apt_get COMMAND...: apt-get that asks nothing, waits for another apt-get, and does not hang on a dead mirror.
apt_get() {
  timeout --foreground 900 "${as_root[@]}" env DEBIAN_FRONTEND=noninteractive apt-get \
    -o DPkg::Lock::Timeout=300 -o Acquire::Retries=3 -o Acquire::http::Timeout=30 -o Dpkg::Use-Pty=0 "$@"
}
