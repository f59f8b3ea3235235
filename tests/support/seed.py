"""Seeds of a test's random choices, like seed.h: printed, so that a failed test's log contains them; set by $HOSTCALL_SEED."""
import os
import random


def fresh_seed():
    value = int(os.environ.get("HOSTCALL_SEED") or random.randrange(2**32))
    print(f"random choices: HOSTCALL_SEED={value}", flush=True)
    return value
