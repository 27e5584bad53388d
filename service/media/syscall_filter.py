"""A seccomp filter for a process that computes and talks over one socket: all other system calls fail with EPERM.

No sockets, files, programs, processes, signals to others, or memory that can be executed. Threads are allowed, because
libheif decodes every HEVC picture in one; they are held to the same filter and limits. The filter is a classic BPF
program, as `man 2 seccomp` describes it, for the two architectures of the images.
"""

import ctypes
import errno
import os
import signal
from dataclasses import dataclass

SECCOMP_SET_MODE_FILTER = 1
# Without it kernels before 5.16 slow the process down against attacks on its own secrets, and it has none.
SECCOMP_FILTER_FLAG_SPEC_ALLOW = 4

# From <linux/seccomp.h> and <linux/bpf_common.h>.
ALLOW = 0x7FFF0000
KILL = 0x80000000
REFUSE = 0x00050000 | errno.EPERM
UNKNOWN = 0x00050000 | errno.ENOSYS
LOAD, JUMP_IF_EQUAL, JUMP_IF_ANY_BIT, RETURN = 0x20, 0x15, 0x45, 0x06
# Offsets in `struct seccomp_data`; of an argument its lower half, on little-endian machines.
NUMBER_AT, ARCHITECTURE_AT, ARGUMENTS_AT, ARGUMENT_BYTES = 0, 4, 16, 8

PROT_EXEC = 4
# From <linux/sched.h>: a new thread of this process; the kernel refuses it together with anything that is more.
CLONE_THREAD = 0x00010000


@dataclass(frozen=True, slots=True)
class Architecture:
    """A processor architecture for which the filter has system call numbers."""

    audit: int
    """The kernel's constant for it, from <linux/audit.h>."""
    seccomp: int
    """Number of the system call that installs a filter."""
    column: int
    """Column of the architecture in the tables below."""


ARCHITECTURES = {
    "x86_64": Architecture(audit=0xC000003E, seccomp=317, column=0),
    "aarch64": Architecture(audit=0xC00000B7, seccomp=277, column=1),
}

# Their numbers on x86-64, from <asm/unistd_64.h>, and on ARM64, from <asm-generic/unistd.h>, which lacks one.
ALLOWED: dict[str, tuple[int, int | None]] = {
    # The socket.
    "read": (0, 63),
    "write": (1, 64),
    "recvfrom": (45, 207),
    "sendto": (44, 206),
    "poll": (7, None),
    "ppoll": (271, 73),
    "close": (3, 57),
    "fstat": (5, 80),
    "lseek": (8, 62),
    # Memory.
    "munmap": (11, 215),
    "mremap": (25, 216),
    "madvise": (28, 233),
    "brk": (12, 214),
    "futex": (202, 98),
    "sched_yield": (24, 124),
    "restart_syscall": (219, 128),
    # Time and randomness.
    "clock_gettime": (228, 113),
    "gettimeofday": (96, 169),
    "getrandom": (318, 278),
    # What C libraries and Python ask about their own process.
    "getpid": (39, 172),
    "gettid": (186, 178),
    "getrusage": (98, 165),
    "sysinfo": (99, 179),
    "sched_getaffinity": (204, 123),
    # What a thread of the C library asks for when it starts.
    "set_robust_list": (273, 99),
    "rseq": (334, 293),
    # Signals.
    "rt_sigaction": (13, 134),
    "rt_sigprocmask": (14, 135),
    "rt_sigreturn": (15, 139),
    "sigaltstack": (131, 132),
    # The end.
    "exit": (60, 93),
    "exit_group": (231, 94),
}

# Allowed where their arguments pass: no executable memory, no limits or signals of other processes, no new process, and
# no signal but SIGABRT to itself, so that a death by SIGKILL always came from outside.
CHECKED: dict[str, tuple[int, int]] = {
    "mmap": (9, 222),
    "mprotect": (10, 226),
    "prlimit64": (302, 261),
    "tgkill": (234, 131),
    "clone": (56, 220),
}

# Its arguments are in memory, which no filter can read. The C library takes `clone` where the kernel does not know it.
CLONE3 = 435


class _Instruction(ctypes.Structure):
    """`struct sock_filter`."""

    _fields_ = (("code", ctypes.c_uint16), ("jt", ctypes.c_uint8), ("jf", ctypes.c_uint8), ("k", ctypes.c_uint32))


class _Program(ctypes.Structure):
    """`struct sock_fprog`."""

    _fields_ = (("length", ctypes.c_uint16), ("filter", ctypes.POINTER(_Instruction)))


def install_filter() -> bool:
    """Hold this process to the list from now on; False where the kernel or the architecture has no filter.

    Needs `no_new_privs`.
    """
    architecture = ARCHITECTURES.get(os.uname().machine)
    if architecture is None:
        return False
    program = program_for(architecture, pid=os.getpid())
    instructions = (_Instruction * len(program))(*(_Instruction(*parts) for parts in program))
    filter_program = _Program(len(program), instructions)
    libc = ctypes.CDLL(None)
    arguments = (SECCOMP_SET_MODE_FILTER, SECCOMP_FILTER_FLAG_SPEC_ALLOW, ctypes.byref(filter_program))
    return bool(libc.syscall(architecture.seccomp, *arguments) == 0)


def program_for(architecture: Architecture, *, pid: int) -> list[tuple[int, int, int, int]]:
    """Return the filter's instructions: operation, jumps if true and if false, operand."""
    checked = {name: numbers[architecture.column] for name, numbers in CHECKED.items()}
    no_code = (JUMP_IF_ANY_BIT, 0, 1, PROT_EXEC)
    program = [
        (LOAD, 0, 0, ARCHITECTURE_AT),
        (JUMP_IF_EQUAL, 1, 0, architecture.audit),
        (RETURN, 0, 0, KILL),
        (LOAD, 0, 0, NUMBER_AT),
    ]
    for numbers in ALLOWED.values():
        if (number := numbers[architecture.column]) is not None:
            program += _checked(number, [])
    program += _checked(checked["mmap"], [(2, no_code)])
    program += _checked(checked["mprotect"], [(2, no_code)])
    program += _checked(checked["prlimit64"], [(0, _must_be(0))])
    program += _checked(checked["tgkill"], [(0, _must_be(pid)), (2, _must_be(signal.SIGABRT))])
    program += _checked(checked["clone"], [(0, (JUMP_IF_ANY_BIT, 1, 0, CLONE_THREAD))])
    program += [(JUMP_IF_EQUAL, 0, 1, CLONE3), (RETURN, 0, 0, UNKNOWN)]
    return [*program, (RETURN, 0, 0, REFUSE)]


def _must_be(value: int) -> tuple[int, int, int, int]:
    return (JUMP_IF_EQUAL, 1, 0, value)


def _checked(number: int, tests: list[tuple[int, tuple[int, int, int, int]]]) -> list[tuple[int, int, int, int]]:
    """Return the part for one call: each test of an argument steps over a refusal if it passes."""
    body = []
    for argument, test in tests:
        body += [(LOAD, 0, 0, ARGUMENTS_AT + ARGUMENT_BYTES * argument), test, (RETURN, 0, 0, REFUSE)]
    body.append((RETURN, 0, 0, ALLOW))
    return [(JUMP_IF_EQUAL, 0, len(body), number), *body]
