"""What the daemon's work costs against the number of things that it is done to or beside: VMs, rules, keys, watches,
calls. The exponent of a row is the slope of the line through the logarithms of sizes and costs: 1 if twice as many cost
twice as much, 0 if their number does not matter. Unlike the costs, it does not depend on the machine."""
import collections
import dataclasses
import functools
import math
import statistics
import subprocess

from lib import bounds
from lib.measure import Record
from lib.process import PINS, run_client, said_by, wait_until
from lib.systems import STORE_RULES, rule, start_daemon, usual_rules

SERVER_CORE, CLIENT_CORE = PINS["same"]
TRIES = 6  # of a row that is above its bound, each with more rounds: something else may have used the processor
ONE_BY_ONE = 20  # VMs that are added, or have their first session, in one measurement
VALUE_BYTES, LARGE_BYTES = 64, 65_000
ROOM_FOR_SESSIONS = 600  # VMs: for all rounds of all tries
LIST_KEYS, LIST_TIMES = 1_000, 3
PURGE_WRITTEN = "purge-written"  # the only row that is a ratio itself, and no time
LIMITS = {"connections": 65_536, "streams": 100_000, "store_keys": 1_000_000, "store_bytes": 1 << 32,
          "store_watches": 100_000, "memory_bytes": 1 << 32, "outbound_bytes": 1 << 32}


@dataclasses.dataclass(frozen=True)
class Row:
    """`begin(bench, size)` makes what is measured, and `measure(bench, begun, size)` returns costs by name, of which each
    is a row of the tables. The sizes are those of a full and of a quick run."""
    sizes: tuple
    quick: tuple
    begin: object
    measure: object


class Bench:
    """The processes of a row, which end with it."""

    def __init__(self, space, programs):
        self.space, self.programs = space, programs
        self.processes = []

    def daemon(self, **more):
        daemon = start_daemon(self.space, self.programs, SERVER_CORE, limits=LIMITS, **{"policy": STORE_RULES, **more})
        self.processes.append(daemon.process)
        return daemon

    def run(self, work, daemon, *numbers):
        return run_client([self.programs.get("bench-growth"), work, daemon.directory, daemon.process.pid, *numbers],
                          CLIENT_CORE)

    def connect(self, daemon, vms):
        """The first VMs, one connection each, which stay."""
        holder = self.space.start([self.programs.get("bench-hostcall-hold"), f"unix:{daemon.directory}/vm{{}}.sock", 0,
                                   vms, vms], CLIENT_CORE, stdin=subprocess.PIPE)
        self.processes.append(holder)
        wait_until(lambda: said_by(holder) == "ready", holder, "no connections beside")

    def end(self):
        self.space.stop(self.processes)
        self.processes = []


# ---------------------------------------------------------------- rows

def plain_daemon(bench, _):
    return bench.daemon()


def daemon_with_vms(bench, size):
    return bench.daemon(vms=size)


def vm_beside(bench, daemon, _):
    figures = bench.run("add", daemon, ONE_BY_ONE)
    return {"vm-add": figures["add_cpu_s"] / ONE_BY_ONE, "vm-remove": figures["remove_cpu_s"] / ONE_BY_ONE}


def vms_added(bench, daemon, size):
    return {"vms-added": bench.run("add", daemon, size)["add_cpu_s"]}


def daemon_with_rules(bench, size):
    return bench.daemon(vms=size, policy=usual_rules(5 * size))


def reload(bench, daemon, _):
    figures = bench.run("reload", daemon)
    return {"reload": figures["reload_cpu_s"], "reload-stall": figures["stall_cpu_s"]}


def daemon_with_keys(bench, size):
    daemon = bench.daemon()
    bench.run("fill", daemon, size, VALUE_BYTES)
    return daemon


def snapshot(bench, daemon, _):
    figures = bench.run("snapshot", daemon)
    return {"snapshot": figures["snapshot_cpu_s"], "snapshot-first-part": figures["first_part_s"]}


class Sessions:
    """A daemon with so many connected VMs, and others that never were."""

    def __init__(self, bench, size):
        self.next = size
        self.daemon = bench.daemon(vms=size + ROOM_FOR_SESSIONS)
        bench.connect(self.daemon, size)


def first_session(bench, begun, _):
    figures = bench.run("sessions", begun.daemon, begun.next, ONE_BY_ONE)
    begun.next += ONE_BY_ONE
    return {"first-session": figures["session_cpu_s"] / ONE_BY_ONE}


def ends_of_keys(bench, daemon, size):
    return {"session-end": bench.run("session-end", daemon, size)["end_cpu_s"],
            "boot-end": bench.run("boot-end", daemon, size)["end_cpu_s"],
            "purge": bench.run("purge", daemon, size, VALUE_BYTES)["purge_cpu_s"]}


def purge_of_bytes(bench, daemon, size):
    figures = bench.run("purge", daemon, size, LARGE_BYTES)
    return {PURGE_WRITTEN: figures["written_bytes"] / figures["purged_bytes"]}


def daemon_with_resources(bench, size):
    """All rules are for this call, and differ in what they are about; the last one decides."""
    rules = [rule("tag:bench", "hostcall.v1.Store/List", resources=[f"/self/other{i}/**"]) for i in range(size)]
    daemon = bench.daemon(policy=rules + STORE_RULES)
    bench.run("fill", daemon, LIST_KEYS, VALUE_BYTES)
    return daemon


def list_keys(bench, daemon, _):
    return {"list": bench.run("list", daemon, LIST_TIMES)["list_cpu_s"] / LIST_TIMES}


def watches(bench, daemon, size):
    return {"watches-end": bench.run("watches", daemon, size)["end_cpu_s"]}


def calls(bench, daemon, size):
    return {"calls-end": bench.run("calls", daemon, size)["end_cpu_s"]}


ROWS = {
    "vm-beside": Row((1_000, 10_000), (100, 1_000), daemon_with_vms, vm_beside),
    "vms-added": Row((500, 1_000, 2_000), (50, 400), plain_daemon, vms_added),
    "reload": Row((1_000, 3_000, 10_000), (500, 2_000), daemon_with_rules, reload),
    "snapshot": Row((1_000, 16_000, 128_000), (4_000, 32_000), daemon_with_keys, snapshot),
    "first-session": Row((100, 6_400), (50, 800), Sessions, first_session),
    "ends-of-keys": Row((1_000, 4_000, 16_000), (500, 4_000), plain_daemon, ends_of_keys),
    PURGE_WRITTEN: Row((500, 2_000), (50, 200), plain_daemon, purge_of_bytes),
    "list": Row((10, 100, 1_000, 10_000), (10, 1_000), daemon_with_resources, list_keys),
    "watches-end": Row((512, 2_048, 8_192), (128, 1_024), plain_daemon, watches),
    "calls-end": Row((1_000, 8_000, 64_000), (500, 4_000), plain_daemon, calls),
}


def growth_rows():
    """For extras.EXTRAS."""
    return {f"growth-{name}": functools.partial(measure_row, row) for name, row in ROWS.items()}


# ---------------------------------------------------------------- measurement

def measure_row(row, space, programs, effort):
    bench = Bench(space, programs)
    try:
        begun = {size: row.begin(bench, size) for size in (row.sizes if effort.growth_full else row.quick)}
        costs = collections.defaultdict(lambda: {size: [] for size in begun})
        for _ in range(TRIES):
            add_rounds(costs, bench, row, begun, effort.growth_rounds)
            records = records_of(costs)
            bounds.judge(records)
            if not any(record.why for record in records):
                break
        return records
    finally:
        bench.end()


def add_rounds(costs, bench, row, begun, rounds):
    """To the costs by name and size. In each round every size has its turn, another one first."""
    sizes = list(begun)
    for number in range(rounds):
        at = number % len(sizes)
        for size in sizes[at:] + sizes[:at]:
            for name, cost in row.measure(bench, begun[size], size).items():
                costs[name][size].append(cost)


def records_of(costs):
    return [Record(0, "same", f"growth-{name}", "hostcall", figures_of(name, by_size))
            for name, by_size in costs.items()]


def cheap(costs):
    """The median of the cheaper half: whatever else the machine does can only add to a cost, and adds the most to those
    that take long."""
    return statistics.median(sorted(costs)[:(len(costs) + 1) // 2])


def figures_of(name, costs_by_size):
    by_size = {size: cheap(costs) for size, costs in costs_by_size.items()}
    if name == PURGE_WRITTEN:
        return {"most": max(by_size.values()), **{f"at {size:,}": ratio for size, ratio in by_size.items()}}
    return {"exponent": exponent(by_size), **{f"ms at {size:,}": cost * 1e3 for size, cost in by_size.items()}}


def exponent(by_size):
    """Least squares through (log size, log cost)."""
    points = [(math.log(size), math.log(cost)) for size, cost in by_size.items()]
    middle_x, middle_y = (statistics.fmean(values) for values in zip(*points))
    return (sum((x - middle_x) * (y - middle_y) for x, y in points) / sum((x - middle_x) ** 2 for x, _ in points))
