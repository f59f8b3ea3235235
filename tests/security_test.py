#!/usr/bin/env python3
"""Checks that daemon/SECURITY.md names tests that exist, and at least one for each threat.

Usage: security_test.py SOURCE_ROOT. In backticks, Suite.Name is a test of googletest, 20-name a scenario of tests/vm, and
a path with a slash a file or folder of the tree. A row of a table that begins with T and a number is a threat; its last
cell is the proof. Prints each difference; exits with 1 if there is one. First checks itself against small invented trees.
"""
import pathlib
import re
import sys
import tempfile

DOCUMENT = "daemon/SECURITY.md"
QUOTED = re.compile(r"`([^`\n]+)`")
GTEST = re.compile(r"[A-Z]\w*\.[A-Z]\w*")
SCENARIO = re.compile(r"\d\d-[a-z0-9-]+")
FILE = re.compile(r"(?:client|daemon|proto|systemd|tests)/\S+")
MACRO = re.compile(r"^(?:TYPED_)?TEST(?:_F|_P)?\(\s*(\w+),\s*(\w+)\s*\)", re.M)
THREAT = re.compile(r"^\| T(\d+) \|.*\|$", re.M)


def gtests_below(folder):
    return {f"{suite}.{name}" for path in folder.rglob("*.cc") for suite, name in MACRO.findall(path.read_text())}


def tests_in(text):
    """What the text names as tests."""
    return [name for name in QUOTED.findall(text) if any(kind.fullmatch(name) for kind in (GTEST, SCENARIO, FILE))]


def exists(root, gtests, name):
    if GTEST.fullmatch(name):
        return name in gtests
    return (root / (f"tests/vm/scenarios/{name}.sh" if SCENARIO.fullmatch(name) else name)).exists()


def wrong_threats(text):
    """Yields a text for each threat that is out of order or has no proof."""
    for place, row in enumerate(THREAT.finditer(text), 1):
        if int(row[1]) != place:
            yield f"T{row[1]} stands in the place of T{place}"
        if not tests_in(row[0].split("|")[-2]):
            yield f"T{row[1]} names no test"


def differences(root):
    text, gtests = (root / DOCUMENT).read_text(), gtests_below(root / "tests")
    if not THREAT.search(text):
        yield "there is no threat"
    yield from wrong_threats(text)
    yield from (f"{name} does not exist" for name in sorted(set(tests_in(text))) if not exists(root, gtests, name))


# (the document, the text of a test's file, what is found)
CODE = "TEST(A, B) {\n}\nTEST_F(C,\n       D) {\n}\nTEST_P(E, F) {\n}\n// TEST(Not, Here)\nTEST(G, DISABLED_H) {\n"
SELF_CHECK = (
    ("| T1 | x | y | `A.B`, `C.D` |\n| T2 | x | y | `10-guest`, `E.F` |\n", []),
    ("| T1 | x | y | `tests/a_test.cc`, `tests/vm` |\n", []),
    ("| T1 | x | y | `A.B` |\nThe `B.A` is gone, `Not.Here` too.\n", ["B.A does not exist", "Not.Here does not exist"]),
    ("| T1 | x | y | `G.H`, `C.B` |\n", ["C.B does not exist", "G.H does not exist"]),
    ("| T1 | x | y | `20-guest`, `tests/b.cc` |\n", ["20-guest does not exist", "tests/b.cc does not exist"]),
    ("| T1 | `A.B` | y | by reasoning |\n", ["T1 names no test"]),
    ("| T1 | x | y | `A.B` |\n| T3 | x | y | `A.B` |\n", ["T3 stands in the place of T2"]),
    ("Threats: `A.B`\n", ["there is no threat"]),
    ("| T1 | a `Word` with `store_keys` and `Session/Hello` | y | `A.B` |\n", []),
)


def self_check():
    for text, expected in SELF_CHECK:
        with tempfile.TemporaryDirectory() as name:
            root = pathlib.Path(name)
            for file, content in ((DOCUMENT, text), ("tests/a_test.cc", CODE), ("tests/vm/scenarios/10-guest.sh", "")):
                (root / file).parent.mkdir(parents=True, exist_ok=True)
                (root / file).write_text(content)
            if (found := list(differences(root))) != expected:
                sys.exit(f"self-check: {text!r}: expected {expected}, found {found}")


def main():
    self_check()
    found = list(differences(pathlib.Path(sys.argv[1])))
    for line in found:
        print(f"{DOCUMENT}: {line}")
    sys.exit(1 if found else 0)


if __name__ == "__main__":
    main()
