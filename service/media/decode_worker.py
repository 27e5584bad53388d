"""A decoder process: takes files from a socket, gives frames back, and is meant to die of a hostile one alone.

Started by `decode_process`. It holds no secrets (its environment is bare), may do nothing but compute and answer
(`sandbox`), and ends with its parent.
"""

import ctypes
import json
import os
import resource
import signal
import socket
import sys
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import NoReturn

from PIL import AvifImagePlugin, TiffImagePlugin

from service.core.errors import RejectedError
from service.media.decode_protocol import (
    ANSWER,
    OUT_OF_MEMORY_EXIT,
    READY,
    REQUEST,
    PeerGoneError,
    ProcessLimits,
    receive,
    send,
)
from service.media.image import DecodeLimits, PlainImage, decode_image
from service.media.sandbox import confine

Decode = Callable[[bytes, DecodeLimits], PlainImage]

# From <linux/prctl.h>.
PR_SET_PDEATHSIG = 1

# Pillow loads it when it first reads EXIF, and a confined process can load nothing.
NEEDED_LATER = (TiffImagePlugin,)

# The socket, three standard streams, and some for what libraries open in passing.
MAX_OPEN_FILES = 16


def serve(decode: Decode) -> NoReturn:
    """Decode what comes over standard input until the other side closes it."""
    limits = ProcessLimits.from_json(sys.argv[1])
    connection = socket.socket(fileno=0)
    _leave_signals_to_the_parent()
    # The pool has a process a core: more threads would only take turns with the others.
    AvifImagePlugin.DEFAULT_MAX_THREADS = 1
    _mute()
    _limit_resources(limits.memory_bytes)
    _die_with(limits.parent_pid)
    confinement = confine()
    send(connection, READY.pack(confinement.landlock_abi, confinement.has_seccomp))
    try:
        while True:
            _answer_one(connection, decode, limits)
    except PeerGoneError:
        os._exit(0)
    except MemoryError:
        # What is left after this is not to be trusted with the next image.
        os._exit(OUT_OF_MEMORY_EXIT)


def _answer_one(connection: socket.socket, decode: Decode, limits: ProcessLimits) -> None:
    size, target_pixels, multiple_of, is_square = REQUEST.unpack(receive(connection, REQUEST.size))
    data = bytes(receive(connection, size))
    _allow_cpu(limits.cpu_s)
    wanted = DecodeLimits(
        max_pixels=limits.max_pixels,
        max_frames=limits.max_frames,
        target_pixels=target_pixels,
        multiple_of=multiple_of,
        memory_bytes=limits.memory_bytes,
        max_views=limits.max_views,
        is_square=is_square,
        full_jpeg=limits.full_jpeg,
    )
    try:
        image = decode(data, wanted)
    except RejectedError as error:
        _send_answer(connection, {"outcome": "rejected", "reason": error.reason, "facts": error.facts}, ())
    else:
        facts = {name: getattr(image, name) for name in PlainImage.__slots__ if name not in {"pixels", "views"}}
        facts["views"] = [asdict(view) for view in image.views]
        _send_answer(connection, {"outcome": "decoded", **facts}, image.pixels)


def _send_answer(connection: socket.socket, facts: dict[str, object], pixels: tuple[bytes, ...]) -> None:
    text = json.dumps(facts).encode()
    send(connection, ANSWER.pack(len(text), sum(map(len, pixels))), text, *pixels)


def _die_with(parent_pid: int) -> None:
    """Be killed when the parent ends, however it ends, even in the middle of a decode that never returns."""
    ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
    if os.getppid() != parent_pid:
        os._exit(0)


def _leave_signals_to_the_parent() -> None:
    """Let the parent drain when a terminal or a supervisor signals the whole group."""
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.SIG_IGN)


def _mute() -> None:
    """Keep what C libraries print about hostile files out of the service's logs."""
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, 1)
    os.dup2(nowhere, 2)
    os.close(nowhere)


def _limit_resources(memory_bytes: int) -> None:
    pages = int(Path("/proc/self/statm").read_text(encoding="ascii").split()[0])
    _limit(resource.RLIMIT_AS, pages * resource.getpagesize() + memory_bytes)
    _limit(resource.RLIMIT_CORE, 0)
    _limit(resource.RLIMIT_FSIZE, 0)
    _limit(resource.RLIMIT_NOFILE, MAX_OPEN_FILES)


def _limit(kind: int, value: int) -> None:
    _, hard = resource.getrlimit(kind)
    ceiling = value if hard == resource.RLIM_INFINITY else min(value, hard)
    resource.setrlimit(kind, (ceiling, ceiling))


def _allow_cpu(cpu_s: int) -> None:
    """Grant processor time for one more image; SIGXCPU ends the process when it is spent.

    The parent's clock kills first; this one holds where the parent is gone or stuck.
    """
    used = resource.getrusage(resource.RUSAGE_SELF)
    _, hard = resource.getrlimit(resource.RLIMIT_CPU)
    resource.setrlimit(resource.RLIMIT_CPU, (int(used.ru_utime + used.ru_stime) + cpu_s + 1, hard))


if __name__ == "__main__":
    serve(decode_image)
