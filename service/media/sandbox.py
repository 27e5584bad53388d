"""Takes from this process what reading one socket and computing do not need: files, network, signals, capabilities.

Linux offers two independent means, and a decoder uses both: *Landlock* (since 5.13) denies every path and the memory
of every other process, *seccomp* every system call outside a short list (`syscall_filter`). Neither needs privileges.
They are called through libc: the Python packages for them are unmaintained, or need a system library that slim images
lack. All of it is inherited by children and can never be taken back.
"""

import ctypes
import os
import sys
from dataclasses import dataclass
from pathlib import Path

from service.media.syscall_filter import install_filter

# From <linux/prctl.h>.
PR_SET_DUMPABLE = 4
PR_SET_NO_NEW_PRIVS = 38

# From <linux/landlock.h>; the three system calls have the same numbers on every architecture.
LANDLOCK_CREATE_RULESET = 444
LANDLOCK_RESTRICT_SELF = 446
LANDLOCK_CREATE_RULESET_VERSION = 1

# From <linux/capability.h>.
CAPABILITY_VERSION_3 = 0x20080522
CAPSET = {"x86_64": 126, "aarch64": 91}

# The kernel, when memory is short, ends decoders rather than the service: 1000 is the strongest preference.
OOM_SCORE_ADJ = "1000"


@dataclass(frozen=True, slots=True)
class Confinement:
    """The mechanisms that confine a decoder process."""

    landlock_abi: int
    """Version of Landlock that holds it, 0 without: from 1 no files and no other process's memory, from 4 no TCP
    connections, from 6 no signals to others."""
    has_seccomp: bool
    """Whether only the system calls of a short list are allowed."""

    @property
    def missing(self) -> tuple[str, ...]:
        """The names of the mechanisms that the kernel lacks."""
        return (*(() if self.landlock_abi else ("landlock",)), *(() if self.has_seccomp else ("seccomp",)))


UNCONFINED = Confinement(landlock_abi=0, has_seccomp=False)


class _RulesetAttributes(ctypes.Structure):
    """`struct landlock_ruleset_attr`: what a ruleset denies unless a rule allows it; ours has no rules."""

    _fields_ = (("fs", ctypes.c_uint64), ("net", ctypes.c_uint64), ("scoped", ctypes.c_uint64))


# By the version of Landlock that brought them: rights to files, rights to TCP ports, and what is shut in.
_DENIED_BY_ABI = (
    (1, (1 << 13) - 1, 0, 0),
    (2, 1 << 13, 0, 0),
    (3, 1 << 14, 0, 0),
    (4, 0, 0b11, 0),
    (5, 1 << 15, 0, 0),
    (6, 0, 0, 0b11),
)


def hide_process() -> None:
    """Close this process's memory, environment and descriptors to other processes of its user; no core dumps either.

    Children that are forked inherit it; programs that are started do not.
    """
    _libc().prctl(PR_SET_DUMPABLE, 0, 0, 0, 0)


def confine() -> Confinement:
    """Confine this process for good and return by what; to be called with a single thread and all modules loaded."""
    _volunteer_for_oom_killer()
    _drop_capabilities()
    hide_process()
    _libc().prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0)
    return Confinement(landlock_abi=_deny_files(), has_seccomp=install_filter())


def _volunteer_for_oom_killer() -> None:
    try:
        Path("/proc/self/oom_score_adj").write_text(OOM_SCORE_ADJ, encoding="ascii")
    except OSError:
        return  # /proc is read-only in some containers; it is a preference and no promise


def _drop_capabilities() -> None:
    """Keep no right of root's, so that limits on resources hold for a service that runs as root as well."""
    if number := CAPSET.get(os.uname().machine):
        header = (ctypes.c_uint32 * 2)(CAPABILITY_VERSION_3, 0)
        _libc().syscall(number, header, (ctypes.c_uint32 * 6)())


def _deny_files() -> int:
    """Enter a Landlock domain that allows nothing and return Landlock's version, 0 where there is none."""
    libc = _libc()
    abi = int(libc.syscall(LANDLOCK_CREATE_RULESET, None, 0, LANDLOCK_CREATE_RULESET_VERSION))
    if abi < 1:
        return 0
    denied = [rights for since, *rights in _DENIED_BY_ABI if since <= abi]
    attributes = _RulesetAttributes(*(sum(column) for column in zip(*denied, strict=True)))
    ruleset = libc.syscall(LANDLOCK_CREATE_RULESET, ctypes.byref(attributes), _size_of_attributes(abi), 0)
    if ruleset < 0:
        return 0
    is_restricted = libc.syscall(LANDLOCK_RESTRICT_SELF, ruleset, 0) == 0
    os.close(ruleset)
    return abi if is_restricted else 0


def _size_of_attributes(abi: int) -> int:
    """Return how much of the structure this version knows."""
    fields = 1 + (abi >= 4) + (abi >= 6)  # noqa: PLR2004 - the versions that brought `net` and `scoped`
    return fields * ctypes.sizeof(ctypes.c_uint64)


def _libc() -> ctypes.CDLL:
    if sys.platform != "linux":
        message = "decoder processes need Linux"
        raise OSError(message)
    return ctypes.CDLL(None)
