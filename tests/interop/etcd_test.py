#!/usr/bin/env python3
"""Runs the same operations on etcd and on hostcall's store, and compares the results and what a watch tells of them.

Usage: etcd_test.py BUILD. PROTOCOL.md (18) lists the differences; the operations here are those that it says are the
same. etcd is $HOSTCALL_ETCD, or what PATH finds; without one the test is skipped (exit code 77). Both run in a directory
of their own. HOSTCALL_SEED=N sets the seed of the choices, which is printed. Exit code 1 if a result differs.
"""
import base64
import contextlib
import http.client
import json
import os
import pathlib
import random
import shutil
import socket
import subprocess
import sys
import tempfile
import time

OPERATIONS = 300
KEYS = ("a", "b", "c", "d", "e")
VALUES = ("", "1", "2", "10", "\u00e9")
PREFIX = "/self/"
PATIENCE_SECONDS = 600  # against hanging; judges nothing
SKIPPED = 77
COMPARISONS = ("EQUAL", "NOT_EQUAL", "GREATER", "LESS")


def base64_of(text):
    return base64.b64encode(text.encode()).decode()


def number(message, field):
    return int(message.get(field, 0))


class Choices:
    """Draws operations in a form of their own: ("get", key), ("put", key, value) or ("delete", key)."""

    def __init__(self, seed):
        self.random = random.Random(seed)

    def operation(self, keys):
        kind = self.random.choice(("get", "put", "put", "delete"))
        key = self.random.choice(keys)
        return (kind, key, self.random.choice(VALUES)) if kind == "put" else (kind, key)

    # A transaction writes a key once; it may read any.
    def operations(self):
        chosen, written = [], set()
        for _ in range(self.random.randrange(4)):
            operation = self.operation(KEYS)
            if operation[0] != "get":
                if operation[1] in written:
                    continue
                written.add(operation[1])
            chosen.append(operation)
        return chosen

    # Of an absent key's value, the two stores think differently.
    def compare(self, revision, present):
        key = self.random.choice(KEYS)
        targets = ["version", "create_revision", "mod_revision"] + ["value"] * (key in present)
        target = self.random.choice(targets)
        if target == "value":
            operand = self.random.choice(VALUES)
        elif target == "version":
            operand = self.random.randrange(4)
        else:
            operand = self.random.choice((0, self.random.randrange(1, revision + 2)))
        return key, self.random.choice(COMPARISONS), target, operand

    def transaction(self, revision, present):
        compares = [self.compare(revision, present) for _ in range(self.random.randrange(3))]
        return compares, self.operations(), self.operations()


class Hostcall:
    """A store in a hostcalld with one VM. Revisions count from 0."""

    def __init__(self, build, work):
        self.client = build / "client/hostcall/hostcall"
        self.address = f"unix:{work}/vm.sock"
        for name in ("run", "state", "vms.d", "policy.d"):
            (work / name).mkdir()
        self._write(work / "vms.d/50.json", {"vms": [{"name": "vm", "unix_path": f"{work}/vm.sock",
                                                      "limits": {"store_write_rate": 1000000}}]})
        self._write(work / "policy.d/50.json", {"rules": [{"vms": ["*"], "calls": ["*"], "action": "allow"}]})
        self._write(work / "hostcalld.json", {
            "listen": [], "admin_socket": f"{work}/admin.sock", "runtime_directory": f"{work}/run",
            "state_directory": f"{work}/state", "vms_directory": f"{work}/vms.d",
            "policy_directory": f"{work}/policy.d"})
        self.log = work / "hostcalld.log"
        with self.log.open("w") as log:
            self.process = subprocess.Popen([build / "daemon/hostcalld", "--config", work / "hostcalld.json"],
                                            stdout=log, stderr=log)

    @staticmethod
    def _write(path, content):
        path.write_text(json.dumps(content))
        path.chmod(0o644)

    def is_up(self):
        return "started" in self.log.read_text()

    def call(self, method, request):
        done = subprocess.run([self.client, "--address", self.address, "call", f"hostcall.v1.Store/{method}",
                               json.dumps(request)], capture_output=True, text=True, timeout=PATIENCE_SECONDS)
        if done.returncode != 0:
            raise RuntimeError(f"{method} {request}: exit code {done.returncode}: {done.stderr}")
        return json.loads(done.stdout)

    @staticmethod
    def _item(item):
        if not item:
            return None
        return (item["key"].removeprefix(PREFIX), item.get("value", ""), number(item, "createRevision"),
                number(item, "modRevision"), number(item, "version"))

    @staticmethod
    def _compare(compare):
        key, comparison, target, operand = compare
        return {"key": PREFIX + key, "comparison": f"COMPARISON_{comparison}",
                target: base64_of(operand) if target == "value" else str(operand)}

    @staticmethod
    def _operation(operation):
        kind, key = operation[:2]
        request = {"key": PREFIX + key}
        if kind == "put":
            request["value"] = base64_of(operation[2])
        if kind != "get":
            request["previous"] = True
        return {kind: request}

    def _result(self, result):
        (kind, answer), = ((kind, answer) for kind, answer in result.items() if answer is not None)
        item = self._item(answer.get("item" if kind == "get" else "previous"))
        return kind, number(answer, "revision"), item

    def transact(self, transaction):
        compares, then, otherwise = transaction
        answer = self.call("Txn", {"compare": [self._compare(one) for one in compares],
                                   "then": [self._operation(one) for one in then],
                                   "else": [self._operation(one) for one in otherwise]})
        return (answer.get("succeeded", False), number(answer, "revision"),
                [self._result(result) for result in answer.get("results", [])])

    # One by one, through the methods of their own.
    def apply(self, operation):
        kind = operation[0]
        request = self._operation(operation)[kind]
        return self._result({kind: self.call(kind.capitalize(), request)})

    # (kind, item, previous) of each change, by revision and key, up to the revision.
    def events_until(self, revision):
        watch = subprocess.Popen([self.client, "--address", self.address, "call", "hostcall.v1.Store/Watch", json.dumps(
            {"prefix": PREFIX, "fromRevision": "1", "previous": True})], stdout=subprocess.PIPE, text=True)
        events, text, last = [], "", 0
        decoder = json.JSONDecoder()
        try:
            while last < revision and (line := watch.stdout.readline()):
                text = (text + line).lstrip()
                with contextlib.suppress(json.JSONDecodeError):
                    message, end = decoder.raw_decode(text)
                    text = text[end:]
                    last = max(last, number(message, "revision"))
                    events += [(event.get("kind", "KIND_PUT").removeprefix("KIND_"), self._item(event["item"]),
                                self._item(event.get("previous"))) for event in message.get("events", [])]
        finally:
            watch.kill()
            watch.communicate()
        return events


class Etcd:
    """A cluster of one member. Its revisions count from 1, and are told here as if from 0."""

    NAMES = {"get": "range", "put": "put", "delete": "delete_range"}

    def __init__(self, program, work):
        self.port, peer_port = free_ports(2)
        client, peer = f"http://127.0.0.1:{self.port}", f"http://127.0.0.1:{peer_port}"
        with (work / "etcd.log").open("w") as log:
            self.process = subprocess.Popen(
                [program, "--data-dir", work / "etcd", "--listen-client-urls", client, "--advertise-client-urls", client,
                 "--listen-peer-urls", peer, "--initial-advertise-peer-urls", peer,
                 "--initial-cluster", f"default={peer}"], stdout=log, stderr=log,
                env={**os.environ, "ETCD_UNSUPPORTED_ARCH": os.uname().machine})

    def _post(self, path, request):
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=PATIENCE_SECONDS)
        connection.request("POST", "/v3/" + path, json.dumps(request))
        return connection, connection.getresponse()

    def call(self, path, request):
        connection, reply = self._post(path, request)
        with contextlib.closing(connection):
            text = reply.read()
            if reply.status != 200:
                raise RuntimeError(f"{path} {request}: {reply.status}: {text}")
            return json.loads(text)

    def is_up(self):
        with contextlib.suppress(OSError, http.client.HTTPException, RuntimeError):
            return bool(self.call("kv/range", {"key": base64_of("x")}))
        return False

    @staticmethod
    def _item(items):
        if not items:
            return None
        item = items[0]
        return (base64.b64decode(item["key"]).decode(), item.get("value", ""), number(item, "create_revision") - 1,
                number(item, "mod_revision") - 1, number(item, "version"))

    @staticmethod
    def _compare(compare):
        key, comparison, target, operand = compare
        if target == "value":
            value = base64_of(operand)
        else:
            # 0 is "the key does not exist" in both.
            value = str(operand + (1 if operand and target != "version" else 0))
        return {"key": base64_of(key), "result": comparison, "target": target.split("_")[0].upper(), target: value}

    @staticmethod
    def _request(operation):
        kind, key = operation[:2]
        request = {"key": base64_of(key)}
        if kind == "put":
            request["value"] = base64_of(operation[2])
        if kind != "get":
            request["prev_kv"] = True
        return request

    def _operation(self, operation):
        return {f"request_{self.NAMES[operation[0]]}": self._request(operation)}

    def _answer(self, kind, answer):
        items = {"get": answer.get("kvs"), "put": [answer["prev_kv"]] if "prev_kv" in answer else None,
                 "delete": answer.get("prev_kvs")}[kind]
        return kind, number(answer["header"], "revision") - 1, self._item(items)

    def transact(self, transaction):
        compares, then, otherwise = transaction
        answer = self.call("kv/txn", {"compare": [self._compare(one) for one in compares],
                                      "success": [self._operation(one) for one in then],
                                      "failure": [self._operation(one) for one in otherwise]})
        succeeded = answer.get("succeeded", False)
        results = [self._answer(operation[0], response[f"response_{self.NAMES[operation[0]]}"])
                   for operation, response in zip(then if succeeded else otherwise, answer.get("responses", []))]
        return succeeded, number(answer["header"], "revision") - 1, results

    def apply(self, operation):
        path = self.NAMES[operation[0]].replace("_", "")
        return self._answer(operation[0], self.call(f"kv/{path}", self._request(operation)))

    def events_until(self, revision):
        connection, reply = self._post("watch", {"create_request": {
            "key": base64_of("a"), "range_end": base64_of("f"), "start_revision": "2", "prev_kv": True}})
        events, last = [], 0
        with contextlib.closing(connection):
            while last < revision and (line := reply.readline()):
                for event in json.loads(line)["result"].get("events", []):
                    item = self._item([event["kv"]])
                    last = max(last, item[3])
                    kind = event.get("type", "PUT")
                    # A deletion's item has no more than the key and its revision.
                    events.append((kind, item, self._item([event["prev_kv"]] if "prev_kv" in event else None)))
        return sorted(events, key=lambda event: (event[1][3], event[1][0]))


def free_ports(count):
    with contextlib.ExitStack() as stack:
        sockets = [stack.enter_context(socket.socket()) for _ in range(count)]
        for one in sockets:
            one.bind(("127.0.0.1", 0))
        return [one.getsockname()[1] for one in sockets]


def wait_until_up(store):
    end = time.monotonic() + PATIENCE_SECONDS
    while not store.is_up():
        if store.process.poll() is not None or time.monotonic() > end:
            raise RuntimeError(f"{type(store).__name__} did not start")
        time.sleep(0.1)


def plain_event(event):
    """Without what only one of the two tells of a deletion."""
    kind, item, previous = event
    return (kind, (item[0], item[3]), previous) if kind == "DELETE" else event


def compare_stores(hostcall, etcd, choices):
    """Yields each difference."""
    revision, present = 0, set()
    for count in range(OPERATIONS):
        if count % 3 == 0:
            what = choices.operation(KEYS)
            results = [store.apply(what) for store in (hostcall, etcd)]
            operations, revision = [what], results[1][1]
        else:
            what = choices.transaction(revision, present)
            results = [store.transact(what) for store in (hostcall, etcd)]
            operations, revision = what[1] if results[1][0] else what[2], results[1][1]
        if results[0] != results[1]:
            yield f"{count}: {what}\n  hostcall: {results[0]}\n  etcd:     {results[1]}"
        for operation in operations:
            if operation[0] == "put":
                present.add(operation[1])
            elif operation[0] == "delete":
                present.discard(operation[1])
    events = [[plain_event(event) for event in store.events_until(revision)] for store in (hostcall, etcd)]
    print(f"# {OPERATIONS} operations, {revision} revisions, {len(events[1])} events")
    if len(events[0]) != len(events[1]):
        yield f"a watch has {len(events[0])} events in hostcall, {len(events[1])} in etcd"
    yield from (f"a watch's event\n  hostcall: {ours}\n  etcd:     {theirs}"
                for ours, theirs in zip(*events) if ours != theirs)


def end(process):
    process.terminate()
    try:
        return process.wait(PATIENCE_SECONDS)
    finally:
        process.kill()


def main():
    build = pathlib.Path(sys.argv[1]).resolve()
    program = os.environ.get("HOSTCALL_ETCD") or shutil.which("etcd")
    if not program:
        print("etcd is not installed")
        return SKIPPED
    seed = int(os.environ.get("HOSTCALL_SEED") or random.SystemRandom().randrange(1 << 32))
    print(f"# HOSTCALL_SEED={seed}")
    os.umask(0o022)  # hostcalld reads no file that a group may write
    with tempfile.TemporaryDirectory() as name, contextlib.ExitStack() as stack:
        work = pathlib.Path(name)
        hostcall, etcd = Hostcall(build, work), Etcd(program, work)
        for store in (hostcall, etcd):
            stack.callback(end, store.process)
            wait_until_up(store)
        differences = list(compare_stores(hostcall, etcd, Choices(seed)))
        if (code := end(hostcall.process)) != 0:
            differences.append(f"hostcalld ended with {code}: {hostcall.log.read_text()}")
    print("\n".join(differences[:20]))
    return 1 if differences else 0


if __name__ == "__main__":
    sys.exit(main())
