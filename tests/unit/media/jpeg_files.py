"""JPEG files built segment by segment, for tests of what reads them."""

import struct
from collections.abc import Sequence

SHORT, LONG, BYTE = 3, 4, 1
ORIENTATION, EXIF_DIRECTORY, THUMBNAIL_AT, THUMBNAIL_BYTES = 0x0112, 0x8769, 0x0201, 0x0202
START = b"\xff\xd8"

Entry = tuple[int, int, int, bytes]
"""Tag, type, count, and the four bytes of the value."""


def segment(marker: int, body: bytes) -> bytes:
    return struct.pack(">BBH", 0xFF, marker, len(body) + 2) + body


def with_segments(data: bytes, *segments: bytes) -> bytes:
    """Return a JPEG with more segments directly after its start."""
    return START + b"".join(segments) + data[2:]


def before_pixels(data: bytes, *segments: bytes) -> bytes:
    """Return a JPEG with more segments directly before its first scan."""
    at = data.index(b"\xff\xda")
    return data[:at] + b"".join(segments) + data[at:]


def exif(*directories: Sequence[Entry], order: str = ">", magic: int = 42, tail: bytes = b"") -> bytes:
    """Return an EXIF segment of directories that follow each other, and what lies behind them."""
    body = (b"MM" if order == ">" else b"II") + struct.pack(f"{order}HI", magic, 8)
    for number, entries in enumerate(directories, 1):
        body += struct.pack(f"{order}H", len(entries))
        for tag, kind, count, value in entries:
            body += struct.pack(f"{order}HHI", tag, kind, count) + value
        body += struct.pack(f"{order}I", len(body) + 4 if number < len(directories) else 0)
    return segment(0xE1, b"Exif\0\0" + body + tail)


def turned(value: int, kind: int = SHORT, count: int = 1, order: str = ">") -> Entry:
    """Return EXIF's entry of an orientation."""
    form = {SHORT: "HH", LONG: "I", BYTE: "B3s"}[kind]
    padding: tuple[object, ...] = {SHORT: (0,), LONG: (), BYTE: (b"",)}[kind]
    return ORIENTATION, kind, count, struct.pack(f"{order}{form}", value, *padding)


def xmp(value: int) -> bytes:
    """Return an XMP segment that names an orientation."""
    text = (
        '<x:xmpmeta xmlns:x="adobe:ns:meta/"><rdf:RDF xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#">'
        f'<rdf:Description xmlns:tiff="http://ns.adobe.com/tiff/1.0/" tiff:Orientation="{value}"/>'
        "</rdf:RDF></x:xmpmeta>"
    )
    return segment(0xE1, b"http://ns.adobe.com/xap/1.0/\0" + text.encode())


def without_segments(data: bytes, *markers: int) -> bytes:
    """Return a JPEG without the segments of these markers before its first scan."""
    kept, at = START, 2
    while data[at + 1] != 0xDA:
        end = at + 2 + int.from_bytes(data[at + 2 : at + 4])
        if data[at + 1] not in markers:
            kept += data[at:end]
        at = end
    return kept + data[at:]
