"""Finds the other pictures in an image file: previews that file managers and mail programs show, and second images.

Only where viewers look for them: JPEGs among the metadata of a JPEG, the pictures that its Multi-Picture index names,
and what begins directly behind a picture's end.
"""

import re
import struct
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import islice

from service.core.ambiguity import Feature
from service.media.formats import MediaType
from service.media.gif_file import gif_blocks
from service.media.prepare.isobmff import walk
from service.media.prepare.png_chunks import chunks
from service.media.structure import jpeg_segments

_SCAN, _APP1, _APP2 = 0xDA, 0xE1, 0xE2
_JPEG = b"\xff\xd8\xff"
_JPEG_END = b"\xff\xd9"
_PICTURE = re.compile(rb"\xff\xd8\xff|\x89PNG\r\n\x1a\n|GIF8[79]a|RIFF.{4}WEBP", re.DOTALL)

# Cameras fill up to a multiple of some kilobytes.
_MAX_GAP_BYTES = 64 * 1024
# Cameras write up to three of each.
MAX_PICTURES = 4

_MAX_PREVIEW_BYTES = 64 * 1024

_INDEX_MARK = b"MPF\0"
_ENTRIES, _ENTRY_BYTES = 0xB002, 16

# What says of itself that it is a map of brightness or depth, which no viewer shows as a picture: hdrgm, Apple's
# auxiliary images, ISO 21496-1.
_AUXILIARY = re.compile(rb"hdrgm:|AuxiliaryImageType|urn:iso:std:iso:ts:21496:-1\0")
# The same for a grey picture, said by the first one.
_DEPTH = re.compile(rb"Semantic\s*=\s*[\"'](?:Depth|Confidence|GainMap|SegmentationMask)")


@dataclass(frozen=True, slots=True)
class EmbeddedPicture:
    """A picture in the file that is not the judged one."""

    feature: Feature
    """How it is called if it shows something else."""
    data: bytes
    may_be_depth: bool = False
    """Whether it is a map of depth if it is grey."""


def embedded_pictures(data: bytes, media_type: MediaType, last_block_at: int) -> Iterator[EmbeddedPicture]:
    """Yield the other pictures of a file that was decoded whole; a JPEG's ends in the block that begins there."""
    if media_type == "image/jpeg":
        yield from _in_jpeg(data, last_block_at)
    elif media_type == "image/webp":
        yield from _behind(data, 8 + int.from_bytes(data[4:8], "little"), b"")
    elif media_type == "image/png":
        yield from _behind(data, max((chunk.end for chunk in chunks(data)), default=len(data)), b"")
    elif media_type == "image/avif" and _is_sequence(data):
        # Viewers without sequences show the picture beside it. Its decoder goes by the first brand.
        yield EmbeddedPicture("second_image", data[:8] + b"avif" + data[12:])
    elif media_type == "image/gif":
        yield from _behind(data, max((block.end for block in gif_blocks(data)), default=len(data)), b"")


def _is_sequence(data: bytes) -> bool:
    return any(box.kind == b"moov" for box in walk(data, 0, len(data)))


def _in_jpeg(data: bytes, last_block_at: int) -> Iterator[EmbeddedPicture]:
    header_bytes, indexed = len(data), list[int]()
    for marker, at, _ in jpeg_segments(data):
        if marker == _SCAN:
            header_bytes = at
            break
        if marker == _APP2 and data.startswith(_INDEX_MARK, at + 2):
            indexed += _indexed(data[at + 2 + len(_INDEX_MARK) : at + int.from_bytes(data[at : at + 2])], at + 6)
    header = data[:header_bytes]
    for found in islice(re.finditer(_JPEG, header[2:]), MAX_PICTURES + 1):
        yield EmbeddedPicture("thumbnail", header[2 + found.start() :][:_MAX_PREVIEW_BYTES])
    end = data.find(_JPEG_END, max(header_bytes, last_block_at - 1))
    behind = list(_behind(data, end + len(_JPEG_END), header)) if end > 0 else []
    yield from behind
    seen = {len(data) - len(picture.data) for picture in behind}
    for place in indexed[: MAX_PICTURES + 1]:
        if place not in seen and data.startswith(_JPEG, place):
            yield from _second(data[place:], header)


def _behind(data: bytes, end: int, header: bytes) -> Iterator[EmbeddedPicture]:
    if found := _PICTURE.search(data, end, end + _MAX_GAP_BYTES):
        yield from _second(data[found.start() :], header)


def _second(data: bytes, first_header: bytes) -> Iterator[EmbeddedPicture]:
    if data.startswith(_JPEG):
        for marker, at, _ in jpeg_segments(data):
            if marker == _SCAN:
                break
            if marker in {_APP1, _APP2} and _AUXILIARY.search(data, at, at + int.from_bytes(data[at : at + 2])):
                return
    yield EmbeddedPicture("second_image", data, may_be_depth=_DEPTH.search(first_header) is not None)


def _indexed(index: bytes, base: int) -> list[int]:
    """Return where the pictures of a Multi-Picture index begin, the first one left out."""
    order = {b"II": "<", b"MM": ">"}.get(index[:2])
    if order is None or len(index) < 10:  # noqa: PLR2004 - TIFF's header and the number of entries
        return []
    at = struct.unpack_from(f"{order}I", index, 4)[0]
    directory = index[at + 2 : at + 2 + 12 * int.from_bytes(index[at : at + 2], "little" if order == "<" else "big")]
    places = list[int]()
    for tag, _, count, value in struct.iter_unpack(f"{order}HHII", directory[: len(directory) // 12 * 12]):
        if tag == _ENTRIES:
            entries = index[value : value + count]
            whole = entries[: len(entries) // _ENTRY_BYTES * _ENTRY_BYTES]
            places += [base + offset for _, _, offset, _ in struct.iter_unpack(f"{order}IIII", whole) if offset]
    return places
