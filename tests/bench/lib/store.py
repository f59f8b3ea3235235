"""The store: durable writes against the disk's own fsync, reads against a ping, watches, and the start with many keys.
Figures of one disk in one run; the daemon's directory is in the temporary directory, which has to be on a disk."""
import signal
import time

from lib.measure import Record
from lib.process import PATIENCE, PINS, Failure, rss_kib, run_client
from lib.systems import STORE_RULES, start_daemon

SERVER_CORE, CLIENT_CORE = PINS["same"]
WRITERS = 64
VMS = 10  # among which the watches are divided


def store(space, programs, effort):
    return [*puts(space, programs, effort), *gets(space, programs, effort), *watches(space, programs, effort),
            *start(space, programs, effort)]


def run(programs, *words):
    return run_client([programs.get("bench-store"), *words])


def record(name, figures):
    return Record(0, "same", name, "hostcall", figures)


def puts(space, programs, effort):
    """Interleaved, because a disk changes its mind: fsync alone, one put at a time, 64 at once."""
    daemon = start_daemon(space, programs, SERVER_CORE, policy=STORE_RULES)
    rounds = [{**run(programs, "fsync", space.path, effort.store_puts // 4),
               "single": run(programs, "puts", daemon.address, 1, effort.store_puts // 4),
               "group": run(programs, "puts", daemon.address, WRITERS, effort.store_puts * 8)}
              for _ in range(3)]
    space.stop([daemon.process])
    middle = sorted(rounds, key=lambda each: each["group"]["puts_per_s"] / each["single"]["puts_per_s"])[1]
    figures = {"fsync_p50_us": middle["fsync_p50_us"], "single": middle["single"], "group": middle["group"],
               "gain": middle["group"]["puts_per_s"] / middle["single"]["puts_per_s"],
               "p99_fsyncs": middle["group"]["put_p99_us"] / middle["fsync_p50_us"]}
    return [record("store-puts", figures)]


def gets(space, programs, effort):
    daemon = start_daemon(space, programs, SERVER_CORE, policy=STORE_RULES)
    figures = run(programs, "get", daemon.address, effort.store_gets)
    space.stop([daemon.process])
    return [record("store-get", {**figures, "ratio": figures["get_p50_us"] / figures["ping_p50_us"]})]


def watches(space, programs, effort):
    daemon = start_daemon(space, programs, SERVER_CORE, vms=VMS, policy=STORE_RULES)
    figures = run(programs, "watch", daemon.address, effort.store_watches, effort.store_watched_puts)
    space.stop([daemon.process])
    return [record("store-watch", figures)]


def start(space, programs, effort):
    """From the start of the process until it accepts calls, with all keys in memory."""
    daemon = start_daemon(space, programs, SERVER_CORE, policy=STORE_RULES)
    empty = rss_kib(daemon.process.pid) / 1024
    filled = run(programs, "fill", f"unix:{daemon.directory}/admin.sock", effort.store_keys)
    daemon.process.send_signal(signal.SIGTERM)
    if daemon.process.wait(PATIENCE) != 0:
        raise Failure("hostcalld did not end in order")
    begin = time.monotonic()
    again = space.start_server([programs.get("hostcalld"), "--config", daemon.directory / "hostcalld.json"],
                               SERVER_CORE, daemon.directory / "vm0.sock")
    seconds = time.monotonic() - begin
    memory = rss_kib(again.pid) / 1024
    size = sum(path.stat().st_size for path in (daemon.directory / "state").iterdir()) / 2**20
    space.stop([again])
    return [record("store-start", {"keys": filled["keys"], "fill_s": filled["seconds"], "start_s": seconds,
                                   "rss_mib": memory, "rss_empty_mib": empty, "disk_mib": size})]
