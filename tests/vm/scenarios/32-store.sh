# shellcheck shell=bash disable=SC2154
# The store between real machines: under the shipped sandbox, a guest's keys are on the host's disk, visible to the host
# only. They survive restarts and kills of the daemon, and go with the guest's session or boot if they have that lifetime.
daemon_fresh web1=42 db1=43
cat >/etc/hostcall/policy.d/10-local.json <<'JSON'
{"rules": [{"vms": ["*"], "calls": ["hostcall.v1.Store/*"], "resources": ["/shared/**"], "action": "allow"}]}
JSON

# in_log GUEST JOB TEXT: whether a background program has printed the text.
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

# --- private by default, shared by policy, and the host sees everything
in_guest web1 hostcall kv put /self/state up
expect_status 0
in_guest web1 hostcall kv put /self/boot 1 --lifetime boot
expect_status 0
in_guest db1 hostcall kv get /self/state
expect_status 1
in_guest db1 hostcall kv get /vm/web1/state
expect_status 2
in_guest web1 hostcall kv put /shared/leader web1 --if-revision 0
expect_status 0
in_guest db1 hostcall kv put /shared/leader db1 --if-revision 0
expect_status 1
on_host hostcallctl kv list / -q
expect_status 0
[ "$(<"$VM_TEST_DIR/stdout")" = $'/shared/leader\n/vm/web1/boot\n/vm/web1/state' ] || fail 'the host sees other keys'

# --- a watch in a guest continues after the daemon is killed, and misses nothing
guest_background db1 watch hostcall --timeout 1h kv watch /shared/ --snapshot --count 3
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

# --- keys with boot lifetime are gone after the next boot
guest_reboot web1
in_guest web1 hostcall whoami
expect_status 0
wait_until key_gone /vm/web1/boot
in_guest web1 hostcall kv get /self/state
expect_status 0

# --- a full disk: writes are refused, reads work, and it recovers by itself
trap 'umount -l /var/lib/hostcall /mnt 2>/dev/null || true' EXIT
mount -t tmpfs -o size=1m tmpfs /mnt
on_host systemctl stop hostcalld.service
cp -a /var/lib/hostcall/. /mnt/
chown hostcall:hostcall /mnt
mount --bind /mnt /var/lib/hostcall
on_host systemctl start hostcalld.service
expect_status 0
head -c 2000000 /dev/zero >/mnt/ballast 2>/dev/null || true
in_guest web1 hostcall --timeout 3s kv put /self/more 1
expect_status 123
expect_said 'RESOURCE_EXHAUSTED'
in_guest web1 hostcall kv get /self/state
expect_status 0
rm /mnt/ballast
in_guest web1 hostcall kv put /self/more 1
expect_status 0
daemon_journal -o cat PRIORITY=3 >"$VM_TEST_DIR/records"
grep -q 'the store refuses writes' "$VM_TEST_DIR/records" || fail 'the journal does not tell of the full disk'
on_host systemctl stop hostcalld.service hostcalld.socket
