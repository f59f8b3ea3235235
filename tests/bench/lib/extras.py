"""What is measured of hostcall alone, with means other than the harness: memory of idle connections, a whole process,
system calls and instructions. Each function returns a list of Records, as the rounds of measure.py do."""
import collections
import pathlib
import re
import shutil
import signal
import statistics
import subprocess
import time

from lib import bounds
from lib.breakdown import self_costs
from lib.growth import growth_rows
from lib.measure import Record
from lib.process import PATIENCE, PINS, Failure, on_core, pins, rss_kib, run_client, said_by, wait_until
from lib.relays import PROGRAM, PROGRAM_SERVICE, SOCKET_SERVICE, start_services
from lib.store import store
from lib.systems import start_daemon

HOLDERS = 4  # processes among which the idle connections are divided, each with its own descriptors
IDLE_RELAYS = 1_000
ALLOWED_US = 1_000  # of Run/Start beside the ratio: a keeper starts, and messages pass between four processes
DAEMON_CORE, CLIENT_CORE = 0, 0
COUNTS = 4  # of what is above its bound, before it has failed


def run_extras(space, programs, effort, wanted):
    """Those whose names are wanted, in this order. One that fails is a record without figures."""
    records = []
    for name, measure in EXTRAS.items():
        if work_of(name) not in wanted:
            continue
        try:
            found = measure(space, programs, effort)
            bounds.judge(found)
            records += found
        except (Failure, OSError, subprocess.SubprocessError) as failure:
            records.append(Record(0, "same", name, "hostcall", None, str(failure)))
    return records


def work_of(name):
    """The rows of one work have names that begin with its name."""
    return name.split("-")[0]


def counted(measure):
    """The slower the machine, the more of the daemon's timers are due during so many calls, and the fewer calls may be
    ready at once: what is above its bound is counted again, a few times."""
    def measure_within_bounds(space, programs, effort):
        for _ in range(COUNTS):
            records = measure(space, programs, effort)
            bounds.judge(records)
            if not any(record.why for record in records):
                break
        return records
    return measure_within_bounds


# ---------------------------------------------------------------- idle connections

def idle(space, programs, effort):
    daemon = start_daemon(space, programs, DAEMON_CORE, vms=effort.idle_vms)
    pid = daemon.process.pid
    base = rss_kib(pid)
    each = effort.idle_connections // HOLDERS
    holders = [hold(space, programs, [daemon.address, i * each, each, effort.idle_vms]) for i in range(HOLDERS)]
    for holder in holders:
        wait_until(lambda: said_by(holder) == "ready", holder, "no idle connections")
    full, cpu, begin = rss_kib(pid), cpu_seconds(pid), time.monotonic()
    time.sleep(effort.idle_seconds)
    cpu, seconds = cpu_seconds(pid) - cpu, time.monotonic() - begin
    end_holders(holders)
    space.stop([daemon.process])
    return [Record(0, "same", "idle", "hostcall", {
        "connections": each * HOLDERS, "vms": effort.idle_vms, "base_kib": base, "rss_kib": full,
        "kib_per_connection": (full - base) / (each * HOLDERS), "cpu_percent": 100 * cpu / seconds})]


def hold(space, programs, arguments):
    return space.start([programs.get("bench-hostcall-hold"), *arguments], CLIENT_CORE, stdin=subprocess.PIPE)


def cpu_seconds(pid):
    return int(pathlib.Path(f"/proc/{pid}/schedstat").read_text().split()[0]) / 1e9


def idle_relays(space, programs, effort):
    """Of the daemon's memory, for each relay of one connection."""
    daemon = start_services(space, programs, DAEMON_CORE)
    base = rss_kib(daemon.process.pid)
    holder = space.start([programs.get("bench-hostcall-hold-relays"), daemon.address, SOCKET_SERVICE, IDLE_RELAYS],
                         CLIENT_CORE, stdin=subprocess.PIPE)
    wait_until(lambda: said_by(holder) == "ready", holder, "no idle relays")
    full = rss_kib(daemon.process.pid)
    end_holders([holder])
    space.stop([daemon.process])
    return [Record(0, "same", "idle-relays", "hostcall", {
        "relays": IDLE_RELAYS, "base_kib": base, "rss_kib": full, "kib_per_relay": (full - base) / IDLE_RELAYS})]


def end_holders(holders):
    for holder in holders:
        holder.stdin.close()
        if holder.wait(PATIENCE) != 0:
            raise Failure(f"what was idle was lost: {said_by(holder)}")


# ---------------------------------------------------------------- programs of services.d

def run_programs(space, programs, effort):
    """From the call to its end, against fork, exec and wait in the same process."""
    return [run_on(space, programs, effort, pin) for pin in pins()]


def run_on(space, programs, effort, pin):
    server_core, client_core = PINS[pin]
    daemon = start_services(space, programs, server_core)
    figures = run_client([programs.get("bench-hostcall-run"), daemon.address, PROGRAM_SERVICE, PROGRAM,
                          effort.programs_run], client_core)
    space.stop([daemon.process])
    figures["ratio"] = (figures["run_p50_us"] - ALLOWED_US) / figures["fork_p50_us"]
    return Record(0, pin, "run", "hostcall", figures)


# ---------------------------------------------------------------- hostcall whoami

def whoami(space, programs, effort):
    daemon = start_daemon(space, programs, DAEMON_CORE)
    argv = [programs.get("hostcall"), "--address", daemon.address, "whoami"]
    times = [seconds_of(argv) for _ in range(effort.whoami_runs)]
    space.stop([daemon.process])
    figures = {"p50_ms": statistics.median(times) * 1e3, "least_ms": min(times) * 1e3}
    return [Record(0, "same", "whoami", "hostcall", figures)]


def seconds_of(argv):
    begin = time.monotonic()
    done = subprocess.run(argv, preexec_fn=on_core(CLIENT_CORE), stdin=subprocess.DEVNULL, capture_output=True,
                          timeout=PATIENCE)
    if done.returncode != 0:
        raise Failure(f"{argv[0]}: {done.stderr.decode(errors='replace')}")
    return time.monotonic() - begin


# ---------------------------------------------------------------- system calls

COUNTED_WORKS = {"syscalls-unary": ("unary", 1), "syscalls-pipelined": ("pipelined", 20)}


def syscalls(space, programs, effort):
    """System calls per call on each side. Two numbers of calls are run, and their difference divided: what a process
    and a connection need once falls out."""
    if shutil.which("strace") is None:
        raise Failure("there is no strace")
    daemon = start_daemon(space, programs, DAEMON_CORE)
    records = []
    for name, (work, factor) in COUNTED_WORKS.items():
        calls = effort.counted_calls * factor
        few, many = (count_syscalls(space, programs, daemon, work, calls * times) for times in (1, 2))
        figures = {"client_calls": many["client"].total() - few["client"].total(),
                   "server_calls": many["server"].total() - few["server"].total()}
        figures = {key: value / calls for key, value in figures.items()}
        for side in ("client", "server"):
            figures[side] = {call: count / calls for call, count in (many[side] - few[side]).items()
                             if count / calls >= 0.001}
        records.append(Record(0, "same", name, "hostcall", figures))
    space.stop([daemon.process])
    return records


def count_syscalls(space, programs, daemon, work, calls):
    server_file, client_file = space.path / "strace-server", space.path / "strace-client"
    tracer = space.start(["strace", "-f", "-c", "-o", server_file, "-p", daemon.process.pid], CLIENT_CORE)
    wait_until(lambda: is_traced(daemon.process.pid), tracer, "strace can't attach to the daemon")
    try:
        run_client(["strace", "-f", "-c", "-o", client_file, programs.get("bench-hostcall-client"), "--address",
                    daemon.address, "--work", work, "--calls", calls])
    finally:
        tracer.send_signal(signal.SIGINT)
        tracer.wait(PATIENCE)
    return {"client": read_counts(client_file), "server": read_counts(server_file)}


def is_traced(pid):
    return not re.search(r"^TracerPid:\s+0$", pathlib.Path(f"/proc/{pid}/status").read_text(), re.M)


def read_counts(path):
    """Columns: % time, seconds, usecs/call, calls, errors (may be empty), syscall."""
    counts = collections.Counter()
    for line in path.read_text().splitlines():
        words = line.split()
        if len(words) >= 5 and words[3].isdigit() and words[-1] != "total":
            counts[words[-1]] += int(words[3])
    return counts


# ---------------------------------------------------------------- instructions

def instructions(space, programs, effort):
    """Instructions outside the kernel per unary call on each side, and of which part of the code, counted as system
    calls are. Unlike times they are the same on every run, as long as compiler and libraries are."""
    if shutil.which("valgrind") is None:
        raise Failure("there is no valgrind")
    calls = effort.counted_calls
    few, many = (count_instructions(space, programs, calls * times) for times in (1, 2))
    parts = {side: {part: (count - few[side][part]) / calls for part, count in many[side].most_common()}
             for side in ("client", "server")}
    figures = {side: sum(parts[side].values()) for side in parts}
    return [Record(0, "same", "instructions-unary", "hostcall", {**figures, "parts": parts}),
            Record(0, "same", "instructions-whoami", "hostcall", {"whoami": whoami_instructions(space, programs)})]


def whoami_instructions(space, programs):
    """Of `hostcall whoami` as a whole process, the dynamic linker's included: what a script in a guest waits for."""
    profile = space.path / "callgrind-whoami"
    daemon = start_daemon(space, programs, DAEMON_CORE)
    seconds_of([*callgrind(profile), programs.get("hostcall"), "--address", daemon.address, "whoami"])
    space.stop([daemon.process])
    return sum(self_costs(profile).values())


def callgrind(profile):
    return ["valgrind", "--tool=callgrind", f"--callgrind-out-file={profile}", "--log-file=/dev/null"]


def count_instructions(space, programs, calls):
    profiles = {side: space.path / f"callgrind-{side}" for side in ("client", "server")}
    under = {side: callgrind(path) for side, path in profiles.items()}
    daemon = start_daemon(space, programs, DAEMON_CORE, under=under["server"])
    run_client([*under["client"], programs.get("bench-hostcall-client"), "--address", daemon.address, "--work", "unary",
                "--calls", calls])
    space.stop([daemon.process])
    return {side: self_costs(path) for side, path in profiles.items()}


EXTRAS = {"idle": idle, "idle-relays": idle_relays, "run": run_programs, "whoami": whoami, "syscalls": counted(syscalls), "instructions": counted(instructions),
          "store": store, **growth_rows()}
WORKS = tuple(dict.fromkeys(map(work_of, EXTRAS)))
