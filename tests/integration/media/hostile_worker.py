"""A decoder process in which some files do what only an unknown hole in a decoder would let them do."""

import ctypes
import os
import select
import time

from service.media.decode_worker import serve
from service.media.image import DecodeLimits, PlainImage, decode_image


def crash() -> None:
    ctypes.string_at(0)


def leave() -> None:
    os._exit(3)


def hang() -> None:
    while True:
        pass


def sleep() -> None:
    # A hang that takes no processor time.
    select.poll().poll()


def linger() -> None:
    # Long enough to be seen and killed at work.
    until = time.process_time() + 0.6
    while time.process_time() < until:
        pass


def eat() -> None:
    hoard = []
    while True:
        hoard.append(bytearray(1024 * 1024))


def babble() -> None:
    os.write(0, b"\xff" * 12)


def lie() -> None:
    text = b'{"outcome": "decoded", "frame_sizes": [[9000, 9000]]}'
    os.write(0, len(text).to_bytes(4) + (0).to_bytes(8) + text)


# Before a sound file: work on it lasts a while.
LINGER = b"%linger"

HOSTILE = {b"%" + act.__name__.encode(): act for act in (crash, leave, hang, sleep, eat, babble, lie)}


def decode(data: bytes, limits: DecodeLimits) -> PlainImage:
    if data in HOSTILE:
        HOSTILE[data]()
    if data.startswith(LINGER):
        linger()
    return decode_image(data.removeprefix(LINGER), limits)


if __name__ == "__main__":
    serve(decode)
