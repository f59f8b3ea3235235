#!/usr/bin/env python3
"""Checks that includes point one way through the tree, as the design demands: base <- net <- wire <- {client | daemon}.

Usage: includes_test.py SOURCE_ROOT. Prints each violation with file, line and rule; exit code 1 if there is one. It
first checks itself against small invented trees, so that a scan that finds nothing means something.
"""
import pathlib
import re
import sys
import tempfile

FOLDERS = ("proto", "daemon", "client", "tests")
SUFFIXES = (".h", ".hpp", ".cc", ".c")
INCLUDE = re.compile(r'^\s*#\s*include\s*([<"])([^>"]+)[>"]')

# Files that may parse or write JSON: configuration of the daemon, and what the command lines print.
JSON_FILES = (
    r"daemon/(config|json_file|policy|service_file|vm_file)\.(h|cc)",
    r"client/(cli|hostcall|hostcallctl)/.*",
    r"tests/.*",
)

# (who: pattern of the including file, what: pattern of the included name with its bracket or quote, why)
FORBIDDEN = (
    (r"proto/base/.*", r'"(?!proto/base/).*', "base includes nothing of ours but base"),
    (r"proto/net/.*", r'"(?!proto/(base|net)/).*', "net includes only base and net"),
    (r"proto/wire/.*", r'"(?!proto/(base|net|wire)/).*', "wire includes only base, net and wire"),
    (r"proto/.*", r'"(daemon|client|tests)/.*', "proto includes neither the daemon nor the client"),
    (r"proto/(base|net|wire)/.*", r'["<](google/protobuf/.*|.*\.pb\.h|.*\.hostcall\.h)',
     "no protobuf headers below the services"),
    (r"daemon/.*", r'"client/.*', "the daemon does not include the client"),
    (r"client/.*", r'"daemon/.*', "the client does not include the daemon"),
    (r"(daemon|client)/.*", r'"tests/.*', "programs do not include tests"),
    (r"daemon/services/.*", r'"daemon/(connection|session)\.h', "services see calls, not connections or sessions"),
    (r"daemon/store/.*", r'"(?!daemon/store/|proto/base/|proto/wire/status\.h).*',
     "the store knows no connections: of ours it includes base, status and itself"),
    (r"daemon/store/.*", r'["<](google/protobuf/.*|.*\.pb\.h|.*\.hostcall\.h)', "no protobuf in the store"),
)

# (what: pattern of the included name, where: patterns of the only files that may include it, why)
RESERVED = (
    (r"<sys/epoll\.h", (r"daemon/reactor[^/]*", r"client/poll_set[^/]*", r"tests/.*"), "epoll belongs to the daemon's reactor, and in the client to the one descriptor that it offers"),
    (r"<linux/vm_sockets\.h", (r"proto/net/.*",), "sockaddr_vm belongs to proto/net"),
    (r"<systemd/.*", (r"daemon/(reactor|listener|journal|main)[^/]*", r"tests/bench/sd_bus/.*"),
     "systemd belongs to reactor, listener, journal and main, and sd-bus to the benchmark that compares with it"),
    (r"<sqlite3\.h", (r"daemon/store/sqlite\.(h|cc)", r"tests/unit/daemon/store/.*"), "SQLite belongs to its wrapper in the store"),
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


def broken_rules(name, included):
    for who, what, why in FORBIDDEN:
        if re.fullmatch(who, name) and re.fullmatch(what, included):
            yield why
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
    ("proto/wire/a.cc", '"daemon/call.h"', True),
    ("proto/wire/a.cc", '"hostcall/v1/host.pb.h"', True),
    ("proto/wire/a.cc", "<google/protobuf/message_lite.h>", True),
    ("proto/plugin/a.cc", "<google/protobuf/compiler/plugin.h>", False),
    ("daemon/a.cc", '"client/channel.h"', True),
    ("daemon/a.cc", '"proto/wire/endpoint.h"', False),
    ("client/a.cc", '"daemon/config.h"', True),
    ("client/a.cc", "<linux/vm_sockets.h>", True),
    ("daemon/connection.cc", "<sys/epoll.h>", True),
    ("daemon/reactor.cc", "<sys/epoll.h>", False),
    ("daemon/reactor_timers.cc", "<sys/epoll.h>", False),
    ("daemon/router.cc", "<systemd/sd-event.h>", True),
    ("daemon/listener.cc", "<systemd/sd-daemon.h>", False),
    ("tests/bench/sd_bus/names.h", "<systemd/sd-bus.h>", False),
    ("tests/bench/raw/client.cc", "<systemd/sd-bus.h>", True),
    ("daemon/router.cc", "<nlohmann/json.hpp>", True),
    ("daemon/config.cc", "<nlohmann/json.hpp>", False),
    ("client/channel.cc", "<nlohmann/json.hpp>", True),
    ("client/hostcall/main.cc", "<nlohmann/json.hpp>", False),
    ("daemon/services/host.cc", '"daemon/session.h"', True),
    ("daemon/services/host.cc", '"daemon/call.h"', False),
    ("daemon/store/hub.cc", '"daemon/connection.h"', True),
    ("daemon/store/hub.cc", '"daemon/quota.h"', True),
    ("daemon/store/hub.cc", '"daemon/store/model.h"', False),
    ("daemon/store/hub.cc", '"proto/base/unique_fd.h"', False),
    ("daemon/store/hub.cc", '"proto/wire/frame.h"', True),
    ("daemon/store/hub.cc", '"hostcall/v1/store.pb.h"', True),
    ("daemon/store/hub.cc", "<sqlite3.h>", True),
    ("daemon/store/sqlite.h", "<sqlite3.h>", False),
    ("client/a.cc", "<sys/epoll.h>", True),
    ("tests/unit/client/a.cc", "<sys/epoll.h>", False),
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
