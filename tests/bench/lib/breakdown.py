"""Where a call's instructions go: self costs of a callgrind profile, by the part of the tree that the code is from. Code
that the compiler has put into a function of another part still counts where it was written."""
import collections
import re

# The first that fits the file's path.
PARTS = (
    ("framing", r"proto/(wire/(endpoint|reader|out_queue|chunk|stream|window|frame|crc32c|read_size)|base/(bytes|buffer))"),
    ("envelope", r"proto/wire/(message|status)"),
    ("sockets", r"proto/net/|proto/base/"),
    ("decode and encode", r"protobuf|hostcall/v1/|hostcall/(client|types|stream|message_pieces)\.h"),
    ("policy, quotas, audit", r"daemon/(config/|vms/|calls/access)"),
    ("handler and dispatch", r"daemon/(services/|calls/(router|call|session|open_call))"),
    ("connection and reactor", r"daemon/"),
    ("calls and connection", r"client/"),
    ("benchmark", r"tests/bench/"),
)
REST = "libraries: C, C++, protobuf"


def part_of(path):
    return next((name for name, pattern in PARTS if re.search(pattern, path)), REST)


def self_costs(path):
    """Instructions by part. The format: "fl=", "fi=", "fe=" set the file ("cfl=", "cfi=" the callee's), a line of numbers
    is a cost there, and the line behind "calls=" is what the callee has cost. Names are given once, and then by their
    number."""
    costs, names, part, skip = collections.Counter(), {}, REST, False
    with open(path) as profile:
        for line in profile:
            if match := re.match(r"(fl|fi|fe|cfl|cfi)=\((\d+)\)(?: (.*))?", line):
                if match[3]:
                    names[match[2]] = part_of(match[3])
                if match[1] in ("fl", "fi", "fe"):
                    part = names[match[2]]
            elif line.startswith("calls="):
                skip = True
            elif re.match(r"[+*\-\d]", line):
                if not skip:
                    costs[part] += int(line.split()[1])
                skip = False
    return costs
