"""Seeds of a test's random choices, as seed.h: printed, so that the log of a failed test has it, and set by $HOSTCALL_SEED."""
import os
import random


def fresh_seed():
    value = int(os.environ.get("HOSTCALL_SEED") or random.randrange(2**32))
    print(f"random choices: HOSTCALL_SEED={value}", flush=True)
    return value
