#!/usr/bin/env python3
"""Checks that each fuzz target has its source and its committed inputs, and that there are none without a target.

Usage: corpus_test.py TARGET... Prints each difference; exits with 1 if there is one. First checks itself against small
invented trees.
"""
import pathlib
import sys
import tempfile

HERE = pathlib.Path(__file__).resolve().parent
MOST_INPUTS = 100  # each is run in every build
MOST_BYTES = 8192


def differences(folder, targets):
    """Yields a text for each difference."""
    sources = {path.stem.removeprefix("fuzz_") for path in folder.glob("fuzz_*.cc")}
    corpora = {path.name for path in (folder / "corpus").iterdir()}
    for what, found in (("fuzz_{}.cc", sources), ("corpus/{}", corpora)):
        yield from (what.format(name) + " is missing" for name in sorted(targets - found))
        yield from (what.format(name) + " has no target" for name in sorted(found - targets))
    for name in sorted(corpora & targets):
        inputs = list((folder / "corpus" / name).iterdir())
        if not 0 < len(inputs) <= MOST_INPUTS:
            yield f"corpus/{name} has {len(inputs)} inputs, but 1 to {MOST_INPUTS} are wanted"
        yield from (f"corpus/{name}/{path.name} has more than {MOST_BYTES} bytes"
                    for path in inputs if path.stat().st_size > MOST_BYTES)


# (files, targets, what is found)
SELF_CHECK = (
    (("fuzz_a.cc", "corpus/a/One"), {"a"}, []),
    (("fuzz_a.cc", "corpus/b/One"), {"a"}, ["corpus/a is missing", "corpus/b has no target"]),
    (("fuzz_a.cc", "fuzz_b.cc", "corpus/a/One"), {"a"}, ["fuzz_b.cc has no target"]),
    (("corpus/a/One",), {"a"}, ["fuzz_a.cc is missing"]),
)


def self_check():
    for files, targets, expected in SELF_CHECK:
        with tempfile.TemporaryDirectory() as root:
            for file in files:
                path = pathlib.Path(root, file)
                path.parent.mkdir(parents=True, exist_ok=True)
                path.touch()
            found = list(differences(pathlib.Path(root), targets))
            if found != expected:
                sys.exit(f"corpus_test.py is broken: found {found} instead of {expected}")


def main():
    self_check()
    targets = set(sys.argv[1:])
    if not targets:
        sys.exit(__doc__)
    found = list(differences(HERE, targets))
    print("\n".join(found) or f"{len(targets)} targets have their inputs")
    sys.exit(1 if found else 0)


if __name__ == "__main__":
    main()
