#!/usr/bin/env python3
"""Counts the single tests of a `meson test` run, and shows the failures.

Usage: results.py BUILD LOGBASE. Reads BUILD/meson-logs/LOGBASE.json (one line per test program, with its output) and
LOGBASE.junit.xml (one element per case of a gtest or TAP program). Prints the output of each failed program without the
passed cases, a line `skip NAME: reason` for each skipped test, and last `N passed, N failed[, N skipped]`.
Exit code 1 if anything failed or nothing ran. ../run uses it.
"""
import collections
import json
import pathlib
import re
import sys
import xml.etree.ElementTree

# googletest's output for passed cases.
PASSED_CASE = re.compile(r"^\[ RUN      \] (\S+)\n\[       OK \] \1.*\n|^\[-{10}\].*\n|^\n", re.M)
OUTCOMES = {"OK": "passed", "EXPECTEDFAIL": "passed", "SKIP": "skipped"}  # of a program; anything else: failed


def read_programs(path):
    if not path.exists():
        return []
    return [json.loads(line) for line in path.read_text(errors="replace").splitlines()]


def read_suites(path):
    """(name, element) of each suite; none if meson was ended before it wrote the file."""
    if not path.exists():
        return []
    return [(suite.get("name", ""), suite) for suite in xml.etree.ElementTree.parse(path).iter("testsuite")]


def cases_of(program, suites):
    """The cases of a gtest or TAP program. Its suites are PROJECT.PROGRAM and PROJECT.PROGRAM.GTEST-SUITE. Programs without
    cases share a suite PROJECT, where meson 1.0 does not mark those that timed out."""
    project = program["name"].partition(" / ")[0].partition(":")[0]
    own = f"{project}.{program['name']}"
    return [case for name, suite in suites if name == own or name.startswith(own + ".")
            for case in suite.iter("testcase")]


def outcome_of_case(case):
    if case.find("failure") is not None or case.find("error") is not None:
        return "failed"
    if case.find("skipped") is not None or case.get("status") == "notrun":
        return "skipped"
    return "passed"


def outcome_of_program(program):
    return OUTCOMES.get(program["result"], "failed")


def count_program(program, suites):
    cases = cases_of(program, suites)
    count = collections.Counter(outcome_of_case(case) for case in cases)
    # A program without cases is one test. One whose cases all passed may still have crashed or leaked at its end.
    if not cases or (outcome_of_program(program) == "failed" and not count["failed"]):
        count[outcome_of_program(program)] += 1
    return count


def last_line(program):
    lines = (program.get("stdout") or program.get("stderr") or "").strip().splitlines()
    return lines[-1] if lines else "no reason given"


def why_skipped(case):
    """gtest's reason. meson drops a TAP program's reason unless the case's name contains it."""
    why = case.find("skipped")
    text = "disabled" if why is None else " ".join(why.get("message", "").split())
    return f": {text}" if text else ""


def show_skipped(program, suites):
    if outcome_of_program(program) == "skipped":
        print(f"skip {program['name']}: {last_line(program)}")
        return
    for case in cases_of(program, suites):
        if outcome_of_case(case) == "skipped":
            print(f"skip {program['name']}, {case.get('classname')}.{case.get('name')}{why_skipped(case)}")


def show_failed(program):
    if outcome_of_program(program) != "failed":
        return
    print(f"--- {program['name']}: {program['result']}, exit code {program['returncode']}, "
          f"{program['duration']:.1f} s")
    for stream in ("stdout", "stderr"):
        if program.get(stream):
            print(PASSED_CASE.sub("", program[stream]).rstrip())


def main():
    logs, base = pathlib.Path(sys.argv[1]) / "meson-logs", sys.argv[2]
    programs = read_programs(logs / f"{base}.json")
    suites = read_suites(logs / f"{base}.junit.xml")
    count = collections.Counter()
    for program in programs:
        count += count_program(program, suites)
        show_skipped(program, suites)
    for program in programs:
        show_failed(program)
    skipped = f", {count['skipped']} skipped" if count["skipped"] else ""
    print(f"{count['passed']} passed, {count['failed']} failed{skipped}")
    return 0 if count["passed"] and not count["failed"] else 1


if __name__ == "__main__":
    sys.exit(main())
