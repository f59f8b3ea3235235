"""The goals, and what was reached: ratios are taken round by round, then the median of them counts."""
import dataclasses
import statistics

from lib.bounds import GROWTH, IDLE_RELAY_KIB, PURGE_WRITTEN

GRPC_BEST = ("grpc-cq", "grpc-sync")


def cpu(figures):
    return figures["client_us_per_call"] + figures["server_us_per_call"]


def whole_calls(name):
    """To a tenth: now and then a timer of the daemon is due meanwhile."""
    return lambda figures: round(figures[name], 1)


def figure(name):
    return lambda figures: figures[name]


@dataclasses.dataclass(frozen=True)
class Goal:
    title: str
    work: str
    take: object            # of the figures
    limit: float
    at_least: bool = False  # else at most
    system: str = "hostcall"
    against: tuple = ()     # the best of these systems; empty: the figure itself counts
    against_work: str = ""  # if it is another one
    pin: str = "same"
    unit: str = ""          # of a figure that is no ratio

    def is_reached(self, value):
        return value >= self.limit if self.at_least else value <= self.limit


def ratio(title, work, limit, against, *, take=None, at_least=False, **more):
    return Goal(title, work, take or figure("calls_per_s" if at_least else "p50_us"), limit, at_least, against=against,
                **more)


def stream_goals():
    for pin in ("same", "split"):
        place = "one core" if pin == "same" else "two cores"
        for work in ("download", "upload"):
            for against, limit, name in ((("raw",), 0.9, "raw"), (("grpc-sync",), 2.7, "gRPC")):
                yield ratio(f"{work}, GB/s, {place}, against {name}", work, limit, against, take=figure("gb_per_s"),
                            at_least=True, pin=pin)


def routed_goals():
    for protocol in ("ttrpc", "hostcall"):
        for against, limit, name in (("hostcall", 2.2, "the built-in one"), ("grpc-proxy", 0.42, "gRPC with a proxy")):
            yield ratio(f"a routed call by {protocol}, unary p50, same core, against {name}", "unary-64", limit,
                        (against,), system=f"routed-{protocol}")


RELAYS = (  # title, system, against, at least
    ("Relay/Open, {}, GB/s, {}, against plain copying", "relay", "copy", 0.8),
    ("the same as bytes, not typed", "relay-bytes", "copy", 0.8),
    ("hostcall forward, {}, GB/s, {}, against two socats", "forward", "socats", 1.5),
)


def relay_goals():
    for pin in ("same", "split"):
        place = "one core" if pin == "same" else "two cores"
        for work in ("relay-download", "relay-upload"):
            for title, system, against, limit in RELAYS:
                yield ratio(title.format(work.removeprefix("relay-"), place), work, limit, (against,), system=system,
                            take=figure("gb_per_s"), at_least=True, pin=pin)
        yield ratio(f"hostcall forward, unary 64 B, p50, {place}, against two socats", "relay-64", 0.7, ("socats",),
                    system="forward", pin=pin)
        yield Goal(f"Run/Start of true, p50 less 1 ms, {place}, against fork, exec and wait", "run", figure("ratio"),
                   1.5, pin=pin)


GOALS = (
    Goal("system calls per unary call: daemon", "syscalls-unary", whole_calls("server_calls"), 3, unit="calls"),
    Goal("system calls per unary call: client", "syscalls-unary", whole_calls("client_calls"), 2, unit="calls"),
    Goal("the same with 64 in flight: daemon", "syscalls-pipelined", figure("server_calls"), 0.1, unit="calls"),
    Goal("the same with 64 in flight: client", "syscalls-pipelined", figure("client_calls"), 0.1, unit="calls"),
    ratio("unary p50, same core, against raw epoll", "unary-64", 1.10, ("raw",)),
    ratio("the same against gRPC at its best", "unary-64", 0.40, GRPC_BEST),
    ratio("the same against Cap'n Proto", "unary-64", 0.42, ("capnp",)),
    ratio("the same against sd-bus", "unary-64", 0.75, ("sd-bus",)),
    ratio("CPU per closed-loop call, both sides, against raw", "unary-64", 1.10, ("raw",), take=cpu),
    ratio("64 in flight, calls/s, against gRPC unary", "pipelined-64", 20, ("grpc-cq",), at_least=True),
    ratio("the same against gRPC bidirectional", "pipelined-64", 10, ("grpc-bidi",), at_least=True),
    ratio("the same against sd-bus", "pipelined-64", 10, ("sd-bus",), at_least=True),
    ratio("the same against Thrift threaded", "pipelined-64", 4.5, ("thrift",), at_least=True),
    Goal("daemon CPU per call there", "pipelined-64", figure("server_us_per_call"), 0.5, unit="us"),
    ratio("64 connections, calls/s, same core, against raw", "connections", 0.80, ("raw",), at_least=True),
    ratio("the same on two cores", "connections", 0.80, ("raw",), at_least=True, pin="split"),
    *stream_goals(),
    ratio("1 % late by 5 ms: p99 of the others against without", "late-1", 1.3, ("hostcall",),
          take=figure("p99_us"), against_work="late-0"),
    ratio("busy polling on both sides, two cores, p50 against raw spinning", "unary-64", 1.7, ("raw-spin",),
          system="busy-poll", pin="split"),
    ratio("the same on one core, where it must give up, against hostcall without", "unary-64", 1.05, ("hostcall",),
          system="busy-poll"),
    Goal("idle: RSS per connection over the base", "idle", figure("kib_per_connection"), 1, unit="KiB"),
    Goal("idle: RSS in all", "idle", lambda figures: figures["rss_kib"] / 1024, 24, unit="MiB"),
    *relay_goals(),
    *routed_goals(),
    Goal("1,000 idle relays: RSS each", "idle-relays", figure("kib_per_relay"), IDLE_RELAY_KIB, unit="KiB"),
    Goal("store: durable puts of 64 writers against one commit for each put", "store-puts", figure("gain"), 8,
         at_least=True),
    Goal("store: p99 of a put of 64 writers in fsyncs of the disk", "store-puts", figure("p99_fsyncs"), 6),
    Goal("store: get against ping, p50", "store-get", figure("ratio"), 1.3),
    Goal("store: delivery to 1,000 watches after the commit, p50", "store-watch", figure("delivery_p50_us"), 1000,
         unit="us"),
    Goal("store: start with 1 million keys", "store-start", figure("start_s"), 5, unit="s"),
    ratio("policy: 10,000 rules against 10, unary p50", "policy", 1.05, ("rules-10",), system="rules-10000"),
    *(Goal(f"exponent: {title}", f"growth-{name}", figure("exponent"), most) for name, (title, most) in GROWTH.items()),
    Goal("bytes written for each byte that a purge deletes", "growth-purge-written", figure("most"), PURGE_WRITTEN),
)


def index(records):
    """Figures by (round, pin, work, system)."""
    return {(record.round, record.pin, record.work, record.system): record.figures for record in records
            if record.figures and "unsupported" not in record.figures}


def values_of(goal, figures_of):
    """One for each round in which all that it needs was measured."""
    values = []
    for number in sorted({key[0] for key in figures_of}):
        own = figures_of.get((number, goal.pin, goal.work, goal.system))
        others = [figures_of.get((number, goal.pin, goal.against_work or goal.work, name)) for name in goal.against]
        others = [goal.take(other) for other in others if other]
        if own is None or (goal.against and not others):
            continue
        best = (max if goal.at_least else min)(others, default=1)
        values.append(goal.take(own) / best if best else 0)
    return values


def reached(goal, figures_of):
    """The median, or None when it was not measured."""
    values = values_of(goal, figures_of)
    return statistics.median(values) if values else None
