"""What a run has found, as a table for people, as Markdown and as JSON."""
import collections
import dataclasses
import statistics

from lib.goals import GOALS, index, reached
from lib.systems import SYSTEMS, WORKS

TITLES = {system.name: system.title for system in SYSTEMS}
HEADINGS = {"p50_us": "p50 us", "p99_us": "p99 us", "calls_per_s": "calls/s", "gb_per_s": "GB/s",
            "client_us_per_call": "CPU us client", "server_us_per_call": "CPU us server",
            "client_s_per_gb": "CPU s/GB client", "server_s_per_gb": "CPU s/GB server",
            "slowest_share": "slowest share"}
COLUMNS = [name for name in HEADINGS if name != "slowest_share"]  # that one where it is what is compared


@dataclasses.dataclass
class Table:
    title: str
    heading: list
    rows: list


def number(value):
    if value is None:
        return "-"
    if value >= 1000 or value == int(value):
        return f"{value:,.0f}"
    return f"{value:.1f}" if value >= 100 else f"{value:.2f}" if value >= 1 else f"{value:.3f}"


def median_of(records, name):
    values = [record.figures[name] for record in records if name in record.figures]
    return statistics.median(values) if values else None


# ---------------------------------------------------------------- goals

def goal_table(records, judge, part):
    figures_of = index(records)
    rows = []
    for goal in GOALS:
        value = reached(goal, figures_of)
        if part and value is None:
            continue
        word = "-" if value is None or not judge else "reached" if goal.is_reached(value) else "NOT REACHED"
        bound = ("at least " if goal.at_least else "at most ") + f"{goal.limit:g} {goal.unit}".strip()
        rows.append([goal.title, bound, number(value), word])
    return Table("Goals (ratios: median of the rounds)", ["goal", "bound", "measured", ""], rows)


# ---------------------------------------------------------------- all figures

def work_tables(records):
    """One for each work and pin, in the order of the records."""
    groups = collections.defaultdict(lambda: collections.defaultdict(list))
    for record in records:
        if record.work in WORKS:
            groups[record.work, record.pin][record.system].append(record)
    return [work_table(WORKS[work], pin, by_system, index(records))
            for (work, pin), by_system in sorted(groups.items(), key=lambda item: place_of(item[0]))]


def place_of(key):
    return list(WORKS).index(key[0]), key[1]


def work_table(work, pin, by_system, figures_of):
    columns = [name for name in dict.fromkeys((*COLUMNS, work.figure))
               if any(median_of(with_figures(records), name) is not None for records in by_system.values())]
    rows = []
    for system in sorted(by_system, key=list(TITLES).index):
        records = with_figures(by_system[system])
        figures = [number(median_of(records, name)) for name in columns]
        ratios = [number(ratio_to(base, by_system[system], figures_of, work)) for base in work.bases]
        rows.append([TITLES[system], *figures, *ratios, reason_of(by_system[system])])
    return Table(f"{work.title}; {'one core' if pin == 'same' else 'two cores'}",
                 ["system", *(HEADINGS[name] for name in columns), *(f"/ {base}" for base in work.bases), ""], rows)


def with_figures(records):
    return [record for record in records if record.figures and "unsupported" not in record.figures]


def ratio_to(base, records, figures_of, work):
    """This system's figure over the base's, in the same round."""
    values = []
    for record in with_figures(records):
        other = figures_of.get((record.round, record.pin, record.work, base))
        if other and other.get(work.figure):
            values.append(record.figures[work.figure] / other[work.figure])
    return statistics.median(values) if values else None


def reason_of(records):
    """Why there is a "-"."""
    for record in records:
        if record.figures is None:
            return "FAILED"
        if "unsupported" in record.figures:
            return record.figures["unsupported"]
    return ""


def extra_table(records):
    rows = []
    for record in records:
        if record.work not in WORKS:
            figures = {"FAILED": record.why} if record.figures is None else record.figures
            rows += [[f"{record.work}: {name}", value if isinstance(value, str) else number(value)]
                     for name, value in flat(figures)]
    return Table("hostcall alone", ["figure", "measured"], rows)


def flat(figures, prefix=""):
    for name, value in figures.items():
        if isinstance(value, dict):
            yield from flat(value, f"{prefix}{name} ")
        else:
            yield prefix + name, value


# ---------------------------------------------------------------- forms

def tables(records, judge, part):
    """`judge`: goals may be called reached. `part`: not everything was wanted, so what is missing is no news."""
    found = [goal_table(records, judge, part), *work_tables(records), extra_table(records)]
    return [table for table in found if table.rows]


def as_text(table):
    rows = [table.heading, *table.rows]
    widths = [max(len(str(row[i])) for row in rows) for i in range(len(table.heading))]
    lines = ["  ".join([str(row[0]).ljust(widths[0]), *map(str.rjust, map(str, row[1:]), widths[1:])]).rstrip()
             for row in rows]
    return "\n".join(["", f"== {table.title}", *lines])


def as_markdown(table):
    rows = [table.heading, ["---"] * len(table.heading), *table.rows]
    return "\n".join(["", f"### {table.title}", *("| " + " | ".join(map(str, row)) + " |" for row in rows)])


def as_json(records, machine, judge):
    figures_of = index(records)
    goals = [{"goal": goal.title, "bound": goal.limit, "at_least": goal.at_least,
              "measured": reached(goal, figures_of)} for goal in GOALS]
    return {"machine": machine, "full_run": judge, "goals": goals,
            "records": [dataclasses.asdict(record) for record in records]}


def counts(records):
    """(rows with figures or with a reason why there can be none, rows without, or above a bound): rows of a table, not
    single rounds."""
    rows = collections.defaultdict(bool)
    for record in records:
        rows[record.pin, record.work, record.system] |= record.figures is not None and not record.why
    good = sum(rows.values())
    return good, len(rows) - good
