"""Ways to a socket of the host: each ends at the raw socket's server, so that the raw client measures them, or a client of
its own that speaks the raw messages. What would be in the guest shares the client's core, the rest the server's."""
import functools
import os
import pwd

from lib.process import PINS
from lib.systems import SERVICE_RULES, Server, numbers, start_daemon

SOCKET_SERVICE, PROGRAM_SERVICE = "raw", "true"
PROGRAM = "/bin/true"


def new_directory(space):
    return space.directory(f"relay-{next(numbers)}")


def start_target(space, programs, core, directory):
    """The raw socket's server; returns its path."""
    path = directory / "raw.sock"
    space.start_server([programs.get("bench-raw-server"), f"unix:{path}"], core, path)
    return path


def services(path):
    """What a guest may use: the socket at the path, and a program. That programs run as root must be written."""
    return [{"name": SOCKET_SERVICE, "socket": f"unix:{path}", "concurrent": 2_000, "concurrent_per_vm": 2_000},
            {"name": PROGRAM_SERVICE, "run": [PROGRAM], "user": pwd.getpwuid(os.geteuid()).pw_name,
             "start_rate": 1_000, "start_burst": 1_000}]


def start_services(space, programs, core):
    """A daemon with these services."""
    path = start_target(space, programs, core, new_directory(space))
    return start_daemon(space, programs, core, policy=SERVICE_RULES, services=services(path))


def start_relay(space, programs, name, pin):
    """The Server of the system, with its address for the client. Its process is the one on the host's side."""
    return STARTS[name](space, programs, *PINS[pin])


def start_copy(space, programs, server_core, _):
    directory = new_directory(space)
    target = start_target(space, programs, server_core, directory)
    argv = [programs.get("bench-raw-relay"), f"unix:{directory}/relay.sock", f"unix:{target}"]
    return Server(space.start_server(argv, server_core, directory / "relay.sock"), f"unix:{directory}/relay.sock")


def start_open(space, programs, server_core, _):
    return start_services(space, programs, server_core)


def start_forward(space, programs, server_core, client_core):
    daemon = start_services(space, programs, server_core)
    path = daemon.directory / "forward.sock"
    argv = [programs.get("hostcall"), "--address", daemon.address, "forward", f"unix:{path}", SOCKET_SERVICE]
    space.start_server(argv, client_core, path)
    return Server(daemon.process, f"unix:{path}", daemon.directory)


def start_socats(space, programs, server_core, client_core, options=()):
    directory = new_directory(space)
    target = start_target(space, programs, server_core, directory)
    host = start_socat(space, server_core, options, directory / "host.sock", target)
    start_socat(space, client_core, options, directory / "guest.sock", directory / "host.sock")
    return Server(host, f"unix:{directory}/guest.sock", forks=True)


def start_socat(space, core, options, path, target):
    argv = ["socat", *options, f"UNIX-LISTEN:{path},fork", f"UNIX-CONNECT:{target}"]
    return space.start_server(argv, core, path)


STARTS = {"copy": start_copy, "relay": start_open, "relay-bytes": start_open, "forward": start_forward, "socats": start_socats,
          "socats-64k": functools.partial(start_socats, options=("-b65536",))}
