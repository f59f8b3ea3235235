#!/usr/bin/env python3
"""Checks that includes point one way through the tree. The table LAYERS lists the folders and what each may include.
Nobody may include a folder outside the table, so a new folder needs a row.

Usage: includes_test.py SOURCE_ROOT. Prints each violation with file, line and rule; exits with 1 if there is one.
First checks itself against small invented trees, to show that it can find violations.
"""
import pathlib
import re
import sys
import tempfile

FOLDERS = ("proto", "daemon", "client", "tests")
SUFFIXES = (".h", ".hpp", ".cc", ".c")
INCLUDE = re.compile(r'^\s*#\s*include\s*([<"])([^>"]+)[>"]')

# Each folder and what it may include besides itself, bottom up. A name ending in ".h" is that file alone.
LAYERS = {
    "proto/base": (),
    "proto/net": ("proto/base",),
    "proto/wire": ("proto/base", "proto/net"),
    "proto": ("proto/base",),
    "proto/plugin": ("proto/base",),
    "daemon/loop": ("proto/base", "proto/net"),
    "daemon/handover": ("proto/base", "proto/net", "proto/wire/crc32c.h", "daemon/loop"),
    "daemon/store": ("proto/base", "proto/wire/status.h"),
    "daemon/config": ("proto/base", "proto/net", "proto/wire/fields.h", "proto/wire/frame.h", "daemon/loop"),
    "daemon/vms": ("proto/base", "proto/net", "proto/wire/status.h", "daemon/loop", "daemon/store", "daemon/config"),
    "daemon/calls": ("proto", "daemon/loop", "daemon/handover", "daemon/config", "daemon/vms"),
    # hostcall-runner, a program of its own; hostcalld shares only what they say to each other.
    "daemon/runner": ("proto/base", "proto/net", "proto/wire/status.h", "proto/protobuf_log.h", "daemon/loop", "daemon/config"),
    "daemon/services": ("proto", "daemon/loop", "daemon/handover", "daemon/store", "daemon/config", "daemon/vms", "daemon/calls",
                        "daemon/runner/packet.h", "daemon/runner/packet_channel.h"),
    "daemon": ("proto", "daemon"),
    "client/lib": ("proto", "client/include"),
    "client/include": (),
    "client/cli": ("proto", "client/include"),
    "client/hostcall": ("proto", "client/include", "client/cli"),
    "client/hostcallctl": ("proto", "client/include", "client/cli"),
    "tests": ("proto", "daemon", "client"),
}
# These folders may not include what is generated from the .proto files, which belongs to no folder.
WITHOUT_MESSAGES = ("proto/base", "proto/net", "proto/wire", "daemon/loop", "daemon/store", "daemon/config", "daemon/vms")
MESSAGES = re.compile(r'["<](google/protobuf/.*|.*\.pb\.h|.*\.hostcall\.h)')

# Files that may parse or write JSON: configuration of the daemon, and what the command lines print.
JSON_FILES = (
    r"daemon/config/json_file\.cc",
    r"daemon/config/vm_file\.cc",
    r"client/(cli|hostcall|hostcallctl)/.*",
    r"tests/.*",
)

# (what: pattern of the included name, where: patterns of the only files that may include it, why)
RESERVED = (
    (r"<sys/epoll\.h", (r"daemon/loop/reactor[^/]*", r"client/lib/(poll_set|server_poll)[^/]*", r"client/hostcall/event_set[^/]*",
                         r"tests/.*"),
     "only the daemon's reactor, the client's poll_set, the server's server_poll and the command line's event_set use epoll"),
    (r"<linux/vm_sockets\.h", (r"proto/net/.*",), "sockaddr_vm belongs to proto/net"),
    (r"<systemd/.*", (r"daemon/loop/(reactor|inherited)[^/]*", r"daemon/handover/systemd_job\.cc",
                      r"daemon/runner/(bus|bus_message|transient_unit|unit_message|unit_state)\.cc", r"tests/unit/daemon/runner/.*",
                      r"tests/support/systemd_bus\.cc", r"tests/bench/sd_bus/.*"),
     "systemd belongs to daemon/loop, sd-bus to hostcall-runner, the question for our job, and the benchmark that compares with it"),
    (r"<sqlite3\.h", (r"daemon/store/sqlite\.(h|cc)", r"tests/unit/daemon/store/.*"), "SQLite belongs to its wrapper in the store"),
    (r"<google/protobuf/(?!message_lite\.h|io/(coded|zero_copy)_stream\.h).*", (r"(?!client/include/).*",),
     "installed headers use protobuf's public interface only"),
    (r'[<"]nlohmann/.*', JSON_FILES, "JSON belongs to files that read configuration and to the command lines"),
)


def scan(root):
    """Yields (file, line, included name, rule) for each violation."""
    for folder in FOLDERS:
        for path in sorted((root / folder).rglob("*")):
            if path.suffix not in SUFFIXES:
                continue
            name = path.relative_to(root).as_posix()
            for number, line in enumerate(path.read_text(errors="replace").splitlines(), 1):
                if match := INCLUDE.match(line):
                    for rule in broken_rules(name, match[1] + match[2]):
                        yield name, number, match[2], rule


def folder_of(name):
    """The longest folder of the table that contains the file, or None."""
    return max((folder for folder in LAYERS if name.startswith(folder + "/")), key=len, default=None)


def is_below(included, allowed):
    return included == allowed if allowed.endswith(".h") else included.startswith(allowed + "/")


def layer_rule(name, included):
    own = folder_of(name)
    if own is None:
        return "the file is in no folder of the table"
    if folder_of(included) is None:
        return None  # generated
    # A folder itself, not those below it, which have rows of their own.
    if folder_of(included) == own or any(is_below(included, allowed) for allowed in LAYERS[own]):
        return None
    return f"{own} includes only {', '.join((own, *LAYERS[own]))}"


def broken_rules(name, included):
    if included.startswith('"') and (rule := layer_rule(name, included[1:])):
        yield rule
    if folder_of(name) in WITHOUT_MESSAGES and MESSAGES.fullmatch(included):
        yield "no protobuf below the calls"
    for what, where, why in RESERVED:
        if re.fullmatch(what, included) and not any(re.fullmatch(allowed, name) for allowed in where):
            yield why


# (file, its include, whether that breaks a rule)
SELF_CHECK = (
    ("proto/base/a.h", '"proto/net/socket.h"', True),
    ("proto/base/a.h", '"proto/base/result.h"', False),
    ("proto/net/a.cc", '"proto/wire/frame.h"', True),
    ("proto/net/a.cc", "<linux/vm_sockets.h>", False),
    ("proto/wire/a.cc", '"proto/net/address.h"', False),
    ("proto/wire/a.cc", '"daemon/calls/call.h"', True),
    ("proto/wire/a.cc", '"hostcall/v1/host.pb.h"', True),
    ("proto/wire/a.cc", "<google/protobuf/message_lite.h>", True),
    ("proto/plugin/a.cc", "<google/protobuf/compiler/plugin.h>", False),
    ("daemon/main.cc", '"client/lib/channel.h"', True),
    ("daemon/main.cc", '"daemon/services/host_service.h"', False),
    ("daemon/loop/a.cc", '"daemon/store/engine.h"', True),
    ("daemon/loop/a.cc", '"daemon/config/limits.h"', True),
    ("daemon/loop/reactor.cc", "<sys/epoll.h>", False),
    ("daemon/loop/listener.cc", "<sys/epoll.h>", True),
    ("daemon/loop/inherited.cc", "<systemd/sd-daemon.h>", False),
    ("daemon/main.cc", "<systemd/sd-daemon.h>", True),
    ("daemon/handover/fd_store.cc", '"proto/wire/crc32c.h"', False),
    ("daemon/handover/fd_store.cc", '"proto/wire/frame.h"', True),
    ("daemon/handover/fd_store.cc", "<systemd/sd-bus.h>", True),
    ("daemon/handover/systemd_job.cc", "<systemd/sd-bus.h>", False),
    ("daemon/config/config.cc", '"daemon/loop/journal.h"', False),
    ("daemon/config/config.cc", '"daemon/vms/registry.h"', True),
    ("daemon/config/json_file.cc", "<nlohmann/json.hpp>", False),
    ("daemon/config/config.cc", "<nlohmann/json.hpp>", True),
    ("daemon/vms/quota.h", '"daemon/config/limits.h"', False),
    ("daemon/vms/quota.h", '"daemon/calls/call.h"', True),
    ("daemon/vms/quota.h", '"hostcall/v1/session.pb.h"', True),
    ("daemon/vms/caller.h", '"proto/wire/status.h"', False),
    ("daemon/vms/caller.h", '"proto/wire/endpoint.h"', True),
    ("daemon/calls/session.cc", '"proto/wire/endpoint.h"', False),
    ("daemon/calls/session.cc", '"daemon/services/store_host.h"', True),
    ("daemon/calls/connection.cc", "<sys/epoll.h>", True),
    ("daemon/services/host.cc", '"daemon/calls/call.h"', False),
    ("daemon/services/host.cc", '"hostcall/v1/host.pb.h"', False),
    ("daemon/services/link.cc", '"daemon/runner/packet.h"', False),
    ("daemon/services/link.cc", '"daemon/runner/keeper.h"', True),
    ("daemon/runner/bus.cc", "<systemd/sd-bus.h>", False),
    ("daemon/runner/session.cc", "<systemd/sd-bus.h>", True),
    ("daemon/runner/keeper.cc", '"daemon/calls/call.h"', True),
    ("daemon/runner/order.cc", '"runner/runner.pb.h"', False),
    ("daemon/store/hub.cc", '"daemon/calls/connection.h"', True),
    ("daemon/store/hub.cc", '"daemon/vms/quota.h"', True),
    ("daemon/store/hub.cc", '"daemon/store/model.h"', False),
    ("daemon/store/hub.cc", '"proto/base/unique_fd.h"', False),
    ("daemon/store/hub.cc", '"proto/wire/status.h"', False),
    ("daemon/store/hub.cc", '"proto/wire/frame.h"', True),
    ("daemon/store/hub.cc", '"hostcall/v1/store.pb.h"', True),
    ("daemon/store/hub.cc", "<sqlite3.h>", True),
    ("daemon/store/sqlite.h", "<sqlite3.h>", False),
    ("daemon/a.cc", '"tests/support/frames.h"', True),
    ("client/lib/a.cc", '"daemon/config/config.h"', True),
    ("client/lib/a.cc", "<linux/vm_sockets.h>", True),
    ("client/lib/a.cc", "<sys/epoll.h>", True),
    ("client/lib/poll_set.cc", "<sys/epoll.h>", False),
    ("client/lib/server_poll.cc", "<sys/epoll.h>", False),
    ("client/lib/server_core.cc", "<sys/epoll.h>", True),
    ("client/hostcall/event_set.cc", "<sys/epoll.h>", False),
    ("client/hostcall/forwarder.cc", "<sys/epoll.h>", True),
    ("client/lib/channel.cc", "<nlohmann/json.hpp>", True),
    ("client/cli/a.cc", '"client/lib/channel.h"', True),
    ("client/cli/a.cc", '"client/hostcall/guest_verbs.h"', True),
    ("client/hostcall/a.cc", '"client/hostcallctl/host_verbs.h"', True),
    ("client/hostcall/main.cc", "<nlohmann/json.hpp>", False),
    ("client/include/hostcall/a.h", "<google/protobuf/message_lite.h>", False),
    ("client/include/hostcall/a.h", "<google/protobuf/io/coded_stream.h>", False),
    ("client/include/hostcall/a.h", "<google/protobuf/generated_message_util.h>", True),
    ("client/new/a.cc", '"proto/base/result.h"', True),
    ("tests/unit/client/a.cc", "<sys/epoll.h>", False),
    ("tests/bench/sd_bus/names.h", "<systemd/sd-bus.h>", False),
    ("tests/bench/raw/client.cc", "<systemd/sd-bus.h>", True),
)


def self_check():
    for name, included, breaks in SELF_CHECK:
        with tempfile.TemporaryDirectory() as folder:
            path = pathlib.Path(folder, name)
            path.parent.mkdir(parents=True)
            path.write_text(f"// {name}\n  #  include {included}\n")
            found = list(scan(pathlib.Path(folder)))
            if bool(found) != breaks or any(line != 2 for _, line, _, _ in found):
                sys.exit(f"self-check: {name} including {included}: expected {breaks}, found {found}")


def main():
    self_check()
    root = pathlib.Path(sys.argv[1])
    if not list((root / "proto").rglob("*.h")):
        sys.exit(f"{root} is not the source tree")
    violations = list(scan(root))
    for name, line, included, rule in violations:
        print(f"{name}:{line}: includes {included}: {rule}")
    sys.exit(1 if violations else 0)


if __name__ == "__main__":
    main()
