"""A decoder process that files have taken over: each names what it shall try, and gets the result."""

import ctypes
import mmap
import os
import resource
import signal
import socket
import threading
from collections.abc import Callable
from pathlib import Path

from service.media.decode_worker import serve
from service.media.errors import UnsupportedFormatError
from service.media.image import DecodeLimits, PlainImage, decode_image

# Learnt while it still could: what attackers would guess.
PARENT = os.getppid()
LIBC = ctypes.CDLL(None, use_errno=True)
PTRACE_ATTACH = 16
FILE = Path("/tmp/modstream-decoder")  # noqa: S108 - where every user may write
READABLE_MEMORY = ctypes.create_string_buffer(b"written by the decoder", 64)


def _call(result: int) -> None:
    if result < 0:
        raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()))


def _open(path: str) -> Callable[[], object]:
    return lambda: os.close(os.open(path, os.O_RDONLY))


def connect(family: int, address: tuple[str, int] | str) -> None:
    with socket.socket(family) as connection:
        connection.connect(address)


def listen() -> None:
    with socket.socket(socket.AF_INET) as server:
        server.bind(("127.0.0.1", 0))


def attach() -> None:
    _call(LIBC.ptrace(PTRACE_ATTACH, PARENT, None, None))


def read_memory() -> None:
    buffer = ctypes.create_string_buffer(8)
    mine = (ctypes.c_size_t * 2)(ctypes.addressof(buffer), 8)
    theirs = (ctypes.c_size_t * 2)(ctypes.addressof(READABLE_MEMORY), 8)
    _call(LIBC.process_vm_readv(PARENT, mine, 1, theirs, 1, 0))


def take_descriptor() -> None:
    pidfd = os.pidfd_open(PARENT)
    os.close(pidfd)


def send_descriptor() -> None:
    connection = socket.socket(fileno=0)
    try:
        connection.sendmsg([b"x"])
    finally:
        connection.detach()


def write_file() -> None:
    FILE.touch()


def execute() -> None:
    os.execv("/bin/true", ["true"])  # noqa: S606 - no shell is the point


def fork() -> None:
    if os.fork() == 0:
        os._exit(0)


def read_in_thread() -> None:
    refusals: list[PermissionError] = []

    def read() -> None:
        try:
            _open("/etc/passwd")()
        except PermissionError as error:
            refusals.append(error)

    thread = threading.Thread(target=read)
    thread.start()
    thread.join()
    if refusals:
        raise refusals[0]


def map_code() -> None:
    mmap.mmap(-1, 4096, prot=mmap.PROT_READ | mmap.PROT_WRITE | mmap.PROT_EXEC)


def raise_limit() -> None:
    _, hard = resource.getrlimit(resource.RLIMIT_AS)
    try:
        resource.setrlimit(resource.RLIMIT_AS, (hard * 2, hard * 2))
    except ValueError as error:  # what Python makes of it
        raise PermissionError from error


def limit_parent() -> None:
    resource.prlimit(PARENT, resource.RLIMIT_NOFILE)  # who may read them so may also set them


ATTEMPTS: dict[str, Callable[[], object]] = {
    "open an internet connection": lambda: connect(socket.AF_INET, ("127.0.0.1", 9)),
    "open an internet connection by IPv6": lambda: connect(socket.AF_INET6, ("::1", 9)),
    "open a unix socket": lambda: connect(socket.AF_UNIX, "/run/docker.sock"),
    "open an abstract unix socket": lambda: connect(socket.AF_UNIX, "\0modstream"),
    "listen": listen,
    "make a pair of sockets": socket.socketpair,
    "read the parent's environment": _open(f"/proc/{PARENT}/environ"),
    "read the parent's memory file": _open(f"/proc/{PARENT}/mem"),
    "open the parent's connections": lambda: Path(f"/proc/{PARENT}/fd/0").readlink(),
    "trace the parent": attach,
    "read the parent's memory": read_memory,
    "hold the parent": take_descriptor,
    "kill the parent": lambda: os.kill(PARENT, signal.SIGKILL),
    "signal the parent": lambda: os.kill(PARENT, 0),
    "kill itself as if from outside": lambda: os.kill(os.getpid(), signal.SIGKILL),
    "read a file": _open("/etc/passwd"),
    "see whether a file is there": lambda: Path("/etc/passwd").stat(),
    "write a file": write_file,
    "remove a file": FILE.unlink,
    "open its own memory file": _open("/proc/self/mem"),
    "execute a program": execute,
    "fork": fork,
    "read a file in a thread": read_in_thread,
    "map memory that can be executed": map_code,
    "raise its own memory limit": raise_limit,
    "read the parent's limits": limit_parent,
    "copy a descriptor": lambda: os.dup(0),
    "become another user": lambda: os.setuid(12345),
    "change its root": lambda: os.chroot("/"),
    "send a file descriptor": send_descriptor,
}


def decode(data: bytes, limits: DecodeLimits) -> PlainImage:
    if attempt := ATTEMPTS.get(data.decode("utf-8", "replace")):
        raise UnsupportedFormatError(detail=_outcome(attempt))
    return decode_image(data, limits)


def _outcome(attempt: Callable[[], object]) -> str:
    try:
        attempt()
    except PermissionError:
        return "refused"
    except Exception as error:  # noqa: BLE001 - the test says what came instead
        return repr(error)
    return "succeeded"


if __name__ == "__main__":
    serve(decode)
