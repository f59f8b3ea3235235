"""The systems that are measured, and the works. Each system is a server and a client program of ../*/ in the build
directory; the server of hostcall is the real daemon, configured as an operator would."""
import dataclasses
import itertools
import json
import os
import pathlib
import shutil

from lib.process import Failure

UNARY = ("unary-64", "unary-4096")
PIPELINED = ("pipelined-64", "pipelined-4096")
STREAMS = ("download", "upload")
COMMON = UNARY + PIPELINED + ("connections",) + STREAMS + ("connect",)
RELAYED = ("relay-64", "relay-download", "relay-upload")
RELAY_BASES = ("copy", "socats")


@dataclasses.dataclass(frozen=True)
class Work:
    title: str
    arguments: tuple  # of the client program
    figure: str       # the one that is compared
    longer: int = 1   # times the seconds of the others
    bases: tuple = ("raw", "hostcall")  # the systems that the others are divided by


def latency(title, *arguments):
    return Work(title, arguments, "p50_us")


def rate(title, *arguments):
    return Work(title, arguments, "calls_per_s")


WORKS = {
    "unary-64": latency("unary 64 B, closed loop", "--work", "unary", "--payload", 64),
    "unary-4096": latency("unary 4 KiB, closed loop", "--work", "unary", "--payload", 4096),
    "pipelined-64": rate("64 B, 64 in flight on one connection", "--work", "pipelined", "--payload", 64),
    "pipelined-4096": rate("4 KiB, 64 in flight on one connection", "--work", "pipelined", "--payload", 4096),
    "connections": rate("64 connections, one in flight each", "--work", "connections", "--connections", 64),
    "download": Work("stream to the client, 64 KiB chunks", ("--work", "download"), "gb_per_s"),
    "upload": Work("stream to the server, 64 KiB chunks", ("--work", "upload"), "gb_per_s"),
    "connect": rate("connect, handshake, first reply", "--work", "connect"),
    # Of hostcall alone:
    "policy": latency("unary 64 B against the number of policy rules", "--work", "unary"),
    "late-0": Work("64 in flight, none late", ("--work", "late"), "p99_us"),
    "late-1": Work("64 in flight, beside them 1 % late by 5 ms", ("--work", "late", "--late", 1), "p99_us"),
    "fairness": Work("many VMs at once, the slowest one's share of the mean", ("--work", "connections"),
                     "slowest_share", longer=4),
    # Through something to the raw socket's server:
    "relay-64": Work("unary 64 B through a relay, closed loop", ("--work", "unary", "--payload", 64), "p50_us",
                     bases=RELAY_BASES),
    "relay-download": Work("stream to the client through a relay, 64 KiB chunks", ("--work", "download"), "gb_per_s",
                           bases=RELAY_BASES),
    "relay-upload": Work("stream to the server through a relay, 64 KiB chunks", ("--work", "upload"), "gb_per_s",
                         bases=RELAY_BASES),
}


@dataclasses.dataclass(frozen=True)
class System:
    name: str
    title: str
    program: str       # bench-PROGRAM-client, and -server unless it is hostcall
    works: tuple = COMMON
    server: tuple = ()  # further arguments
    client: tuple = ()
    pins: tuple = ("same", "split")
    vms: int = 1        # of hostcall's daemon
    rules: int = 10
    worst_rules: bool = False
    busy_poll_usec: int = 0  # of hostcall's daemon
    relay: bool = False  # in front of the raw socket's server, see relays.py
    route: bool = False  # in front of a server of the same calls, see routes.py


def rules_system(count, worst=False):
    name = f"rules-{count}" + ("-worst" if worst else "")
    return System(name, f"hostcall, {count:,} rules" + (", all of them for this call" if worst else ""), "hostcall",
                  works=("policy",), pins=("same",), rules=count, worst_rules=worst)


def busy_poll_system(usec):
    """On one core it shows that it gives up where it can only be in the way."""
    return System("busy-poll", f"hostcall, busy polling {usec} us on both sides", "hostcall", works=UNARY,
                  client=("--busy-poll", usec), busy_poll_usec=usec)


def routed_system(protocol):
    return System(f"routed-{protocol}", f"hostcall, to another server by the protocol {protocol}", "hostcall",
                  works=("unary-64", "pipelined-64"), client=("--mode", "routed"), route=True)


def vms_system(count):
    return System(f"vms-{count}", f"hostcall, {count:,} VMs", "hostcall", works=("fairness",), pins=("same",),
                  vms=count, client=("--connections", count))


SYSTEMS = (
    System("raw", "raw socket, epoll", "raw"),
    System("raw-single", "raw socket, one write per message", "raw", works=PIPELINED, server=("single",),
           client=("--mode", "single")),
    System("raw-spin", "raw socket, both sides spin", "raw", works=UNARY, server=("spin",), client=("--mode", "spin"),
           pins=("split",)),
    System("hostcall", "hostcall", "hostcall", works=COMMON + ("late-0", "late-1")),
    System("grpc-cq", "gRPC C++, completion queue", "grpc", works=UNARY + PIPELINED + ("connections", "connect"),
           server=("cq",), client=("--mode", "cq")),
    System("grpc-sync", "gRPC C++, synchronous", "grpc", works=UNARY + STREAMS, server=("sync",),
           client=("--mode", "sync")),
    System("grpc-bidi", "gRPC C++, one bidirectional stream", "grpc", works=PIPELINED, server=("sync",),
           client=("--mode", "bidi")),
    System("capnp", "Cap'n Proto", "capnp"),
    System("sd-bus", "sd-bus, peer to peer", "sd-bus"),
    System("thrift", "Thrift, threaded", "thrift"),
    busy_poll_system(50),
    routed_system("ttrpc"), routed_system("hostcall"),
    System("grpc-proxy", "gRPC C++, through a proxy", "grpc", works=("unary-64", "pipelined-64"),
           client=("--mode", "cq"), route=True),
    rules_system(10), rules_system(1_000), rules_system(10_000), rules_system(10_000, worst=True),
    vms_system(1), vms_system(100), vms_system(1_000),
    System("copy", "plain copying relay", "raw", works=RELAYED, relay=True),
    System("relay", "hostcall, Relay/Open", "hostcall-relay", works=RELAYED, relay=True),
    System("relay-bytes", "the same as bytes, not typed", "hostcall-relay", works=RELAYED, client=("--mode", "bytes"),
           relay=True),
    System("forward", "hostcall forward", "raw", works=RELAYED, relay=True),
    System("socats", "two socats in a row", "raw", works=RELAYED, relay=True),
    System("socats-64k", "the same with buffers of 64 KiB", "raw", works=RELAYED, relay=True),
)


class Programs:
    """Where the programs are in a build directory."""

    def __init__(self, build):
        self.build = pathlib.Path(build)

    def find(self, name):
        places = {"hostcalld": "daemon", "hostcall": "client/hostcall"}
        own = ["tests/bench", *(f"tests/bench/{peer}" for peer in ("grpc", "capnp", "thrift"))]
        for folder in [places[name]] if name in places else own:
            if (path := self.build / folder / name).exists():
                return path
        return None

    def get(self, name):
        path = self.find(name)
        if path is None:
            raise Failure(f"there is no {name} in {self.build}")
        return path

    def has(self, system):
        return self.find(f"bench-{system.program}-client") is not None and (
            not system.name.startswith("socats") or shutil.which("socat") is not None)


# ---------------------------------------------------------------- servers

numbers = itertools.count()


@dataclasses.dataclass
class Server:
    process: object
    address: str  # for clients; a {} in it is the number of the VM
    directory: pathlib.Path | None = None  # of hostcall's daemon
    forks: bool = False  # a process for each connection, whose CPU time nobody counts


def start_server(space, programs, system, core):
    if system.program == "hostcall":
        return start_daemon(space, programs, core, vms=system.vms, policy=rules_of(system),
                            busy_poll_usec=system.busy_poll_usec)
    path = space.path / f"{system.name}-{next(numbers)}"
    argv = [programs.get(f"bench-{system.program}-server"), f"unix:{path}", *system.server]
    return Server(space.start_server(argv, core, path), f"unix:{path}")


# What the works need above the defaults; everything else is as it is shipped.
RAISED_LIMITS = {"connections": 1024, "connect_rate": 100_000, "connect_burst": 100_000, "streams": 4096,
                 "store_write_rate": 1_000_000, "store_write_burst": 1_000_000}


def start_daemon(space, programs, core, vms=1, policy=None, under=(), busy_poll_usec=0, limits=None, services=()):
    """A hostcalld whose VM I listens at the address with I for {}; each checks the uid of its VMM. `under`: a program
    that runs it. `services`: entries of services.d."""
    directory = space.directory(f"hostcalld-{next(numbers)}")
    os.umask(0o022)  # hostcalld reads no file that a group may write
    for name in ("vms.d", "policy.d", "services.d", "run", "state"):
        (directory / name).mkdir()
    write_json(directory / "vms.d/50-bench.json", {"vms": [
        {"name": f"vm{i}", "tags": ["bench"], "unix_path": f"{directory}/vm{i}.sock", "vmm_uid": os.getuid()}
        for i in range(vms)]})
    write_json(directory / "policy.d/50-bench.json", {"rules": policy or usual_rules(10)})
    write_json(directory / "services.d/50-bench.json", {"services": list(services)})
    write_json(directory / "hostcalld.json", {
        "listen": [], "admin_group": "", "admin_socket": f"{directory}/admin.sock",
        "limits": {**RAISED_LIMITS, **(limits or {})},
        "busy_poll_usec": busy_poll_usec,
        "runtime_directory": f"{directory}/run", "state_directory": f"{directory}/state",
        "vms_directory": f"{directory}/vms.d", "policy_directory": f"{directory}/policy.d",
        "services_directory": f"{directory}/services.d", "runner": "direct"})
    argv = [*under, programs.get("hostcalld"), "--config", directory / "hostcalld.json"]
    last = max(f"vm{i}" for i in range(vms))  # the daemon opens them by name
    process = space.start_server(argv, core, directory / f"{last}.sock")
    address = f"unix:{directory}/vm{{}}.sock"
    return Server(process, address if vms > 1 else address.replace("{}", "0"), directory)


def write_json(path, value):
    path.write_text(json.dumps(value))


def rule(vm, call, **more):
    return {"vms": [vm], "calls": [call], "action": "allow", **more}


LAST_RULES = [rule("*", "hostcall.v1.Session/*"), rule("tag:bench", "hostcall.v1.Diagnostics/*")]
SERVICE_RULES = [rule("tag:bench", "hostcall.v1.Run/*", resources=["**"]),
                 rule("tag:bench", "hostcall.v1.Relay/*", resources=["**"]), *LAST_RULES]
ROUTED_RULES = [rule("tag:bench", "bench.v1.Routed/*"), *LAST_RULES]
STORE_RULES = [rule("tag:bench", "hostcall.v1.Store/*"), *LAST_RULES]


def usual_rules(count):
    """Most rules are for other VMs, as on a host with many; the last ones decide."""
    return [rule(f"other{i}", "hostcall.v1.Host/*") for i in range(count - len(LAST_RULES))] + LAST_RULES


def worst_rules(count):
    """All rules are for this VM and this call, and only a look at each tells that it is about another resource."""
    return [rule("tag:bench", "hostcall.v1.Diagnostics/Echo", resources=[f"/other{i}/**"])
            for i in range(count - len(LAST_RULES))] + LAST_RULES


def rules_of(system):
    return (worst_rules if system.worst_rules else usual_rules)(system.rules)
