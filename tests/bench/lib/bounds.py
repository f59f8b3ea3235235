"""Counts that do not depend on how fast the machine is: system calls and instructions per call, instructions of a whole
process. Unlike times they are judged in every run, and one above its bound makes its row a failed one."""
import json
import pathlib

# Instructions, of a build with gcc and -O2 on Debian 12: what was measured and 10 % more, because the C library chooses
# its copy functions by the processor. Whoever saves some lowers them, whoever needs more raises them and says why.
INSTRUCTIONS = pathlib.Path(__file__).resolve().parent.parent / "instructions.json"


def bounds():
    """By work: (figure, digits that it is rounded to, the most that it may be)."""
    instructions = json.loads(INSTRUCTIONS.read_text())
    return {
        # To a tenth: now and then a timer of the daemon is due meanwhile.
        "syscalls-unary": (("server_calls", 1, 3), ("client_calls", 1, 2)),
        "syscalls-pipelined": (("server_calls", 3, 0.1), ("client_calls", 3, 0.1)),
        "instructions-unary": tuple((side, 0, instructions[side]) for side in ("client", "server")),
        "instructions-whoami": (("whoami", 0, instructions["whoami"]),),
    }


def judge(records):
    """Says in the record why it fails."""
    most_of = bounds()
    for record in records:
        if record.figures is None:
            continue
        record.why = "; ".join(f"{name}: {record.figures[name]:.{digits}f}, at most {most} are allowed"
                               for name, digits, most in most_of.get(record.work, ())
                               if round(record.figures[name], digits) > most)
