#!/usr/bin/env python3
"""Concurrent writers and watchers of a real daemon's store, while the daemon is killed and restarted again and again, and the
watchers leave and come back; afterwards every history is checked (check.py). Usage: history_test.py HOSTCALLD CLIENT.
All goes by what is done: the daemon ends after some more transactions, and the writers begin again until enough has
happened. HOSTCALL_HISTORY_TRANSACTIONS: of each writer, 5000 unless given. HOSTCALL_SEED: of all random choices."""
import collections
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
sys.path.append(str(pathlib.Path(__file__).resolve().parents[2] / "support"))
import check  # noqa: E402
from seed import fresh_seed  # noqa: E402

WRITERS = 4
WATCHERS = 4
PREFIXES = ("/shared/", "/shared/k/odd/")
KEYS = 200
TRANSACTIONS = int(os.environ.get("HOSTCALL_HISTORY_TRANSACTIONS", "5000"))
# What has to happen at least, or the histories show nothing.
CHANGES_TOLD = min(100_000, 2 * WRITERS * TRANSACTIONS)
KILLS = 3
RETURNS = 3 * WATCHERS
MOST_TURNS = 20  # of the writers
TRANSACTIONS_BETWEEN_KILLS = (100, 1500)
PATIENCE = 300  # seconds without anything new; against hanging only
LIMITS = {"store_write_rate": 1_000_000, "store_write_burst": 1_000_000, "connect_rate": 10_000,
          "connect_burst": 10_000, "connections": 100}


class Daemon:
    def __init__(self, program, directory):
        self.program, self.directory = program, directory
        os.umask(0o022)  # hostcalld reads no file that a group may write
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
        self.process.wait(PATIENCE)


class Clients:
    """The writers and watchers, and what they have noted down so far: it reaches their files in blocks."""

    def __init__(self, daemon, program, seed):
        self.daemon, self.program, self.seed = daemon, program, seed
        self.all, self.writers, self.files, self.counts = [], [], {}, {}

    def begin(self, kind, number, *arguments):
        path = self.daemon.directory / f"{kind}.{number}"
        seed = (self.seed + len(self.all)) % 2**32
        with open(path, "wb") as out:
            process = subprocess.Popen([self.program, kind, f"unix:{self.daemon.socket(number % WRITERS)}", str(seed),
                                        *arguments], stdout=out)
        self.files[path] = open(path, "rb")
        self.counts[kind] = self.counts.get(kind, collections.Counter())
        self.all.append(process)
        return process

    def begin_watchers(self):
        for number in range(WATCHERS):
            self.begin("watch", number, PREFIXES[number % len(PREFIXES)])

    def begin_writers(self):
        first = len(self.all)
        self.writers = [self.begin("write", first + i, str(TRANSACTIONS), str(KEYS)) for i in range(WRITERS)]

    def write(self):
        return any(process.poll() is None for process in self.writers)

    def count(self, kind, mark):
        """How often the mark is in the notes: \n ends a line, = is in each change, R is a watch that was begun again."""
        for path, file in self.files.items():
            text = file.read()
            for each in b"\n=R":
                self.counts[path.name.partition(".")[0]][each] += text.count(each)
        return self.counts[kind][ord(mark)]

    def has_failed(self):
        return any(process.poll() for process in self.all)


def main(hostcalld, client):
    check.check_checker()
    chance = random.Random(fresh_seed())
    with tempfile.TemporaryDirectory(prefix="history.") as name:
        directory = pathlib.Path(name)
        daemon = Daemon(hostcalld, directory)
        clients = Clients(daemon, client, chance.randrange(2**32))
        try:
            kills = record(daemon, clients, chance)
            judge(directory, kills)
        except Exception:
            print((directory / "log").read_text()[-3000:], file=sys.stderr)
            raise
        finally:
            for process in (*clients.all, daemon.process):
                process.kill()
                process.wait()


def record(daemon, clients, chance):
    """Runs all clients to their end; returns how often the daemon ended meanwhile."""
    clients.begin_watchers()
    kills = turns = 0
    while not has_enough(clients, kills):
        assert turns < MOST_TURNS, "too little happened: this shows nothing"
        turns += 1
        clients.begin_writers()
        while clients.write():
            wait_for_transactions(clients, chance.randint(*TRANSACTIONS_BETWEEN_KILLS))
            time.sleep(chance.uniform(0, 0.02))  # so that it is no special moment
            daemon.end(signal.SIGKILL if kills % 3 else signal.SIGTERM)
            kills += 1
            daemon.start()
    for number, prefix in enumerate(PREFIXES):
        with open(daemon.directory / f"put.{number}", "wb") as out:
            subprocess.run([clients.program, "put", f"unix:{daemon.socket(0)}", prefix + "end", "1"], stdout=out,
                           check=True, timeout=PATIENCE)
    for process in clients.all:
        assert process.wait(PATIENCE) == 0, f"{process.args}: exit code {process.returncode}"
    return kills


def has_enough(clients, kills):
    return (kills >= KILLS and clients.count("watch", "R") >= RETURNS
            and clients.count("watch", "=") >= CHANGES_TOLD)


def wait_for_transactions(clients, more):
    """Until the writers have noted down so many more, or have ended."""
    before = last = clients.count("write", "\n")
    end = time.monotonic() + PATIENCE
    while clients.write() and last < before + more:
        time.sleep(0.01)
        assert not clients.has_failed(), "a client has failed"
        now = clients.count("write", "\n")
        if now != last:
            last, end = now, time.monotonic() + PATIENCE
        assert time.monotonic() < end, f"nothing was written for {PATIENCE} s"


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
    assert told >= CHANGES_TOLD, "too few changes were told: this shows nothing"


if __name__ == "__main__":
    main(*sys.argv[1:])
