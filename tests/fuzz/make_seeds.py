#!/usr/bin/env python3
"""Writes the seeds that have names to corpus/ beside this file: those of frame_reader and endpoint from the golden vectors,
those of texts from the files that are shipped, and scripts of commands.

Run it after a change of tests/unit/proto/wire/golden.h or of what is shipped, and commit the result. Inputs whose names
begin with "Kept" are what fuzzing has found worth keeping (tests/lib/fuzz.sh), "Found" what a defect was found with.
"""
import pathlib
import re

HERE = pathlib.Path(__file__).resolve().parent
GOLDEN = HERE.parent / "unit/proto/wire/golden.h"
SHIPPED = HERE.parent.parent / "systemd"
PLAIN_TEXT = b"\n"  # json_text.h
FEED = 5  # fuzz_endpoint's command that takes a length and feeds so many bytes
SERVER, CLIENT, DUPLEX = 0, 1, 2
EXTENDED = 0x80 | 31


def vectors():
    for name, body in re.findall(r'char k(\w+)\[\] = R"\((.*?)\)"', GOLDEN.read_text(), re.S):
        yield name, bytes.fromhex("".join(line.split(";")[0] for line in body.splitlines()))


def feed(stream):
    """Commands that feed a stream in pieces."""
    pieces = [stream[i:i + 200] for i in range(0, len(stream), 200)]
    return b"".join(bytes([FEED, len(piece)]) + piece for piece in pieces)


def seeds():
    golden = dict(vectors())
    for name, frame in golden.items():
        yield "frame_reader", name, bytes([100, 6]) + frame
    yield "frame_reader", "All", bytes([100, 12]) + b"".join(golden.values())
    yield "frame_reader", "TooLarge", bytes([1, 3]) + b"".join(golden.values())

    requests = [frame for name, frame in golden.items() if name.startswith("Request") and name != "RequestHello"]
    calls = feed(b"".join(requests) + golden["Data"])
    controls = [golden[name] for name in ("WindowStream", "WindowConnection", "Ping", "Pong", "Cancel", "Goaway")]
    answers = [golden["ResponseEmpty"], golden["ResponseRetry"], golden["ResponseDenied"], golden["DataLast"]]
    yield "endpoint", "ServerBase", bytes([SERVER, 0]) + calls + feed(golden["DataEnd"])
    yield "endpoint", "ServerHello", bytes([SERVER, 0]) + feed(golden["RequestHello"])
    yield "endpoint", "ServerExtended", bytes([SERVER, EXTENDED]) + calls + feed(b"".join(controls))
    answering = bytes([0x01, 0x11, 0x21, 0x02, 0x0A, 0x12, 0x04])  # send on three calls, end three, take the output
    yield "endpoint", "ServerAnswers", bytes([SERVER, EXTENDED]) + calls + answering
    opened = bytes([0x00, 0x08, 0x00, 0x08])  # four calls
    yield "endpoint", "ClientBase", bytes([CLIENT, 0]) + opened + feed(b"".join(answers[:3]))
    heard = b"".join(controls[:4] + controls[5:] + answers)
    yield "endpoint", "ClientExtended", bytes([CLIENT, EXTENDED]) + opened + feed(heard)
    # open a bidi call, move, send, move, consume, move back, finish
    script = bytes([2, 3, 0, 255, 4, 60, 0, 255, 13, 0, 8, 255, 12, 90, 8, 255, 5, 0, 7, 0, 0, 255, 14, 1, 8, 255])
    yield "endpoint", "DuplexBase", bytes([DUPLEX, 0]) + script
    yield "endpoint", "DuplexExtended", bytes([DUPLEX, EXTENDED]) + script * 2 + bytes([7, 255, 3, 9])


TEXTS = (
    ("config", "Small", '{"listen": ["vsock::18499"], "limits": {"streams": 8}, "timeouts": {"drain_ms": 0}}'),
    ("config", "Wrong", '{"limits": {"streams": 0.5}, // no\n "timeouts": {"call_max_ms": 1, "call_default_ms": 2}}'),
    ("vm_files", "One", '{"name": "web1", "cid": 42, "tags": ["web"], "limits": {"connections": 32}}'),
    ("vm_files", "Two", '{"vms": [{"name": "fc1", "vmm_uid": 1001, "uuid": "12345678-1234-1234-1234-123456789abc"},'
                        ' {"name": "db1", "unix_path": "/run/vm/x"}]}'),
    ("policy", "Resources", '{"rules": [{"vms": ["tag:web"], "calls": ["hostcall.v1.Store/*"], "resources": ["/self/**"],'
                            ' "action": "allow"}]}'),
    ("policy", "Rate", '{"rules": [{"vms": ["web1"], "calls": ["*"], "action": "allow", "rate": 5, "burst": 6},'
                       ' {"vms": ["*"], "calls": ["hostcall.v1.Host/Info"], "require": ["privileged-port"],'
                       ' "action": "allow"}, {"vms": ["*"], "calls": ["*"], "action": "deny"}]}'),
    ("cli_json", "Txn", '{"compare": [{"key": "/self/a", "version": "1"}], "then": [{"put": {"key": "/self/a", "value":'
                        ' "aGk="}}], "else": [{"get": {"key": "/self/a"}}], "idempotencyKey": "k"}'),
    ("cli_json", "Lines", '{"compare": []}\n\n{"then": [{"delete": {"key": "/self/a", "previous": true}}]}'),
)


def text_seeds():
    yield "config", "Shipped", PLAIN_TEXT + (SHIPPED / "hostcalld.json").read_bytes()
    yield "policy", "Shipped", PLAIN_TEXT + (SHIPPED / "policy.d/50-default.json").read_bytes()
    for target, name, text in TEXTS:
        yield target, name, PLAIN_TEXT + text.encode()


def glob_seed(glob, text):
    return bytes([0, len(glob)]) + glob.encode() + text.encode()


def script_seeds():
    """Commands in the order in which each target takes them; zeros for what does not matter."""
    yield "glob", "Class", glob_seed("/shared/[a-c]?/[!x]*", "/shared/bb/yes")
    yield "glob", "Deep", glob_seed("/self/**/\\*", "/self/a/b/*")
    yield "client", "Hello", bytes([0, 0, 0, 0, 0, 0, 0, 9, 0, 0, 0, 0, 0, 64, 64, 0, 0, 0, 0, 11, 0, 0, 0, 0, 0])
    yield "hello", "Daemon", bytes([0, 1, 0, 1, 0, 1, 31, 1, 1, 0, 0])
    yield "hello", "Client", bytes([1, 1, 1, 1, 31, 1, 7]) + bytes([1, 1] * 8)
    yield "store", "PutGet", bytes([255, 0, 0, 0, 0, 1, 0, 0, 0, 3, 15, 0, 0, 0, 0, 1, 1, 0, 15])
    plain, words = bytes([4, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0]), bytes([4, 0, 1, 0, 0, 0, 0, 1, 0, 2, 0, 0, 1, 0, 0])
    running, gone, cancel, signal = bytes([1, 0]), bytes([1, 150]), bytes([2, 0, 1]), bytes([2, 1, 1, 15])
    yield "runner", "Runs", plain + running + signal + words + running + gone + gone
    yield "runner", "Cancels", plain * 3 + cancel + gone + words + cancel
    yield "runner", "Connects", b"".join(bytes([3, 0, name, 0, 0, 0, 0, 0, 0]) for name in range(11)) + cancel
    yield "runner", "Dashes", bytes([4, 0, 2, 0, 0, 0, 0, 0, 0, 1, 2, 0, 0])
    yield "runner", "Refused", bytes([4, 0, 1, 0, 0, 0, 0, 0, 0, 2, 2, 0, 1, 0, 0]) + bytes([4, 0, 0, 0, 0, 0, 0, 0, 0, 1, 0, 0, 0])
    yield "runner", "Raw", plain + bytes([0, 4]) + b"\x08\x02\x2a\x00" + bytes([0, 3]) + b"\xff\xff\xff"
    yield "requests", "Ping", bytes([0, 0, 1, 0, 0, 0, 0, 0, 0, 2, 0, 3, 1, 0, 0, 0, 0, 0, 15, 0])


def backend_seeds():
    """What fuzz_backend's server does; 20 as the first byte of a response makes it OK."""
    unary, server, bidi = (bytes([0, shape, 0, 1]) + b"q" for shape in range(3))
    hello = bytes([5, 0, 247, 247, 0])  # with the largest windows
    ok, failed = bytes([8, 0, 0, 0, 20, 0, 2]) + b"ok" + bytes([0]), bytes([8, 0, 0, 0, 5, 1]) + b"m" + bytes([0, 0])
    reply, end = bytes([8, 1, 0, 0, 3]) + b"abc" + bytes([0]), bytes([8, 1, 0, 5, 0, 0])
    send, cancel, close_send, gone, wait = bytes([2, 0, 3]) + b"def", bytes([3, 0]), bytes([3, 1]), bytes([6, 0]), bytes([4, 99])
    ping, goaway, garbage = bytes([8, 5, 192, 255, 0, 9, 0]), bytes([8, 7, 192, 255, 0, 1, 0, 0, 0, 0]), bytes([7, 4]) + b"HTTP\0"
    calls = unary + ok + unary + failed + server + reply + reply + end + bidi + send + close_send + ok + bidi + send + reply + end
    ends = unary + cancel + bidi + gone + wait + unary + garbage + server + wait
    for name, begin in (("Ttrpc", bytes([0])), ("Hostcall", bytes([1]) + unary + hello)):
        yield "backend", name, begin + calls
        yield "backend", name + "Ends", begin + ends
        yield "backend", name + "Controls", begin + unary + ping + server + reply + goaway + unary + ok
    yield "backend", "LateHello", bytes([1]) + unary + server + wait * 2 + hello + unary


def described(number, content):
    """A field of a message, for fewer than 128 bytes."""
    return bytes([number << 3 | 2, len(content)]) + content


def descriptor_seeds():
    methods = [described(1, b"Get"), described(1, b"List") + b"\x30\x01", described(1, b"Put") + b"\x28\x01"]
    service = described(6, described(1, b"Inventory") + b"".join(described(2, method) for method in methods))
    right, other = (described(1, described(2, package) + service) for package in (b"acme.v1", b"acme.v2"))
    yield "descriptors", "One", right
    yield "descriptors", "Two", other + right
    yield "descriptors", "Own", right + described(1, described(2, b"hostcall.v1"))
    yield "descriptors", "Cut", right[:-3]


def main():
    for target, name, content in [*seeds(), *text_seeds(), *script_seeds(), *backend_seeds(), *descriptor_seeds()]:
        folder = HERE / "corpus" / target
        folder.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(content)


if __name__ == "__main__":
    main()
