"""What the decode pool and its processes say to each other over a socket: plain lengths, JSON and bytes.

Never pickles: a process that reads hostile files may have been taken over, and unpickling what it says would hand
it the service as well.
"""

import json
import socket
import struct
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

# Bytes of the file; pixels of a picture, multiple of the sides, whether long ones are passed on in parts.
REQUEST = struct.Struct("!QII?")
# Bytes of the JSON part, bytes of pixels after it.
ANSWER = struct.Struct("!IQ")

# What confines the process that is ready: version of Landlock, whether seccomp.
READY = struct.Struct("!B?")

# Facts of an image take some hundred bytes.
MAX_FACTS_BYTES = 64 * 1024

# One megabyte a direction lets a usual picture cross in a few turns; the kernel may grant less.
SOCKET_BUFFER_BYTES = 1024 * 1024

# Exit code of a process that ran out of memory: none that Python or a shell gives a meaning to.
OUT_OF_MEMORY_EXIT = 77


class PeerGoneError(Exception):
    """The other process closed the connection, or died."""


@dataclass(frozen=True, slots=True)
class ProcessLimits:
    """The command-line arguments of a decoder process."""

    parent_pid: int
    memory_bytes: int
    """Address space beyond what it has when it is ready."""
    cpu_s: int
    """Processor time for one image."""
    max_pixels: int
    max_frames: int
    max_views: int
    full_jpeg: bool
    """Decode JPEGs to all their pixels."""

    def to_json(self) -> str:
        """Return the limits as JSON for the command line."""
        return json.dumps({name: getattr(self, name) for name in self.__slots__})

    @classmethod
    def from_json(cls, text: str) -> "ProcessLimits":
        """Read the JSON of the command line."""
        return cls(**json.loads(text))


def receive(connection: socket.socket, size: int, *, deadline: float | None = None) -> bytearray:
    """Return exactly `size` bytes; raises PeerGoneError, and TimeoutError after the deadline (monotonic seconds)."""
    buffer = bytearray(size)
    view, done = memoryview(buffer), 0
    while done < size:
        with _until(deadline, connection):
            count = connection.recv_into(view[done:])
        if count == 0:
            raise PeerGoneError
        done += count
    return buffer


def send(connection: socket.socket, *parts: bytes | bytearray, deadline: float | None = None) -> None:
    """Send the parts one after the other; raises PeerGoneError, and TimeoutError after the deadline."""
    for part in parts:
        with _until(deadline, connection):
            connection.sendall(part)


@contextmanager
def _until(deadline: float | None, connection: socket.socket) -> Iterator[None]:
    """Give one transfer the time that is left."""
    if deadline is not None:
        left_s = deadline - time.monotonic()
        if left_s <= 0:
            raise TimeoutError
        connection.settimeout(left_s)
    try:
        yield
    except (BrokenPipeError, ConnectionResetError) as error:
        raise PeerGoneError from error
