"""The limit on files and sockets that this process may have open."""

import resource


def raise_open_files(wanted: int) -> int:
    """Raise the soft limit to what is wanted, as far as the hard limit allows; returns the limit that holds now.

    Many systems start processes with a soft limit of 1,024 and a hard one of some hundred thousand.
    """
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft == resource.RLIM_INFINITY or soft >= wanted:
        return wanted if soft == resource.RLIM_INFINITY else soft
    allowed = wanted if hard == resource.RLIM_INFINITY else min(wanted, hard)
    resource.setrlimit(resource.RLIMIT_NOFILE, (allowed, hard))
    return allowed
