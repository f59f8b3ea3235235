#!/usr/bin/env bash
# Shows that a stock Go ttrpc client works with hostcalld: generates Go code from proto/ with ttrpc's own generator, builds
# hello/ (which the README quotes) and checks/, and runs both against a real daemon in a temporary directory. The same
# client calls a service of the server library, served/.
# Everything Go is taken from Debian packages, nothing from the network. Prints TAP; meson test runs it (suite interop).
set -euo pipefail

here=$(dirname "$(readlink -f "$0")")
root=$(readlink -f "$here/../..")
build=${HOSTCALL_BUILD:-}
# Against hanging: nothing is judged by how long it takes.
patience_seconds=600

# What the daemon is told about the calling VM, and what the checks then expect to hear.
export EXPECT_VM=web1 EXPECT_UUID=6ab3c9a2-0c7e-4a55-9d0f-0a7c5a1d2e3f EXPECT_TAGS=web,go
export EXPECT_DENIED_BY=50-interop.json

usage() {
  cat <<'USAGE'
usage: run.sh [--build DIR]
  --build DIR   a meson build directory with hostcalld built (default: $HOSTCALL_BUILD, which meson test sets)
USAGE
}

main() {
  parse_arguments "$@"
  skip_unless_installed
  work=$(mktemp -d)
  trap clean_up EXIT
  trap 'exit 130' INT TERM HUP
  build_programs
  start_server
  start_daemon
  export HOSTCALL_ADDRESS=unix:$work/web1.sock
  say_hello
  run_checks "$GOBIN/checks" "$work/daemon.log"
  stop_daemon
  call_service
  echo "1..$points"
}

parse_arguments() {
  while [ $# -gt 0 ]; do
    case $1 in
      --build) build=${2:?--build needs a directory}; shift ;;
      -h | --help) usage; exit 0 ;;
      *) usage >&2; exit 2 ;;
    esac
    shift
  done
  [ -n "$build" ] || { usage >&2; exit 2; }
  build=$(readlink -f "$build")
  hostcalld=$build/daemon/hostcalld
  [ -x "$hostcalld" ] || bail_out "$hostcalld is missing; build it first: ninja -C $build daemon/hostcalld"
}

# ---------------------------------------------------------------- TAP

points=0

# point ok|"not ok" NAME
point() {
  points=$((points + 1))
  echo "$1 - $2"
}

comment() { sed 's/^/# /'; }

bail_out() {
  echo "Bail out! $*"
  exit 1
}

skip_unless_installed() {
  local gopath=/usr/share/gocode/src missing=()
  command -v go >/dev/null || missing+=(golang-go)
  command -v protoc >/dev/null || missing+=(protobuf-compiler)
  [ -d $gopath/github.com/containerd/ttrpc ] || missing+=(golang-github-containerd-ttrpc-dev)
  [ -d $gopath/github.com/mdlayher/vsock ] || missing+=(golang-github-mdlayher-vsock-dev)
  [ ${#missing[@]} -gt 0 ] || return 0
  echo "1..0 # SKIP Debian packages are missing: ${missing[*]}"
  exit 0
}

# ---------------------------------------------------------------- the Go programs

# Results stay in the build directory, so that a second run takes no time.
build_programs() {
  local go=$build/tests/interop/go
  mkdir -p "$go/src"
  export GO111MODULE=off GOFLAGS='' GOPATH=$go:/usr/share/gocode GOCACHE=$go/cache GOBIN=$go/bin
  in_log go install github.com/containerd/ttrpc/cmd/protoc-gen-gogottrpc
  # shellcheck disable=SC2046  # one word for each file
  in_log protoc --plugin="$GOBIN/protoc-gen-gogottrpc" --proto_path="$root/proto" --gogottrpc_out="plugins=ttrpc:$go/src" \
    $(cd "$root/proto" && ls hostcall/v1/*.proto)
  in_log protoc --plugin="$GOBIN/protoc-gen-gogottrpc" --proto_path="$here" --gogottrpc_out="plugins=ttrpc:$go/src" \
    --include_imports --descriptor_set_out="$work/inventory.pb" acme/v1/inventory.proto
  in_log go build -o "$GOBIN/hello" "$here"/hello/*.go
  in_log go build -o "$GOBIN/checks" "$here"/checks/*.go
  # The virtual machines take these two, so no library of this machine.
  mkdir -p "$go/inventory"
  CGO_ENABLED=0 in_log go build -o "$go/inventory/server" "$here"/server/*.go
  mv "$work/inventory.pb" "$go/inventory/inventory.pb"
  in_log go build -o "$GOBIN/served" "$here"/served/*.go
}

# in_log COMMAND...: what it says is of interest when it fails only.
in_log() {
  "$@" >"$work/build.log" 2>&1 && return
  comment <"$work/build.log"
  bail_out "failed: $*"
}

say_hello() {
  local name='hello: the smallest Go guest' expected
  expected="The host $(uname -n) ($(sed -n 's/^PRETTY_NAME="\(.*\)"$/\1/p' /etc/os-release)) knows me as $EXPECT_VM."
  timeout "$patience_seconds" "$GOBIN/hello" >"$work/hello.out" 2>&1 || true
  if [ "$(<"$work/hello.out")" = "$expected" ]; then
    point ok "$name"
  else
    point 'not ok' "$name"
    printf 'said:     %s\nexpected: %s\n' "$(<"$work/hello.out")" "$expected" | comment
  fi
}

# run_checks PROGRAM LOG: LOG is what the other side has said.
run_checks() {
  local code=0
  timeout "$patience_seconds" "$1" >"$work/checks.out" 2>"$work/checks.err" || code=$?
  cat "$work/checks.out"
  points=$((points + $(grep -cE '^(not )?ok' "$work/checks.out" || true)))
  [ $code = 0 ] && return
  comment <"$work/checks.err"
  comment <"$2"
  bail_out "checks ended with exit code $code"
}

# ---------------------------------------------------------------- the server library

call_service() {
  export SERVED_ADDRESS=unix:$work/served.sock
  start "$work/served.log" 'serving' "$build/tests/interop/served-service" "$SERVED_ADDRESS"
  run_checks "$GOBIN/served" "$work/served.log"
  stop 'the service ends in order' "$work/served.log"
}

# ---------------------------------------------------------------- the daemon

write_configuration() {
  umask 022  # hostcalld reads no file that a group may write
  mkdir "$work"/{run,state,vms.d,policy.d,services.d}
  cat >"$work/vms.d/50-interop.json" <<VMS
{"vms": [{"name": "$EXPECT_VM", "uuid": "$EXPECT_UUID", "tags": ["${EXPECT_TAGS//,/\", \"}"], "unix_path": "$work/web1.sock"}]}
VMS
  cat >"$work/policy.d/$EXPECT_DENIED_BY" <<'POLICY'
{"rules": [
  {"vms": ["web1"], "calls": ["hostcall.v1.Host/Metrics"], "action": "deny"},
  {"vms": ["web1"], "calls": ["*"], "action": "allow"}
]}
POLICY
  cat >"$work/services.d/50-interop.json" <<SERVICES
{"service": "acme.v1.Inventory", "ttrpc": "unix:$work/server.sock", "metadata": ["traceparent", "acme-*"]}
SERVICES
  cat >"$work/hostcalld.json" <<CONFIG
{
  "listen": [], "admin_socket": "$work/admin.sock",
  "runtime_directory": "$work/run", "state_directory": "$work/state",
  "vms_directory": "$work/vms.d", "policy_directory": "$work/policy.d", "services_directory": "$work/services.d"
}
CONFIG
}

start_server() {
  "$build/tests/interop/go/inventory/server" "$work/server.sock" >"$work/server.log" 2>&1 &
  server=$!
  wait_for "the Go server" "$server" "$work/server.log" test -S "$work/server.sock"
}

# wait_for WHO PID LOG COMMAND...: until the command succeeds.
wait_for() {
  local who=$1 pid=$2 log=$3 tries=$((patience_seconds * 10))
  shift 3
  until "$@"; do
    if ! kill -0 "$pid" 2>/dev/null || [ $((tries -= 1)) = 0 ]; then
      comment <"$log"
      bail_out "$who did not start, see above"
    fi
    sleep 0.1
  done
}

start_daemon() {
  EXPECT_VERSION=$("$hostcalld" --version)
  export EXPECT_VERSION=${EXPECT_VERSION#hostcalld }
  write_configuration
  start "$work/daemon.log" 'started' "$hostcalld" --config "$work/hostcalld.json"
}

stop_daemon() { stop 'hostcalld ends in order' "$work/daemon.log"; }

# start LOG WORD PROGRAM...: starts the program, which says WORD when it can be called.
start() {
  local log=$1 word=$2
  shift 2
  "$@" >"$log" 2>&1 &
  daemon=$!
  wait_for "$1" "$daemon" "$log" grep -q "$word" "$log"
}

# stop POINT LOG: ends what start() has started. Its own assertions and, in such a build, the sanitizers have the last word.
stop() {
  local name=$1 log=$2 code=0 pid=$daemon
  timeout "$patience_seconds" tail --pid="$pid" -f /dev/null &
  local guard=$!
  kill "$pid"
  wait "$guard" || { kill -KILL "$pid" || true; }
  wait "$pid" || code=$?
  daemon=''
  if [ $code = 0 ]; then
    point ok "$name"
  else
    point 'not ok' "$name"
    { echo "exit code $code; it said:"; cat "$log"; } | comment
  fi
}

clean_up() {
  local pid
  for pid in ${daemon:+"$daemon"} ${server:+"$server"}; do
    kill -KILL "$pid" 2>/dev/null || true
    wait "$pid" 2>/dev/null || true
  done
  rm -rf "$work"
}

main "$@"
