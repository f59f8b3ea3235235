"""The rounds: each work by every system in turn, so that what changes on the machine meanwhile meets all of them."""
import dataclasses
import sys

from lib.process import Failure, PINS, pins, run_client
from lib.relays import start_relay
from lib.routes import start_route
from lib.systems import SYSTEMS, WORKS, start_server


@dataclasses.dataclass(frozen=True)
class Effort:
    rounds: int
    seconds: float
    warmup: float
    stream_bytes: int
    idle_connections: int
    idle_vms: int
    idle_seconds: float
    whoami_runs: int
    counted_calls: int  # of strace
    programs_run: int
    store_puts: int
    store_gets: int
    store_watches: int
    store_watched_puts: int
    store_keys: int
    growth_rounds: int
    growth_full: bool  # else small sizes

    def is_full(self):
        """Whether its figures may be judged."""
        return self.rounds >= FULL.rounds and self.seconds >= FULL.seconds and self.stream_bytes >= FULL.stream_bytes


FULL = Effort(rounds=5, seconds=0.5, warmup=0.1, stream_bytes=256 << 20, idle_connections=10_000, idle_vms=250,
              idle_seconds=20, whoami_runs=21, counted_calls=2_000, programs_run=500, store_puts=1_000, store_gets=20_000,
              store_watches=1_000, store_watched_puts=100, store_keys=1_000_000, growth_rounds=5, growth_full=True)
QUICK = Effort(rounds=1, seconds=0.08, warmup=0.02, stream_bytes=16 << 20, idle_connections=500, idle_vms=25,
               idle_seconds=1, whoami_runs=3, counted_calls=300, programs_run=20, store_puts=40, store_gets=200,
               store_watches=20, store_watched_puts=3, store_keys=2_000, growth_rounds=3, growth_full=False)


@dataclasses.dataclass
class Record:
    """One measurement. Figures are None when it failed; `why` then says how, or which bound of bounds.py they exceed."""
    round: int
    pin: str
    work: str
    system: str
    figures: dict | None
    why: str = ""


class Rounds:
    def __init__(self, space, programs, effort, systems, works):
        self.space, self.programs, self.effort = space, programs, effort
        self.systems = [system for system in systems if programs.has(system)]
        self.missing = [system for system in systems if not programs.has(system)]
        self.works = works
        self.servers = {}
        self.records = []

    def run(self):
        for number in range(self.effort.rounds):
            print(f"round {number + 1} of {self.effort.rounds}", file=sys.stderr)
            for pin in pins():
                for work in self.works:
                    self.run_work(number, pin, work)

    def run_work(self, number, pin, work):
        able = [system for system in self.systems if work in system.works and pin in system.pins]
        at = number % max(1, len(able))
        for system in able[at:] + able[:at]:
            self.records.append(self.measure(number, pin, work, system))

    def measure(self, number, pin, work, system):
        record = Record(number, pin, work, system.name, None)
        try:
            record.figures = self.run_once(pin, work, system)
        except Failure as failure:
            record.why = str(failure)
            print(f"{pin}, {work}, {system.name}: {failure}", file=sys.stderr)
        return record

    def run_once(self, pin, work, system):
        server = self.servers.get((system.name, pin))
        if server is None or server.process.poll() is not None:
            self.servers[system.name, pin] = server = self.start(pin, system)
        effort = self.effort
        seconds = effort.seconds * WORKS[work].longer
        argv = [self.programs.get(f"bench-{system.program}-client"), "--address", server.address,
                "--server", server.process.pid, "--seconds", seconds, "--warmup", effort.warmup,
                "--bytes", effort.stream_bytes, *WORKS[work].arguments, *system.client]
        figures = run_client(argv, PINS[pin][1])
        return {name: value for name, value in figures.items() if not (server.forks and name.startswith("server_"))}

    def start(self, pin, system):
        if system.relay:
            return start_relay(self.space, self.programs, system.name, pin)
        server_core = PINS[pin][0]
        if system.route:
            return start_route(self.space, self.programs, system.name, server_core)
        return start_server(self.space, self.programs, system, server_core)


def chosen_systems(names):
    """Of a list of names or programs; none: all."""
    if not names:
        return SYSTEMS
    return [system for system in SYSTEMS if system.name in names or system.program in names]
