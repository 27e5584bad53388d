"""Refuses files that are cheap to make and dear to decode, by their parts, before a decoder touches them.

Each limit lies far above what encoders write. Sound files are walked through in microseconds, progressive JPEGs at
2 GB/s.
"""

import re
from collections.abc import Iterator

from service.media.errors import TooComplexError, TooManyPixelsError, UnsupportedFormatError
from service.media.formats import MediaType
from service.media.gif_file import gif_blocks

# Encoders write up to 20 of them; each makes a progressive JPEG's decoder pass over the whole picture once more.
MAX_SCANS = 64
# Of metadata and tables. The largest honest ones are maps of depth in pieces of 64 KiB: some hundred.
MAX_SEGMENTS = 1000
# Between two segments, where there should be nothing.
MAX_JUNK_BYTES = 64 * 1024
# Encoders write pieces of 8 KiB and more, some of one row.
MAX_CHUNKS = 100_000
# A file has one; each is unpacked to as much as a megabyte.
MAX_PROFILES = 8
# More than five minutes at 30 a second.
MAX_FRAMES = 10_000
MAX_COMMENTS = 500
# Run-lengths are read in Python, twice. Windows' own pictures of this kind had a megapixel at most.
MAX_RUN_LENGTH_PIXELS = 8_000_000

# A marker that is neither padding, escaped data, a restart mark nor one of the two without a length.
_MARKER = re.compile(rb"\xff[^\x00\x01\xff\xd0-\xd8]")
_START_OF_SCAN, _END_OF_IMAGE = 0xDA, 0xD9
# Lower ones are reserved. libjpeg reads no length behind them: where it expects a restart mark, it looks on at once.
_FIRST_WITH_LENGTH = 0xC0
# Coded by Huffman's method, of 8 bits or more.
_SEQUENTIAL_FRAMES = (0xC0, 0xC1)
# No browser shows these. libjpeg works on each of their scans as if it were full: 27 of them, in a file of 4 KB, took
# 8 s.
_ARITHMETIC_FRAMES = (0xC9, 0xCA, 0xCB, 0xCD, 0xCE, 0xCF)

_PNG_SIGNATURE_BYTES, _CHUNK_FRAME_BYTES = 8, 12

_EXTENSION, _FRAME, _COMMENT = b"!,\xfe"


def check_structure(data: bytes, media_type: MediaType) -> None:
    """Raise `TooComplexError` for too many parts of a kind, and `UnsupportedFormatError` for some kinds of JPEG."""
    if media_type == "image/jpeg":
        _check_jpeg(data)
    elif media_type == "image/png":
        _check_png(data)
    elif media_type == "image/gif":
        _check_gif(data)


def check_frames(frames_total: int) -> None:
    """Raise `TooComplexError` if the animation has too many frames, however small they are."""
    _limit(frames_total, MAX_FRAMES, "frames")


def check_run_lengths(size: tuple[int, int]) -> None:
    """Raise TooManyPixelsError if a picture is too large for a slow decoder."""
    width, height = size
    if width * height > MAX_RUN_LENGTH_PIXELS:
        raise TooManyPixelsError(width=width, height=height, frames=1, limit_pixels=MAX_RUN_LENGTH_PIXELS)


def _limit(count: int, limit: int, parts: str) -> None:
    if count > limit:
        raise TooComplexError(parts=parts, limit=limit)


def _check_jpeg(data: bytes) -> None:
    before = scans = junk = 0
    components = 0
    for marker, at, gap in jpeg_segments(data):
        if marker == _START_OF_SCAN:
            scans += 1
            _limit(scans, MAX_SCANS, "scans")
            if data[at + 2 : at + 3] == bytes((components,)):
                return  # a sequential picture is whole now, and no decoder reads on
        elif not scans:
            before += 1
            junk += gap
            _limit(before, MAX_SEGMENTS, "segments")
            _limit(junk, MAX_JUNK_BYTES, "bytes between segments")
        if marker in _ARITHMETIC_FRAMES:
            raise UnsupportedFormatError(detail="JPEG with arithmetic coding")
        if marker in _SEQUENTIAL_FRAMES:
            components = int.from_bytes(data[at + 7 : at + 8])


def jpeg_segments(data: bytes) -> Iterator[tuple[int, int, int]]:
    """Yield each marker of the first picture, where its segment starts, and the bytes before it that belong to none."""
    at = 2
    while found := _MARKER.search(data, at):
        marker = data[found.end() - 1]
        if marker == _END_OF_IMAGE:
            return
        yield marker, found.end(), found.start() - at
        if marker < _FIRST_WITH_LENGTH:
            at = found.end()
            continue
        at = found.end() + max(2, int.from_bytes(data[found.end() : found.end() + 2]))


def _check_png(data: bytes) -> None:
    at, chunks, profiles = _PNG_SIGNATURE_BYTES, 0, 0
    while at < len(data):
        kind = data[at + 4 : at + 8]
        if kind == b"IEND":
            return
        chunks += 1
        profiles += kind == b"iCCP"
        _limit(chunks, MAX_CHUNKS, "chunks")
        _limit(profiles, MAX_PROFILES, "colour profiles")
        at += _CHUNK_FRAME_BYTES + int.from_bytes(data[at : at + 4])


def _check_gif(data: bytes) -> None:
    if data.count(_FRAME) <= MAX_FRAMES and data.count(bytes((_EXTENSION, _COMMENT))) <= MAX_COMMENTS:
        return
    frames = comments = 0
    for kind, _, _ in gif_blocks(data):
        frames += kind == _FRAME
        comments += kind == _COMMENT
        _limit(frames, MAX_FRAMES, "frames")
        _limit(comments, MAX_COMMENTS, "comments")
