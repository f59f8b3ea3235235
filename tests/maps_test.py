#!/usr/bin/env python3
"""Checks that the maps (README.md of daemon, client and proto) name each source file below their folder, and nothing else.

Usage: maps_test.py SOURCE_ROOT. A map has a part "## Folders". There, "### NAME/" begins a folder, and a **name** in
bold is a file or a pair of files, without suffix. Prints each difference; exits with 1 if there is one. First checks
itself against small invented trees.
"""
import pathlib
import re
import sys
import tempfile

ROOTS = ("daemon", "client", "proto")
SUFFIXES = (".h", ".cc", ".c", ".proto")
FOLDER = re.compile(r"### (\S+)/")
NAME = re.compile(r"\*\*([a-z0-9_]+)(?:\.\w+)?\*\*")


def names_in(text):
    """(folder, name) of each bold name in the part "## Folders". The folder is relative to the map's, "." is the map's."""
    part = re.search(r"^## Folders\n(.*?)(?=^## |\Z)", text, re.M | re.S)
    folder = "."
    for line in part[1].splitlines() if part else ():
        if match := FOLDER.match(line):
            folder = match[1]
        for name in NAME.findall(line):
            yield folder, name


def sources_below(folder):
    return {(path.parent.relative_to(folder).as_posix(), path.stem) for path in folder.rglob("*")
            if path.suffix in SUFFIXES}


def differences(folder):
    """Yields a text for each file without a name and for each name without a file."""
    name = folder.name + "/README.md"
    mapped, sources = set(names_in((folder / "README.md").read_text())), sources_below(folder)
    yield from (f"{name}: {where}/{stem} is missing" for where, stem in sorted(sources - mapped))
    yield from (f"{name}: {where}/{stem} does not exist" for where, stem in sorted(mapped - sources))


# (the map, its files, what is found)
SELF_CHECK = (
    ("## Folders\n**main.cc** runs.\n### a/\n- **b**, **c_d**: x\n", ("main.cc", "a/b.h", "a/b.cc", "a/c_d.proto"), []),
    ("# Map\n**b**\n## Folders\n### a/\n- b\n## Why\n**b**\n", ("a/b.h",), ["a/b is missing"]),
    ("## Folders\n### a/\n- **b**\n### c/\n- **d**\n", ("a/d.h", "c/d.h"), ["a/d is missing", "a/b does not exist"]),
    ("## Folders\n### a/\n- **b**\n", ("a/b.h", "a/e/b.h"), ["a/e/b is missing"]),
    ("## Folders\n### a/\n- **b**: **not a name**, **Neither**\n", ("a/b.h", "a/README.md", "a/meson.build"), []),
    ("", ("a.h",), ["./a is missing"]),
)


def self_check():
    for text, files, expected in SELF_CHECK:
        with tempfile.TemporaryDirectory() as root:
            folder = pathlib.Path(root, "x")
            for file in ("README.md", *files):
                (folder / file).parent.mkdir(parents=True, exist_ok=True)
                (folder / file).touch()
            (folder / "README.md").write_text(text)
            found = [line.removeprefix("x/README.md: ") for line in differences(folder)]
            if found != expected:
                sys.exit(f"self-check: {text!r} with {files}: expected {expected}, found {found}")


def main():
    self_check()
    root = pathlib.Path(sys.argv[1])
    found = [line for name in ROOTS for line in differences(root / name)]
    for line in found:
        print(line)
    sys.exit(1 if found else 0)


if __name__ == "__main__":
    main()
