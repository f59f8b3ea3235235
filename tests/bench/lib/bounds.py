"""Figures that do not depend on how fast the machine is: system calls and instructions per call, instructions of a
whole process, and how costs grow. Unlike times they are judged in every run, and one above its bound makes its row a
failed one."""
import json
import pathlib

# Instructions, of a build with gcc and -O2 on Debian 12: what was measured and 10 % more, because the C library chooses
# its copy functions by the processor. Whoever saves some lowers them, whoever needs more raises them and says why.
INSTRUCTIONS = pathlib.Path(__file__).resolve().parent.parent / "instructions.json"


# The most that an exponent may be (growth.py), and what it is about.
LINEAR, NOT_AT_ALL = 1.15, 0.15
# Of what takes steps of a bounded size, which the smallest N do not fill.
IN_STEPS = 0.6
# Of what is measured by the clock, and on a busy machine waits for others.
NOT_AT_ALL_BY_CLOCK = 0.25
GROWTH = {
    "vm-add": ("adding a VM, beside N VMs", NOT_AT_ALL),
    "vm-remove": ("removing a VM, beside N VMs", NOT_AT_ALL),
    "vms-added": ("adding N VMs, one after the other", LINEAR),
    "reload": ("a reload with N VMs and 5 N rules", LINEAR),
    "reload-stall": ("what a neighbour waits for during it", IN_STEPS),
    "snapshot": ("a watch's snapshot of N keys", LINEAR),
    "snapshot-first-part": ("the time until its first part", NOT_AT_ALL_BY_CLOCK),
    "first-session": ("a VM's first session, beside N connected VMs", NOT_AT_ALL),
    "session-end": ("the end of a session with N keys", LINEAR),
    "boot-end": ("the end of a boot with N keys", LINEAR),
    "purge": ("a purge of N keys", LINEAR),
    "list": ("a List of 1,000 keys, against N rules with resources", 0.5),
    "watches-end": ("the end of N watches at once", LINEAR),
    "calls-end": ("the end of a connection with N open calls", LINEAR),
}
# Bytes written for each byte that a purge of values of 65 KB deletes.
PURGE_WRITTEN = 0.1
# The daemon's memory for each relay without traffic.
IDLE_RELAY_KIB = 8


def bounds():
    """By work: (figure, digits that it is rounded to, the most that it may be)."""
    instructions = json.loads(INSTRUCTIONS.read_text())
    return {
        # To a tenth: now and then a timer of the daemon is due meanwhile.
        "syscalls-unary": (("server_calls", 1, 3), ("client_calls", 1, 2)),
        "syscalls-pipelined": (("server_calls", 3, 0.1), ("client_calls", 3, 0.1)),
        "instructions-unary": tuple((side, 0, instructions[side]) for side in ("client", "server")),
        "instructions-whoami": (("whoami", 0, instructions["whoami"]),),
        "idle-relays": (("kib_per_relay", 1, IDLE_RELAY_KIB),),
        **{f"growth-{name}": (("exponent", 2, most),) for name, (_, most) in GROWTH.items()},
        "growth-purge-written": (("most", 3, PURGE_WRITTEN),),
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
