"""Which way up a picture is: EXIF's orientation as browsers read it, and whether other viewers may read another one.

Browsers take the first valid entry of the first EXIF block, and none from XMP. Pillow and other readers take entries
of wrong types, blocks joined together, or XMP.
"""

import re
import struct
from collections.abc import Sequence
from dataclasses import dataclass

from PIL.ImageFile import ImageFile

_ORIENTATION, _SUB_DIRECTORY = 0x0112, 0x8769
_BYTE, _SHORT, _LONG = 1, 3, 4
_FORMS = {_BYTE: "B", _SHORT: "H", _LONG: "I"}
_VALUES = range(1, 9)
_ENTRY_BYTES = 12
# Cameras write some hundred. Directories may name each other again and again.
_MAX_ENTRIES = 10_000

_IN_XMP = re.compile(rb"Orientation\s*(?:=\s*[\"']|>)\s*([1-8])")


@dataclass(frozen=True, slots=True)
class Orientation:
    """How a picture is turned."""

    shown: int = 1
    """EXIF's number from 1, which is upright, to 8, as browsers read it."""
    is_clear: bool = True
    """Whether no viewer is known to read another one."""


def orientation(image: ImageFile) -> Orientation:
    """Return the orientation of an opened file."""
    blocks = [bytes(image.info.get("exif") or b"").removeprefix(b"Exif\0\0")]
    xmp = image.info.get("xmp") or image.info.get("XML:com.adobe.xmp") or b""
    read = read_orientation(blocks, xmp.encode() if isinstance(xmp, str) else xmp)
    if image.format == "WEBP":
        # Chromium and Firefox turn no WebP; viewers of the systems do.
        return Orientation(is_clear=read.is_clear and read.shown == 1)
    return read


def read_orientation(blocks: Sequence[bytes], xmp: bytes = b"") -> Orientation:
    """Return the orientation of a file's EXIF blocks, each from its byte order on, in order."""
    shown, readings = None, set[int]()
    for number, block in enumerate(blocks):
        entries = _entries(block)
        if number == 0 and block[:4] in {b"II*\0", b"MM\0*"}:
            shown = next((entry.value for entry in entries if entry.is_valid), None)
        readings.update(entry.value for entry in entries if entry.value in _VALUES)
        if entries and not (entries[0].is_main and entries[0].value in _VALUES):
            readings.add(1)  # some readers know the first entry of the main directory only
    if not readings and (found := _IN_XMP.search(xmp)):
        readings.add(int(found[1]))
    shown = shown or 1
    return Orientation(shown, readings <= {shown})


@dataclass(frozen=True, slots=True)
class _Entry:
    """A directory's entry of an orientation."""

    is_main: bool
    is_valid: bool
    value: int


def _entries(block: bytes) -> list[_Entry]:
    """Return the orientations in an EXIF block, in order, those of the directory within the main one in its place."""
    order = {b"II": "<", b"MM": ">"}.get(block[:2])
    if order is None or len(block) < 8:  # noqa: PLR2004 - TIFF's header
        return []
    left, found = _MAX_ENTRIES, list[_Entry]()

    def read(start: int, is_main: bool) -> None:
        nonlocal left
        if start + 2 > len(block):
            return
        total = min(struct.unpack_from(f"{order}H", block, start)[0], (len(block) - start - 2) // _ENTRY_BYTES, left)
        left -= total
        body = block[start + 2 : start + 2 + total * _ENTRY_BYTES]
        for tag, kind, count, value in struct.iter_unpack(f"{order}HHI4s", body):
            if tag == _ORIENTATION:
                number = struct.unpack_from(f"{order}{_FORMS.get(kind, 'H')}", value)[0]
                is_valid = kind == _SHORT and count == 1 and number in _VALUES
                found.append(_Entry(is_main, is_valid, number))
            elif tag == _SUB_DIRECTORY and is_main and kind == _LONG:
                read(struct.unpack(f"{order}I", value)[0], is_main=False)

    read(struct.unpack_from(f"{order}I", block, 4)[0], is_main=True)
    return found
