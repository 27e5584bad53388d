"""What glibc does with large blocks of memory that are freed."""

import ctypes

_M_MMAP_THRESHOLD = -3
"""glibc's number of the option, in malloc.h."""

_LARGE_BYTES = 8 * 1024 * 1024
"""As in the decoders: smaller blocks are kept for the next image, because fetching them anew costs time."""


def give_large_blocks_back() -> bool:
    """Let the system have freed blocks of 8 MiB and more at once; tell whether the allocator can.

    By itself glibc keeps blocks as large as the largest ones that were freed so far. Between long-lived small ones they
    break into pieces, and after some hundred images of 25 MB the process holds twice of what it uses.
    """
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
    return mallopt is not None and mallopt(_M_MMAP_THRESHOLD, _LARGE_BYTES) == 1
