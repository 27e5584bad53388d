"""Animated PNG files whose control chunks may come in any number and order."""

import struct
from collections.abc import Sequence
from dataclasses import dataclass

from testing.evasion.files.png_file import RGB, Chunk, Samples, header, pixel_data


@dataclass(frozen=True, slots=True)
class Frame:
    """One frame of an animation."""

    pixels: Samples
    delay: tuple[int, int] = (1, 10)
    """Numerator and denominator in seconds."""
    offset: tuple[int, int] = (0, 0)
    disposal: int = 0
    blend: int = 0


def control(frames: int, plays: int = 0) -> Chunk:
    """Return acTL."""
    return b"acTL", struct.pack(">II", frames, plays)


def frame_control(sequence: int, frame: Frame) -> Chunk:
    """Return fcTL."""
    height, width = frame.pixels.shape[:2]
    return b"fcTL", struct.pack(
        ">IIIIIHHBB", sequence, width, height, *frame.offset, *frame.delay, frame.disposal, frame.blend
    )


def frame_data(sequence: int, frame: Frame) -> Chunk:
    """Return fdAT of a frame of 8 bits a sample."""
    return b"fdAT", struct.pack(">I", sequence) + pixel_data(frame.pixels, bits=8)


def animated_chunks(
    frames: Sequence[Frame],
    *,
    default: Samples | None = None,
    claimed: int | None = None,
    plays: int = 0,
    colour_type: int = RGB,
    before: Sequence[Chunk] = (),
) -> list[Chunk]:
    """Return the chunks of an animation of 8 bits a sample; `default` is a still picture that is no frame of it.

    `before` are chunks before its pixels.
    """
    first = frames[0].pixels if default is None else default
    height, width = first.shape[:2]
    chunks = [header((width, height), bits=8, colour_type=colour_type), control(claimed or len(frames), plays), *before]
    sequence = 0
    if default is None:
        chunks.append(frame_control(sequence, frames[0]))
        sequence += 1
    chunks.append((b"IDAT", pixel_data(first, bits=8)))
    for frame in frames[default is None :]:
        chunks += [frame_control(sequence, frame), frame_data(sequence + 1, frame)]
        sequence += 2
    return [*chunks, (b"IEND", b"")]
