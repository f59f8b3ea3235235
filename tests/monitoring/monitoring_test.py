#!/usr/bin/env python3
"""Metrics as others read them: promtool and Prometheus' own parser check what a real daemon gives, by hostcallctl and by
metrics.sock. What the dashboard and the alerts of systemd/monitoring ask for must occur in it.

Usage: monitoring_test.py BUILD SOURCE. BUILD has the programs, SOURCE is the tree. HOSTCALL_PROMTOOL names promtool; a
check whose tool is missing is skipped and said so.
"""
import contextlib
import json
import os
import pathlib
import re
import shutil
import socket
import subprocess
import sys
import tempfile
import time
import unittest

BUILD, SOURCE = (pathlib.Path(argument).resolve() for argument in sys.argv[1:3])
MONITORING = SOURCE / "systemd/monitoring"
PROMTOOL = os.environ.get("HOSTCALL_PROMTOOL") or shutil.which("promtool")
PATIENCE = 60  # seconds

POLICY = {"rules": [{"vms": ["web1"], "calls": ["hostcall.v1.Store/*"], "resources": ["/self/**"], "action": "allow"},
                    {"vms": ["web1"], "calls": ["hostcall.v1.Session/*"], "action": "allow"}]}


class Daemon:
    """hostcalld with one VM that has made calls, allowed, denied and limited ones."""

    def __init__(self, folder):
        self.folder = folder
        for name in ("run", "state", "vms.d", "policy.d", "services.d"):
            (folder / name).mkdir()
        config = {"listen": [], "admin_socket": f"{folder}/admin.sock", "runtime_directory": f"{folder}/run",
                  "state_directory": f"{folder}/state", "vms_directory": f"{folder}/vms.d",
                  "policy_directory": f"{folder}/policy.d", "services_directory": f"{folder}/services.d",
                  "runner": "direct", "metrics_per_vm": True, "limits": {"store_keys": 1}}
        (folder / "hostcalld.json").write_text(json.dumps(config))
        (folder / "policy.d/50.json").write_text(json.dumps(POLICY))
        (folder / "vms.d/50.json").write_text(json.dumps(
            {"vms": [{"name": "web1", "unix_path": f"{folder}/web1.sock"},
                     {"name": "db1", "unix_path": f"{folder}/db1.sock", "vmm_uid": 4242}]}))
        self.process = subprocess.Popen([BUILD / "daemon/hostcalld", "--config", folder / "hostcalld.json"],
                                        stderr=subprocess.DEVNULL)
        self.metrics_socket = folder / "run/metrics.sock"
        deadline = time.monotonic() + PATIENCE
        while not self.metrics_socket.exists():
            if self.process.poll() is not None or time.monotonic() > deadline:
                raise RuntimeError("hostcalld does not start")
            time.sleep(0.02)
        self.make_calls()

    def guest(self, vm, *words):
        subprocess.run([BUILD / "client/hostcall/hostcall", "--address", f"unix:{self.folder}/{vm}.sock", *words],
                       stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, timeout=PATIENCE)

    def make_calls(self):
        self.guest("web1", "whoami")
        self.guest("web1", "kv", "put", "/self/key", "value")
        self.guest("web1", "kv", "get", "/self/key")
        self.guest("web1", "info")                               # denied
        self.guest("web1", "kv", "put", "/self/other", "value")  # limited
        self.guest("db1", "whoami")                              # refused

    def metrics(self, *options):
        argv = [BUILD / "client/hostcallctl/hostcallctl", "--socket", self.folder / "admin.sock", "metrics", *options]
        return subprocess.run(argv, stdout=subprocess.PIPE, check=True, text=True, timeout=PATIENCE).stdout

    def http(self, request):
        with socket.socket(socket.AF_UNIX) as peer:
            peer.settimeout(PATIENCE)
            peer.connect(str(self.metrics_socket))
            peer.sendall(request)
            head, body = b"".join(iter(lambda: peer.recv(65536), b"")).split(b"\r\n\r\n", 1)
        return head.decode(), body.decode()

    def stop(self):
        self.process.terminate()
        return self.process.wait(PATIENCE)


def promtool(*words, text=None, folder=None):
    done = subprocess.run([PROMTOOL, *words], input=text, cwd=folder, text=True, stdout=subprocess.PIPE,
                          stderr=subprocess.STDOUT, timeout=PATIENCE)
    return done.returncode, done.stdout


def series_of(text):
    """The names of the samples, each with the names of its labels."""
    series = {}
    for line in text.splitlines():
        if match := re.match(r"([a-z_]+)(?:\{(.*)\})? ", line):
            series.setdefault(match[1], set()).update(re.findall(r'(\w+)="', match[2] or ""))
    return series


def queries_of(dashboard):
    for panel in dashboard["panels"]:
        for target in panel.get("targets", ()):
            yield panel["title"], target["expr"]


# What a scrape adds to every series.
SCRAPED = {"instance", "job"}


def missing_in(query, series):
    """The metrics and labels of a query that no series has."""
    names = re.findall(r"\b(?:hostcall|process)_[a-z_]+", query)
    if not names and "up{" not in query:
        yield "any metric"
    known = SCRAPED.union(*(series.get(name, ()) for name in names))
    yield from (name for name in names if name not in series)
    labels = set(re.findall(r'(\w+)(?:=~|!~|!=|=)"', query))
    for group in re.findall(r"\bby \(([^)]*)\)", query):
        labels.update(label.strip() for label in group.split(","))
    yield from (f"label {label}" for label in sorted(labels - known))


class MonitoringTest(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.folder = tempfile.TemporaryDirectory()
        cls.daemon = Daemon(pathlib.Path(cls.folder.name))

    @classmethod
    def tearDownClass(cls):
        assert cls.daemon.stop() == 0, "hostcalld did not stop cleanly"
        cls.folder.cleanup()

    def require_promtool(self):
        if PROMTOOL is None:
            self.skipTest("there is no promtool")

    def test_promtool_takes_the_text(self):
        self.require_promtool()
        code, said = promtool("check", "metrics", text=self.daemon.metrics())
        self.assertEqual((code, said), (0, ""))
        code, _ = promtool("check", "metrics", text="hostcall_bad 1\n# TYPE hostcall_bad counter\n")
        self.assertNotEqual(code, 0, "it finds faults")

    def test_the_strict_parser_takes_openmetrics(self):
        # Debian's, whichever Python runs this.
        sys.path.append("/usr/lib/python3/dist-packages")
        try:
            from prometheus_client.openmetrics.parser import text_string_to_metric_families as parse
        except ImportError:
            self.skipTest("there is no python3-prometheus-client")
        text = self.daemon.metrics("--openmetrics")
        families = {family.name: family for family in parse(text)}
        self.assertEqual(families["hostcall_calls"].type, "counter")
        durations = families["hostcall_call_duration_seconds"]
        self.assertEqual(durations.type, "histogram")
        calls = {tuple(sample.labels.values()): sample.value for sample in families["hostcall_calls"].samples}
        self.assertGreaterEqual(calls["hostcall.v1.Session/WhoAmI", "OK"], 1)
        self.assertGreaterEqual(calls["hostcall.v1.Host/Info", "PERMISSION_DENIED"], 1)
        self.assertGreater(families["process_start_time_seconds"].samples[0].value, 1e9)
        self.assertGreaterEqual(families["hostcall_store_fsync_seconds"].samples[-1].value, 1)
        with self.assertRaises(ValueError):
            list(parse(text.replace("# EOF\n", "")))

    def test_both_formats_have_the_same_series(self):
        self.assertEqual(series_of(self.daemon.metrics()), series_of(self.daemon.metrics("--openmetrics")))

    def test_the_socket_gives_the_same(self):
        for accept, options, kind in (
                (b"", (), "text/plain; version=0.0.4"),
                (b"Accept: application/openmetrics-text;version=1.0.0\r\n", ("--openmetrics",),
                 "application/openmetrics-text; version=1.0.0")):
            head, body = self.daemon.http(b"GET /metrics HTTP/1.1\r\nHost: x\r\n" + accept + b"\r\n")
            self.assertTrue(head.startswith("HTTP/1.1 200 OK\r\n"), head)
            self.assertIn(f"Content-Type: {kind}", head)
            self.assertEqual(series_of(body), series_of(self.daemon.metrics(*options)))

    def test_hostile_peers_of_the_socket_hold_up_nobody(self):
        get = b"GET /metrics HTTP/1.1\r\n\r\n"
        crowd = []
        for number in range(1000):
            peer = socket.socket(socket.AF_UNIX)
            peer.connect(str(self.daemon.metrics_socket))
            crowd.append(peer)
            if number % 2:
                try:
                    peer.sendall(get)  # and never reads
                except OSError:
                    pass  # too many at once
        self.assertIn("hostcall_vms", self.daemon.metrics(), "hostcalld serves others")
        for peer in crowd:
            peer.close()
        for endless in (b"a" * 65536, b"GET /metrics HTTP/1.1\r\n" + b"A: b\r\n" * 10000, b"\0"):
            with socket.socket(socket.AF_UNIX) as peer:
                peer.settimeout(PATIENCE)
                peer.connect(str(self.daemon.metrics_socket))
                with contextlib.suppress(OSError):
                    peer.sendall(endless)
                answer = b""
                with contextlib.suppress(ConnectionResetError):
                    while part := peer.recv(65536):
                        answer += part
                self.assertRegex(answer, rb"^HTTP/1.1 4(00|31) ")
        with socket.socket(socket.AF_UNIX) as peer:
            peer.settimeout(PATIENCE)
            peer.connect(str(self.daemon.metrics_socket))
            for byte in get:
                peer.sendall(bytes([byte]))
            self.assertTrue(peer.recv(100).startswith(b"HTTP/1.1 200 OK"))

    def test_the_dashboard_asks_for_what_there_is(self):
        dashboard = json.loads((MONITORING / "hostcall-dashboard.json").read_text())
        series = series_of(self.daemon.metrics())
        queries = list(queries_of(dashboard))
        self.assertGreater(len(queries), 20)
        for title, query in queries:
            self.assertEqual(list(missing_in(query, series)), [], title)
        self.assertEqual(list(missing_in('sum by (x) (hostcall_y{z="1"})', series)),
                         ["hostcall_y", "label x", "label z"], "the check finds what is missing")
        self.assertEqual(dashboard["uid"], "hostcall")
        self.assertIsInstance(dashboard["schemaVersion"], int)
        self.assertEqual([one["name"] for one in dashboard["__inputs"]], ["DS_PROMETHEUS"])
        ids = [panel["id"] for panel in dashboard["panels"]]
        self.assertEqual(len(ids), len(set(ids)))
        for panel in dashboard["panels"]:
            for one in (panel, *panel.get("targets", ())):
                self.assertEqual(one.get("datasource", {}).get("uid", "${DS_PROMETHEUS}"), "${DS_PROMETHEUS}")

    def test_the_alerts_ask_for_what_there_is(self):
        series = series_of(self.daemon.metrics())
        rules = re.findall(r"expr: (?:>-\n)?((?:.+\n)+?)(?= +(?:for|labels):)", (MONITORING / "hostcall-alerts.yml").read_text())
        self.assertEqual(len(rules), 9)
        for rule in rules:
            self.assertEqual(list(missing_in(rule, series)), [], rule)

    def test_the_alerts_are_raised(self):
        self.require_promtool()
        code, said = promtool("check", "rules", MONITORING / "hostcall-alerts.yml")
        self.assertEqual(code, 0, said)
        code, said = promtool("test", "rules", "hostcall-alerts.test.yml", folder=MONITORING)
        self.assertEqual(code, 0, said)


if __name__ == "__main__":
    unittest.main(argv=sys.argv[:1], verbosity=2)
