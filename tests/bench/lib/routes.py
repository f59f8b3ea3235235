"""Ways to a server of the host through another process: hostcalld, which routes calls of a service of services.d, and a
proxy of gRPC's. The server has the core of the process in front of it, whose CPU time is the one that is counted."""
import functools

from lib.systems import ROUTED_RULES, Server, numbers, start_daemon

SERVICE = "bench.v1.Routed"


def start_route(space, programs, name, core):
    """The Server of the system, with its address for the client."""
    return STARTS[name](space, programs, core)


def start_routed(space, programs, core, protocol):
    path = space.directory(f"routed-{next(numbers)}") / "echo.sock"
    space.start_server([programs.get("bench-hostcall-routed-server"), f"unix:{path}"], core, path)
    service = {"service": SERVICE, "ttrpc": f"unix:{path}", "protocol": protocol, "concurrent": 100,
               "concurrent_per_vm": 100}
    return start_daemon(space, programs, core, policy=ROUTED_RULES, services=[service])


def start_grpc_proxy(space, programs, core):
    directory = space.directory(f"proxy-{next(numbers)}")
    target, path = directory / "target.sock", directory / "proxy.sock"
    space.start_server([programs.get("bench-grpc-server"), f"unix:{target}", "cq"], core, target)
    argv = [programs.get("bench-grpc-proxy"), f"unix:{path}", f"unix:{target}"]
    return Server(space.start_server(argv, core, path), f"unix:{path}")


STARTS = {"routed-ttrpc": functools.partial(start_routed, protocol="ttrpc"),
          "routed-hostcall": functools.partial(start_routed, protocol="hostcall"),
          "grpc-proxy": start_grpc_proxy}
