"""What a result belongs to: date, machine, compiler, versions of the peers."""
import datetime
import json
import os
import pathlib
import platform
import re
import subprocess

PACKAGES = {"gRPC": "grpc++", "Cap'n Proto": "capnp-rpc", "Thrift": "thrift", "systemd": "libsystemd",
            "protobuf": "protobuf"}


def facts(build):
    return {
        "date": datetime.date.today().isoformat(),
        "cpu": cpu_model(),
        "cores": len(os.sched_getaffinity(0)),
        "kernel": platform.release(),
        "compiler": compiler(build),
        "options": options(build),
        "versions": {name: version for name, package in PACKAGES.items() if (version := version_of(package))},
    }


def cpu_model():
    found = re.search(r"^model name\s*:\s*(.*)$", pathlib.Path("/proc/cpuinfo").read_text(), re.M)
    return found[1] if found else platform.machine()


def introspect(build, name):
    path = pathlib.Path(build) / "meson-info" / f"intro-{name}.json"
    return json.loads(path.read_text()) if path.exists() else []


def compiler(build):
    """Of the harness: what it says of itself."""
    for target in introspect(build, "targets"):
        if target["name"] == "hostcall-bench-harness":
            return first_line([target["target_sources"][0]["compiler"][0], "--version"]) or "unknown compiler"
    return "unknown compiler"


def options(build):
    wanted = ("buildtype", "optimization", "b_lto", "b_sanitize")
    return {option["name"]: option["value"] for option in introspect(build, "buildoptions")
            if option["name"] in wanted}


def version_of(package):
    return first_line(["pkg-config", "--modversion", package])


def first_line(argv):
    done = subprocess.run(argv, capture_output=True, text=True, timeout=20)
    return done.stdout.splitlines()[0].strip() if done.returncode == 0 and done.stdout else None


def as_text(machine):
    versions = ", ".join(f"{name} {version}" for name, version in machine["versions"].items())
    return (f"{machine['date']}; {machine['cpu']}, {machine['cores']} cores, Linux {machine['kernel']}, "
            f"{machine['compiler']} -O{machine['options'].get('optimization', '?')}; {versions}")
