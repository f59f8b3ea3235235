"""Checks histories of the store that client.cc has noted down: that each watcher was told what the writers did, in order,
once, a revision at a time, and over reconnections without a gap."""
import bisect


class Wrong(Exception):
    """What a watcher was told is not what happened."""


def parse(line):
    """("E", 12, {"/shared/k/1": "value"}); None stands for a deleted key."""
    words = line.split()
    if words == ["R"]:
        return "R", 0, {}
    changes = {}
    for word in words[2:]:
        key, value = word.split("=", 1)
        if key in changes:
            raise Wrong(f"{key} comes twice in one message: {line.strip()}")
        changes[key] = value or None
    return words[0], int(words[1]), changes


def history_of(lines):
    """What the writers did: changes by revision."""
    history = {}
    for line in lines:
        _, revision, changes = parse(line)
        if revision in history:
            raise Wrong(f"two transactions have revision {revision}")
        history[revision] = changes
    return history


class Truth:
    def __init__(self, history):
        self.history = history
        self.revisions = sorted(history)

    def between(self, after, upto):
        """The revisions in (after, upto]."""
        return self.revisions[bisect.bisect_right(self.revisions, after):bisect.bisect_right(self.revisions, upto)]

    def latest(self, after, upto, prefix):
        """What changed last, of each key, in (after, upto]."""
        state = {}
        for revision in self.between(after, upto):
            state.update(watched(self.history[revision], prefix))
        return state


def watched(changes, prefix):
    return {key: value for key, value in changes.items() if key.startswith(prefix)}


def check_watcher(truth, lines, prefix):
    """Returns how many changes it was told."""
    seen, told = 0, 0
    for line in lines:
        kind, revision, changes = parse(line)
        if kind == "R":
            continue
        told += len(changes)
        if kind == "S":
            check_snapshot(truth, revision, changes, prefix, seen)
        elif kind == "C":
            check_coalesced(truth, seen, revision, changes, prefix)
        else:
            check_events(truth, seen, revision, changes, prefix)
        seen = revision
    return told


def check_snapshot(truth, revision, changes, prefix, seen):
    if revision < seen:
        raise Wrong(f"a snapshot of {revision} after revision {seen}")
    state = {key: value for key, value in truth.latest(0, revision, prefix).items() if value is not None}
    if changes != state:
        raise Wrong(f"the snapshot of {revision} is not the state then: {difference(changes, state)}")


def check_coalesced(truth, seen, revision, changes, prefix):
    if revision <= seen:
        raise Wrong(f"a coalesced set up to {revision} after {seen}")
    if changes != (state := truth.latest(seen, revision, prefix)):
        raise Wrong(f"coalesced from {seen} to {revision}: {difference(changes, state)}")


def check_events(truth, seen, revision, changes, prefix):
    if revision <= seen:
        raise Wrong(f"revision {revision} after {seen}: out of order, or twice")
    for missed in truth.between(seen, revision - 1):
        if watched(truth.history[missed], prefix):
            raise Wrong(f"revision {missed} was left out between {seen} and {revision}")
    if changes != (own := watched(truth.history.get(revision, {}), prefix)):
        raise Wrong(f"revision {revision}: {difference(changes, own)}")


def difference(got, wanted):
    keys = sorted(key for key in {*got, *wanted} if got.get(key, "?") != wanted.get(key, "?"))
    return "; ".join(f"{key} is {got.get(key, 'missing')!r} instead of {wanted.get(key, 'missing')!r}" for key in keys[:5])


def check_checker():
    """Shows that each fault would be found."""
    history = history_of(["T 1 /a=1 /b=1", "T 2 /a=2", "T 3 /b= /c=3", "T 4 /x=0"])
    truth = Truth(history)
    check_watcher(truth, ["S 1 /a=1 /b=1", "E 2 /a=2", "R", "E 3 /b= /c=3"], "/")
    check_watcher(truth, ["S 1 /a=1 /b=1", "C 3 /a=2 /b= /c=3", "E 4 /x=0"], "/")
    faults = {
        "twice": ["S 1 /a=1 /b=1", "E 2 /a=2", "R", "E 2 /a=2"],
        "a gap": ["S 1 /a=1 /b=1", "R", "E 3 /b= /c=3"],
        "out of order": ["E 1 /a=1 /b=1", "E 3 /b= /c=3", "E 2 /a=2"],
        "split": ["S 1 /a=1 /b=1", "E 2 /a=2", "E 3 /b=", "E 3 /c=3"],
        "another value": ["S 1 /a=1 /b=1", "E 2 /a=1"],
        "a stale snapshot": ["S 2 /a=1 /b=1"],
        "never happened": ["S 4 /a=2 /c=3 /x=0", "E 5 /a=9"],
        "coalesced, but not the latest": ["S 1 /a=1 /b=1", "C 3 /a=2 /c=3"],
        "a key twice": ["E 1 /a=1 /a=1 /b=1"],
    }
    for name, lines in faults.items():
        try:
            check_watcher(truth, lines, "/")
        except Wrong:
            continue
        raise AssertionError(f"the checker does not see: {name}")
