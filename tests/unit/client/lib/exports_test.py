#!/usr/bin/env python3
"""Checks that libhostcall.so exports what hostcall.h declares, versioned, and nothing else.

Usage: exports_test.py NM LIBRARY HEADER
"""
import re
import subprocess
import sys

VERSION = "HOSTCALL_0"


def exported(nm, library):
    """Names of defined dynamic symbols, with their version."""
    out = subprocess.run([nm, "-D", "--defined-only", library], check=True, capture_output=True, text=True).stdout
    return {line.split()[-1] for line in out.splitlines()} - {VERSION}


def declared(header):
    with open(header, encoding="utf-8") as text:
        names = re.findall(r"^HOSTCALL_API [^;(]*?\*?(hostcall_\w+)\(", text.read(), re.M)
    return {f"{name}@@{VERSION}" for name in names}


def main():
    nm, library, header = sys.argv[1:]
    want, have = declared(header), exported(nm, library)
    if len(want) < 20:
        sys.exit(f"only {len(want)} functions found in {header}: the pattern is out of date")
    for name in sorted(want ^ have):
        print(f"{name}: {'declared but not exported' if name in want else 'exported but not declared'}")
    sys.exit(1 if want != have else 0)


main()
