#!/usr/bin/env python3
"""Checks what an installation writes.

Usage: installed_test.py BUILD CONFIG_DIRECTORY [--hardened]. Nothing may go below CONFIG_DIRECTORY, which is the
operator's alone: an upgrade would overwrite it, and a removal delete it. With --hardened, for builds like a release:
every program and shared library must have the protections that meson.build asks the compiler for, which are easily
lost by an option of a target or of a distribution. Prints each fault; exits with 1 if there is one.
"""
import json
import os
import pathlib
import re
import subprocess
import sys

ELF = b"\x7fELF"


def readelf(path):
    environment = {**os.environ, "LC_ALL": "C"}
    return subprocess.run(["readelf", "--wide", "--file-header", "--segments", "--dynamic", "--dyn-syms", path],
                          capture_output=True, text=True, check=True, env=environment).stdout


# A protection, and what of readelf's output shows it.
ALWAYS = {
    "read-only relocations": r"^\s*GNU_RELRO ",
    "a stack that is not executable": r"^\s*GNU_STACK .* RW ",
}
DYNAMIC = {
    "position-independent code": r"^\s*Type:\s+DYN ",
    "all symbols bound at start": r"\(FLAGS(_1)?\).*\b(BIND_)?NOW\b",
    "stack protector": r"\b__stack_chk_fail\b",
}
# What a small program may have no use for.
CHECKED = {"checked functions of the C library": r"\b__\w+_chk\b"}
HAVE_CHECKED = ("hostcalld", "hostcall", "hostcallctl", "libhostcall.so")


def missing_protections(name, text):
    """What a program lacks. A static one (the guest kit's) has no table of symbols that could show more."""
    expected = dict(ALWAYS)
    if "Dynamic section" in text:
        expected |= DYNAMIC
        if name.startswith(HAVE_CHECKED):
            expected |= CHECKED
    return [what for what, pattern in expected.items() if not re.search(pattern, text, re.MULTILINE)]


def faults_of(installed, config_directory, hardened):
    checked = 0
    for source, target in sorted(installed.items()):
        if pathlib.PurePath(target).is_relative_to(config_directory):
            yield f"{target}: would be installed into the operator's directory"
        path = pathlib.Path(source)
        if not hardened or not path.is_file() or path.read_bytes()[:4] != ELF:
            continue
        checked += 1
        for what in missing_protections(path.name, readelf(path)):
            yield f"{target}: lacks {what}"
    if hardened and checked < 4:
        yield f"only {checked} programs and libraries found; hostcalld, hostcall, hostcallctl and libhostcall expected"


def self_test():
    """A program that has nothing must be found out."""
    found = missing_protections("hostcalld", "Type:  EXEC (Executable file)\n  GNU_STACK 0x0 0x0 0x0 RWE 0x10\n"
                                             "Dynamic section at offset 0x1 contains 2 entries:\n")
    assert len(found) == len(ALWAYS | DYNAMIC | CHECKED), found


def main():
    build, config_directory = sys.argv[1:3]
    self_test()
    introspected = subprocess.run(["meson", "introspect", "--installed", build], capture_output=True, check=True)
    faults = list(faults_of(json.loads(introspected.stdout), config_directory, "--hardened" in sys.argv[3:]))
    print("\n".join(faults))
    return 1 if faults else 0


if __name__ == "__main__":
    sys.exit(main())
