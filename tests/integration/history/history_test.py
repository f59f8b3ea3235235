#!/usr/bin/env python3
"""Concurrent writers and watchers of a real daemon's store, while the daemon is killed and restarted again and again, and the
watchers leave and come back; afterwards every history is checked (check.py). Usage: history_test.py HOSTCALLD CLIENT.
HOSTCALL_HISTORY_TRANSACTIONS: of each writer, 40000 unless given."""
import json
import os
import pathlib
import random
import signal
import subprocess
import sys
import tempfile
import time

sys.dont_write_bytecode = True
import check  # noqa: E402

WRITERS = 4
WATCHERS = 4
PREFIXES = ("/shared/", "/shared/k/odd/")
KEYS = 200
TRANSACTIONS = int(os.environ.get("HOSTCALL_HISTORY_TRANSACTIONS", "40000"))
EVENTS = 100_000
SECONDS = 240
LIMITS = {"store_write_rate": 1_000_000, "store_write_burst": 1_000_000, "connect_rate": 10_000,
          "connect_burst": 10_000, "connections": 100}


class Daemon:
    def __init__(self, program, directory):
        self.program, self.directory = program, directory
        for name in ("run", "state", "vms.d", "policy.d"):
            (directory / name).mkdir()
        self.config = self.write("hostcalld.json", {
            "admin_socket": str(directory / "admin.sock"), "vms_directory": str(directory / "vms.d"),
            "policy_directory": str(directory / "policy.d"), "runtime_directory": str(directory / "run"),
            "state_directory": str(directory / "state"), "limits": LIMITS})
        self.write("vms.d/vms.json", {"vms": [{"name": f"web{i}", "unix_path": str(self.socket(i))}
                                             for i in range(WRITERS)]})
        self.write("policy.d/policy.json", {"rules": [{"vms": ["*"], "calls": ["*"], "action": "allow"}]})
        self.log = open(directory / "log", "ab")
        self.start()

    def write(self, name, content):
        path = self.directory / name
        path.write_text(json.dumps(content))
        return path

    def socket(self, number):
        return self.directory / f"web{number}.sock"

    def start(self):
        self.process = subprocess.Popen([self.program, "--config", self.config], stderr=self.log)

    def end(self, number):
        self.process.send_signal(number)
        self.process.wait(30)


def main(hostcalld, client):
    check.check_checker()
    with tempfile.TemporaryDirectory(prefix="history.") as name:
        directory = pathlib.Path(name)
        daemon = Daemon(hostcalld, directory)
        clients = []
        try:
            kills = record(daemon, client, clients)
            judge(directory, kills)
        except Exception:
            print((directory / "log").read_text()[-3000:], file=sys.stderr)
            raise
        finally:
            for process in (*clients, daemon.process):
                process.kill()
                process.wait()


def record(daemon, client, clients):
    """Runs all clients to their end; returns how often the daemon ended meanwhile."""
    def begin(kind, number, *arguments):
        out = open(daemon.directory / f"{kind}.{number}", "wb")
        process = subprocess.Popen([client, kind, f"unix:{daemon.socket(number % WRITERS)}", str(number), *arguments],
                                   stdout=out)
        clients.append(process)
        return process

    for number in range(WATCHERS):
        begin("watch", number, PREFIXES[number % len(PREFIXES)])
    writers = [begin("write", number, str(TRANSACTIONS), str(KEYS)) for number in range(WRITERS)]
    random.seed(1)
    kills, end = 0, time.monotonic() + SECONDS
    while any(process.poll() is None for process in writers):
        assert time.monotonic() < end, "the writers did not end in time"
        time.sleep(random.uniform(0.2, 0.8))
        daemon.end(signal.SIGKILL if kills % 3 else signal.SIGTERM)
        kills += 1
        daemon.start()
    for number, prefix in enumerate(PREFIXES):
        with open(daemon.directory / f"put.{number}", "wb") as out:
            subprocess.run([client, "put", f"unix:{daemon.socket(0)}", prefix + "end", "1"], stdout=out, check=True,
                           timeout=60)
    for process in clients:
        assert process.wait(60) == 0, f"{process.args}: exit code {process.returncode}"
    return kills


def judge(directory, kills):
    lines = [line for path in (*directory.glob("write.*"), *directory.glob("put.*"))
             for line in path.read_text().splitlines()]
    truth = check.Truth(check.history_of(lines))
    changes = sum(map(len, truth.history.values()))
    told = returns = coalesced = 0
    for number in range(WATCHERS):
        seen = (directory / f"watch.{number}").read_text().splitlines()
        told += check.check_watcher(truth, seen, PREFIXES[number % len(PREFIXES)])
        returns += sum(line.startswith("R") for line in seen)
        coalesced += sum(line.startswith("C") for line in seen)
    print(f"{len(truth.revisions)} transactions with {changes} changes; {WATCHERS} watchers were told {told}, came back "
          f"{returns} times, {coalesced} sets were coalesced; the daemon ended {kills} times")
    assert kills >= 3 and returns >= 3 * WATCHERS, "too little happened: this shows nothing"
    assert told >= min(EVENTS, 2 * WRITERS * TRANSACTIONS), "too few changes were told: this shows nothing"


if __name__ == "__main__":
    main(*sys.argv[1:])
