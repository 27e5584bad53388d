"""Python's garbage collector, set for a process that lives long and whose records live for a moment."""

import gc

_NEW_OBJECTS = 10_000
"""Between two looks at young objects. Python's 700 are for programs that hold little: it looked after every dozen of
records, and took 15 % of the stream's processor time. What waits longer now is a few megabytes."""


def settle() -> None:
    """Take all that start-up made out of the collector's sight, and let it look less often."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(_NEW_OBJECTS, 10, 10)
