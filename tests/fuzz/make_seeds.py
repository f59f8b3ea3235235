#!/usr/bin/env python3
"""Writes the seed corpora from the golden vectors: corpus/frame_reader and corpus/endpoint beside this file.

Run it after a change of tests/unit/proto/wire/golden.h and commit the result.
"""
import pathlib
import re

HERE = pathlib.Path(__file__).resolve().parent
GOLDEN = HERE.parent / "unit/proto/wire/golden.h"
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


def main():
    for target, name, content in seeds():
        folder = HERE / "corpus" / target
        folder.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(content)


if __name__ == "__main__":
    main()
