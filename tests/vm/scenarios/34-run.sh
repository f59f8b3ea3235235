# shellcheck shell=bash disable=SC2154,SC2016,SC2317 # VM_TEST_DIR and status come from elsewhere; perl and sh stand in single quotes
# Programs and sockets of the host under systemd: each program is a unit with its user and limits in its VM's slice, and ends
# whole, also when it is given up or the runner is killed. The VM is one with a Unix socket, because guests add nothing here.
daemon_fresh
id alice >/dev/null 2>&1 || useradd --no-create-home --groups hostcall alice
printf '{"vms": [{"name": "web-1", "unix_path": "/run/hostcall/web.sock"}]}\n' >/etc/hostcall/vms.d/web.json
policy_file 10-run.json <<'JSON'
{"rules": [{"vms": ["web-1"], "calls": ["hostcall.v1.Run/Start", "hostcall.v1.Relay/Open"], "resources": ["**"], "action": "allow"}]}
JSON
mkdir -p /etc/hostcall/services.d
cat >/etc/hostcall/services.d/test.json <<'JSON'
{"services": [
  {"name": "who", "run": ["/usr/bin/id", "-un"], "user": "alice"},
  {"name": "nobody", "run": ["/usr/bin/id", "-u"]},
  {"name": "words", "run": ["/usr/bin/printf", "<%s>"], "arguments": [".*", "rest"], "dashes": true},
  {"name": "limits", "run": ["/bin/sh", "-c", "cat /proc/self/cgroup; exec sleep 1000"], "user": "alice",
   "properties": {"MemoryMax": "64M", "TasksMax": 9, "CPUQuota": "50%", "PrivateTmp": true, "ReadWritePaths": "/tmp"}},
  {"name": "back", "run": ["/usr/bin/env"]},
  {"name": "back-up", "run": ["/usr/bin/env"]},
  {"name": "missing", "run": ["/nowhere/program"]},
  {"name": "greedy", "run": ["/usr/bin/perl", "-e", "my $x = 'x' x 5e8; print length $x"], "properties": {"MemoryMax": "32M"}},
  {"name": "escapes", "run": ["/bin/sh", "-c", "(setsid sh -c 'trap \"\" TERM; sleep 4711' &); sleep 4711"]},
  {"name": "agent", "socket": "unix:/run/alice/agent.sock", "user": "alice"},
  {"name": "ssh-agent", "socket": "unix:/run/alice/ssh-agent.sock", "user": "alice"},
  {"name": "web", "socket": "tcp:127.0.0.1:5000"}]}
JSON
mkdir -p /etc/systemd/system/hostcall-run-back-.service.d
printf '[Service]\nEnvironment=DROPPED=in\n' >/etc/systemd/system/hostcall-run-back-.service.d/10-test.conf
on_host systemctl daemon-reload
on_host systemctl restart hostcalld.service
expect_status 0

# Not by way of a guest.
run() { on_host hostcall --address unix:/run/hostcall/web.sock "$@"; }
units() { systemctl list-units --all --plain --no-legend 'hostcall-run-*.service'; }
no_units() { [ -z "$(units)" ]; }
has_units() { [ -n "$(units)" ]; }
no_sleepers() { ! pgrep -f 'sleep 4711'; }

# --- users and arguments
run run who
expect_status 0
expect_stdout '^alice$'
run run nobody
expect_status 0
[ "$(<"$VM_TEST_DIR/stdout")" -ge 61184 ] || fail 'no dynamic user'
run run words '$HOME' '${PATH}' '%n' 'a b' '-o' '' $'\n'
expect_status 0
[ "$(<"$VM_TEST_DIR/stdout")" = '<$HOME><${PATH}><%n><a b><-o><><'$'\n''>' ] || fail 'arguments were changed'
run run missing
expect_status 125
expect_stderr "can't be started: exec"
run run greedy
[ "$status" -ge 125 ] || fail 'it has all the memory it wants'

# --- drop-ins by prefix hold for one service
run run back
expect_stdout '^DROPPED=in$'
run run back-up
expect_status 0
expect_not_said DROPPED
wait_until no_units

# --- properties, the slice of the VM, and the end of a caller
hostcall --address unix:/run/hostcall/web.sock run limits >"$VM_TEST_DIR/limits" 2>&1 &
caller=$!
wait_until test -s "$VM_TEST_DIR/limits"
unit=$(units | cut -d' ' -f1)
grep -qF '/hostcall.slice/hostcall-run.slice/hostcall-run-web\x2d1.slice/' "$VM_TEST_DIR/limits" || fail 'another slice'
on_host systemctl show "$unit" -p MemoryMax,TasksMax,CPUQuotaPerSecUSec,PrivateTmp,ReadWritePaths,User
for line in MemoryMax=67108864 TasksMax=9 CPUQuotaPerSecUSec=500ms PrivateTmp=yes ReadWritePaths=/tmp User=alice; do
  expect_stdout "^$line\$"
done
kill "$caller"
wait_until no_units

# --- what tries to escape
hostcall --address unix:/run/hostcall/web.sock run escapes &
caller=$!
wait_until pgrep -f 'sleep 4711'
kill -KILL "$caller"
wait_until no_sleepers
wait_until no_units

# --- the runner is killed
hostcall --address unix:/run/hostcall/web.sock run escapes 2>"$VM_TEST_DIR/killed" &
caller=$!
wait_until pgrep -f 'sleep 4711'
on_host systemctl kill --signal=KILL hostcall-runner.service
code=0
wait "$caller" || code=$?
[ "$code" -ge 123 ] || fail "the caller of a lost program ends with $code"
wait_until no_sleepers
wait_until no_units
run run who
expect_status 0

# --- sockets of another user, and TCP
answer='while (my $c = $l->accept) { print $c "from " . getpwuid($<) . "\n"; close $c }'
unix='use IO::Socket::UNIX; my $l = IO::Socket::UNIX->new(Local => "/run/alice/agent.sock", Listen => 5) or die "$!";'
tcp='use IO::Socket::INET; my $l = IO::Socket::INET->new(LocalAddr => "127.0.0.1", LocalPort => 5000, Listen => 5) or die "$!";'
install -d -m 700 -o alice /run/alice
runuser -u alice -- perl -e "$unix$answer" &
runuser -u alice -- perl -e "$tcp$answer" &
wait_until test -S /run/alice/agent.sock
run connect agent
expect_stdout '^from alice$'
wait_until hostcall --address unix:/run/hostcall/web.sock connect web
run connect web
expect_stdout '^from alice$'

# --- the keys of that user's ssh-agent, by a socket of the guest's
agent=$(runuser -u alice -- ssh-agent -a /run/alice/ssh-agent.sock | sed -n 's/^SSH_AGENT_PID=\([0-9]*\);.*/\1/p')
runuser -u alice -- ssh-keygen -q -t ed25519 -N '' -f /run/alice/key
SSH_AUTH_SOCK=/run/alice/ssh-agent.sock runuser -u alice -- ssh-add -q /run/alice/key
hostcall --address unix:/run/hostcall/web.sock forward unix:/run/forwarded.sock ssh-agent &
forward=$!
wait_until test -S /run/forwarded.sock
export SSH_AUTH_SOCK=/run/forwarded.sock
on_host ssh-add -l
expect_stdout 'ED25519'
echo text >/run/text
on_host ssh-keygen -q -Y sign -n test -f /run/alice/key.pub /run/text
expect_status 0
on_host sh -c 'ssh-keygen -Y check-novalidate -n test -s /run/text.sig </run/text'
expect_status 0
unset SSH_AUTH_SOCK
kill "$forward" "$agent"
wait "$forward" || true

# --- nobody else asks the runner: not by the mode of its socket, and not without it
connect='use Socket; socket(S, AF_UNIX, SOCK_SEQPACKET, 0) or die; connect(S, pack_sockaddr_un("/run/hostcall-runner/runner.sock"))
  or die "connect: $!\n"; print sysread(S, my $x, 1), "\n"'
on_host runuser -u alice -- perl -e "$connect"
expect_said 'Permission denied'
on_host perl -e "$connect"
expect_stdout '^0$'

# --- it goes when nobody needs it
on_host systemctl stop hostcalld.service
runner_is_gone() { [ "$(systemctl show -p ActiveState --value hostcall-runner.service)" = inactive ]; }
wait_until runner_is_gone
rm -r /etc/systemd/system/hostcall-run-back-.service.d
