# shellcheck shell=bash disable=SC2154
# The store between real machines: a guest's keys on the host's disk under the shipped sandbox, seen by the host and by
# nobody else, over restarts and kills of the daemon, and gone with the guest's session or boot if that is what was said.
daemon_fresh web1=42 db1=43
cat >/etc/hostcall/policy.d/10-local.json <<'JSON'
{"rules": [{"vms": ["*"], "calls": ["hostcall.v1.Store/*"], "resources": ["/shared/**"], "action": "allow"}]}
JSON

# in_log GUEST JOB TEXT: whether a program in the background has printed this.
in_log() {
  in_guest "$1" grep -q "$3" "/tmp/$2.log"
  [ "$status" = 0 ]
}
# key_gone KEY: whether there is no such key.
key_gone() {
  on_host hostcallctl kv get "$1"
  [ "$status" = 1 ]
}

guest_boot web1 42
guest_boot db1 43

# --- private by default, shared by policy, all of it for the host
in_guest web1 hostcall kv put /self/state up
expect_status 0
in_guest web1 hostcall kv put /self/boot 1 --lifetime boot
expect_status 0
in_guest db1 hostcall kv get /self/state
expect_status 1
in_guest db1 hostcall kv get /vm/web1/state
expect_status 126
in_guest web1 hostcall kv put /shared/leader web1 --if-revision 0
expect_status 0
in_guest db1 hostcall kv put /shared/leader db1 --if-revision 0
expect_status 1
on_host hostcallctl kv list / -q
expect_status 0
[ "$(<"$VM_TEST_DIR/stdout")" = $'/shared/leader\n/vm/web1/boot\n/vm/web1/state' ] || fail 'the host sees other keys'

# --- a watch in a guest goes on over a kill of the daemon, and misses nothing
guest_background db1 watch hostcall kv watch /shared/ --snapshot --count 3
wait_until in_log db1 watch leader
on_host systemctl kill --signal=KILL hostcalld.service
expect_status 0
in_guest web1 hostcall --timeout 10m kv put /shared/one 1 --wait
expect_status 0
on_host systemctl restart hostcalld.service
expect_status 0
on_host hostcallctl kv put /two 2 --shared
expect_status 0
guest_finish db1 watch
expect_status 0
expect_stdout 'put /shared/one '
expect_stdout 'put /shared/two '
in_guest web1 hostcall kv get /self/boot
expect_status 0

# --- with the next boot, what was for one boot is gone
guest_reboot web1
in_guest web1 hostcall whoami
expect_status 0
wait_until key_gone /vm/web1/boot
in_guest web1 hostcall kv get /self/state
expect_status 0

# --- a full disk: refused within seconds, read all the same, and better by itself
trap 'umount -l /var/lib/hostcall /mnt 2>/dev/null || true' EXIT
mount -t tmpfs -o size=1m tmpfs /mnt
on_host systemctl stop hostcalld.service
cp -a /var/lib/hostcall/. /mnt/
chown hostcall:hostcall /mnt
mount --bind /mnt /var/lib/hostcall
on_host systemctl start hostcalld.service
expect_status 0
head -c 2000000 /dev/zero >/mnt/ballast 2>/dev/null || true
in_guest web1 hostcall kv put /self/more 1
expect_status 125
expect_said 'RESOURCE_EXHAUSTED'
in_guest web1 hostcall kv get /self/state
expect_status 0
rm /mnt/ballast
in_guest web1 hostcall kv put /self/more 1
expect_status 0
daemon_journal -o cat PRIORITY=3 >"$VM_TEST_DIR/records"
grep -q 'the store refuses writes' "$VM_TEST_DIR/records" || fail 'the journal does not tell of the full disk'
on_host systemctl stop hostcalld.service hostcalld.socket
