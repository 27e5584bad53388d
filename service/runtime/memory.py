"""Memory of this process: the blocks that glibc keeps, and when Python collects garbage."""

import ctypes
import gc

_M_MMAP_THRESHOLD = -3
"""glibc's number of the option, in malloc.h."""

_LARGE_BYTES = 8 * 1024 * 1024
"""As in the decoders: smaller blocks are kept for the next image, because fetching them anew costs time."""


def give_large_blocks_back() -> bool:
    """Let the system have freed blocks of 8 MiB and more at once; return whether the allocator can.

    By itself glibc keeps blocks as large as the largest ones that were freed so far. Between long-lived small ones they
    break into pieces, and after some hundred images of 25 MB the process holds twice of what it uses.
    """
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
    return mallopt is not None and mallopt(_M_MMAP_THRESHOLD, _LARGE_BYTES) == 1


_NEW_OBJECTS = 10_000
"""Between two looks at young objects. Python's 700 are for programs that hold little: it looked after every dozen of
records, and took 15 % of the stream's processor time. What waits longer now is a few megabytes."""


def tune_gc() -> None:
    """Exclude the objects of the start from garbage collection, and collect less often."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(_NEW_OBJECTS, 10, 10)
