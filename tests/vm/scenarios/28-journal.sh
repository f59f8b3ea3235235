# shellcheck shell=bash disable=SC2016,SC2154 # Perl and jq stand in single quotes; daemon_since is from daemon.sh
# What the journal records about a guest: searchable fields, explained by the message catalogue, and no record that a guest
# has forged, whatever its texts contain.
echo_call=hostcall.v1.Diagnostics/Echo
daemon_fresh web1=42 db1=43
guest_boot web1 42

in_guest web1 hostcall call "$echo_call"
expect_status 126
on_host journalctl --sync
on_host journalctl -o json --since "@$daemon_since" HOSTCALL_VM=web1 "HOSTCALL_CALL=$echo_call"
expect_json '.PRIORITY == "5" and .SYSLOG_IDENTIFIER == "hostcalld" and ._SYSTEMD_UNIT == "hostcalld.service"'
expect_json '(.HOSTCALL_PEER | test("^vsock:42:[0-9]+$")) and (.MESSAGE_ID | test("^[0-9a-f]{32}$"))'
expect_json ".HOSTCALL_RULE == \"$(default_rule "$echo_call")\""
on_host journalctl -x --since "@$daemon_since" HOSTCALL_VM=web1 "HOSTCALL_CALL=$echo_call"
expect_stdout 'Subject: Policy denied a call of virtual machine web1$'
expect_said 'hostcallctl policy explain'

# --- a hostile guest: line breaks, fields and control characters in its name, in a method, and instead of a frame
hostile='
  $| = 1;
  socket(S, 40, 1, 0) or die "socket: $!";  # AF_VSOCK, SOCK_STREAM
  connect(S, pack("S S L L x4", 40, 0, 18499, 2)) or die "connect: $!";
  sub field { my ($number, $text) = @_; chr($number << 3 | 2) . chr(length $text) . $text }
  sub request {
    my ($stream, $service, $method, $payload) = @_;
    my $request = field(1, $service) . field(2, $method) . field(3, $payload);
    syswrite(S, pack("N N C C", length $request, $stream, 1, 0) . $request);
    sysread(S, my $answer, 65536) or die "no answer: $!";
    $answer =~ /no such method: .*?;/ or $answer =~ /denied by [^;]*/ or $answer =~ /web1/;
    print "$&\n";
  }
  my $forged = "\nHOSTCALL_VM=db1\nMESSAGE=forged\e[2J";
  request(1, "hostcall.v1.Session", "Hello", field(1, "x$forged") . field(2, "1"));
  request(3, "evil.Service", "Method$forged", "");
  request(5, "evil.Service$forged", "Method", "");
  request(7, "hostcall.v1.Diagnostics", "Source", "");  # not the call above: equal denials are only counted
  select(undef, undef, undef, 0.05) until -e "/tmp/enough";
  syswrite(S, $forged x 10);
  1 while sysread(S, my $rest, 65536);
  print "closed\n";'
guest_background web1 hostile perl -e "$hostile"
wait_until has_sessions web1 1
escaped='\x0aHOSTCALL_VM=db1\x0aMESSAGE=forged\x1b[2J'
denied_again() { [ "$(daemon_journal -o cat HOSTCALL_VM=web1 "HOSTCALL_CALL=${echo_call%/*}/Source" | wc -l)" = 1 ]; }
wait_until denied_again
on_host hostcallctl session list --json --vm web1
expect_json ".sessions[].client == $(in_json "x$escaped 1")"
on_host hostcallctl session list --vm web1
expect_said "x$escaped 1"
in_guest web1 touch /tmp/enough
guest_finish web1 hostile
expect_status 0
expect_said "no such method: evil.Service/Method$escaped;"
expect_said "no such method: evil.Service$escaped/Method;"
expect_said 'denied by 50-default.json:'
expect_stdout '^closed$'

# There are only two denied calls and a broken connection, each of web1, and none of its forged fields.
daemon_journal -o json >"$VM_TEST_DIR/records"
on_host jq -c 'select(.HOSTCALL_VM) | {HOSTCALL_VM, MESSAGE}' "$VM_TEST_DIR/records"
expect_json '.MESSAGE | startswith("VM \"web1\" broke the protocol, connection closed: ")'
expect_not_said forged
on_host jq -sc 'map(.HOSTCALL_VM // empty)' "$VM_TEST_DIR/records"
expect_json '. == ["web1", "web1", "web1"]'
on_host journalctl --since "@$daemon_since" HOSTCALL_VM=db1
expect_stdout '^-- No entries --$'
on_host journalctl --since "@$daemon_since" MESSAGE=forged
expect_stdout '^-- No entries --$'
