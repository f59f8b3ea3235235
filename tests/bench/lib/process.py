"""Processes of a run: started on a chosen core, with a time limit, and ended whatever happens. Neighbours: systems.py
(what is started), measure.py and extras.py (who starts)."""
import contextlib
import ctypes
import json
import os
import pathlib
import re
import shutil
import signal
import socket
import subprocess
import tempfile
import time

PR_SET_PDEATHSIG = 1
PATIENCE = 600  # seconds for what must come; against hanging only
STOP_SECONDS = 20  # what has not ended by then is killed

# Which core the server and the client have. "split" needs a second one.
PINS = {"same": (0, 0), "split": (1, 0)}


class Failure(Exception):
    """A program did not do what it should; the text says what it said."""


def cores():
    return sorted(os.sched_getaffinity(0))


def pins():
    return [pin for pin, used in PINS.items() if max(used) < len(cores())]


def on_core(index):
    """For preexec_fn: the process, and the threads that it starts, stay on this core, and it ends when the run does."""
    core = cores()[index]
    prctl = ctypes.CDLL(None).prctl

    def prepare():
        os.sched_setaffinity(0, {core})
        prctl(PR_SET_PDEATHSIG, signal.SIGTERM)

    return prepare


class Workspace:
    """A temporary directory and the processes that live until the end of the run."""

    def __init__(self):
        self.path = pathlib.Path(tempfile.mkdtemp(prefix="hostcall-bench-"))
        self.running = []

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.stop(self.running)
        shutil.rmtree(self.path, ignore_errors=True)

    def directory(self, name):
        path = self.path / name
        path.mkdir()
        return path

    def start(self, argv, core, **options):
        """Output goes to a file beside the others; see said_by()."""
        log = open(self.path / f"log{len(self.running)}-{pathlib.Path(argv[0]).name}", "wb")
        with log:
            process = subprocess.Popen([str(word) for word in argv], preexec_fn=on_core(core), stdout=log,
                                       stderr=log, **{"stdin": subprocess.DEVNULL, **options})
        process.log = log.name
        self.running.append(process)
        return process

    def start_server(self, argv, core, path):
        """Started, and listening at the path."""
        process = self.start(argv, core)
        deadline = time.monotonic() + PATIENCE
        while not accepts(path):
            if process.poll() is not None or time.monotonic() > deadline:
                raise Failure(f"{argv[0]} does not listen: {said_by(process)}")
            time.sleep(0.01)
        return process

    def stop(self, processes):
        """All together, so that one that takes its time does not make the others wait."""
        processes = [process for process in processes if process.poll() is None]
        for process in processes:
            process.send_signal(signal.SIGTERM)
        deadline = time.monotonic() + STOP_SECONDS
        for process in processes:
            try:
                process.wait(max(0.1, deadline - time.monotonic()))
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()


def accepts(path):
    with contextlib.closing(socket.socket(socket.AF_UNIX)) as probe:
        try:
            probe.connect(str(path))
        except OSError:
            return False
    return True


def said_by(process):
    text = pathlib.Path(process.log).read_text(errors="replace").strip()
    return text[-500:] or f"nothing, exit code {process.poll()}"


def wait_until(condition, process, otherwise):
    """Until the process has brought it about. Its output tells why it has not."""
    deadline = time.monotonic() + PATIENCE
    while not condition():
        if process.poll() is not None or time.monotonic() > deadline:
            raise Failure(f"{otherwise}: {said_by(process)}")
        time.sleep(0.01)


def rss_kib(pid):
    return int(re.search(r"^VmRSS:\s+(\d+)", pathlib.Path(f"/proc/{pid}/status").read_text(), re.M)[1])


def run_client(argv, core=PINS["same"][1]):
    """The figures that a client program prints; with a member "unsupported" where the system has no such work."""
    argv = [str(word) for word in argv]
    try:
        done = subprocess.run(argv, preexec_fn=on_core(core), stdin=subprocess.DEVNULL, capture_output=True,
                              text=True, timeout=PATIENCE)
    except subprocess.TimeoutExpired:
        raise Failure(f"{' '.join(argv)}: no end after {PATIENCE} s") from None
    if done.returncode != 0:
        raise Failure(f"{' '.join(argv)}: exit code {done.returncode}: {done.stderr.strip()[-500:]}")
    return json.loads(done.stdout)
