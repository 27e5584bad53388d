"""HEIC files put together from boxes, around pictures that x265 coded once.

`heic/*.heic` come from `make_heic.py`, whose encoder is no dependency of this project.
"""

import struct
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from service.media.prepare.isobmff import Box, walk

FOLDER = Path(__file__).parent / "heic"


def stored(name: str) -> bytes:
    """Return a file of the folder."""
    return (FOLDER / f"{name}.heic").read_bytes()


def box(kind: bytes, *parts: bytes) -> bytes:
    body = b"".join(parts)
    return struct.pack(">I4s", 8 + len(body), kind) + body


def full(kind: bytes, version: int, flags: int, *parts: bytes) -> bytes:
    return box(kind, struct.pack(">I", version << 24 | flags), *parts)


def nclx(primaries: int, transfer: int, matrix: int = 6) -> bytes:
    return box(b"colr", b"nclx", struct.pack(">HHHB", primaries, transfer, matrix, 0x80))


def size(width: int, height: int) -> bytes:
    return full(b"ispe", 0, 0, struct.pack(">II", width, height))


@dataclass(frozen=True)
class Item:
    """One item of a file: what it is, its bytes, and its properties as boxes."""

    kind: bytes
    payload: bytes
    properties: tuple[bytes, ...] = ()
    is_hidden: bool = False

    def but(self, *properties: bytes) -> "Item":
        """Return the item with further properties."""
        return Item(self.kind, self.payload, (*self.properties, *properties), self.is_hidden)


def coded(name: str, number: int = 0) -> Item:
    """Return a coded picture of a stored file, with its configuration and size and nothing else."""
    data = stored(name)
    boxes = {each.kind: each for each in walk(data, 0, len(data))}
    meta = {each.kind: each for each in walk(data, boxes[b"meta"].start + 4, boxes[b"meta"].end)}
    (container, _) = walk(data, meta[b"iprp"].start, meta[b"iprp"].end)
    properties = list(walk(data, container.start, container.end))
    # libheif writes a property once where several items have the same.
    kept = [[each for each in properties if each.kind == kind][: number + 1][-1] for kind in (b"hvcC", b"ispe")]
    return Item(b"hvc1", _payload(data, meta[b"iloc"], number), tuple(_whole(data, each) for each in kept))


def _whole(data: bytes, each: Box) -> bytes:
    return box(each.kind, data[each.start : each.end])


def _payload(data: bytes, iloc: Box, number: int) -> bytes:
    """Return the bytes of an item whose location has one extent, as libheif writes them."""
    version, sizes = data[iloc.start], data[iloc.start + 4 : iloc.start + 6]
    offset_bytes, length_bytes, base_bytes = sizes[0] >> 4, sizes[0] & 15, sizes[1] >> 4
    at = iloc.start + 8
    head = 2 + (2 if version else 0) + 2 + base_bytes + 2
    at += number * (head + offset_bytes + length_bytes) + head
    offset = int.from_bytes(data[at : at + offset_bytes])
    length = int.from_bytes(data[at + offset_bytes : at + offset_bytes + length_bytes])
    base = int.from_bytes(data[at - 2 - base_bytes : at - 2])
    return data[base + offset : base + offset + length]


def heif(
    items: Sequence[Item],
    *,
    primary: int = 1,
    references: Mapping[tuple[bytes, int], Sequence[int]] | None = None,
    brands: tuple[bytes, ...] = (b"heic", b"mif1", b"heic"),
) -> bytes:
    """Return a file with these items, numbered from 1; `references` lead from (type, item) to items."""
    top = box(b"ftyp", brands[0], bytes(4), *brands[1:])
    meta = _meta(items, primary, references or {}, 0)
    start = len(top) + len(meta) + 8
    return top + _meta(items, primary, references or {}, start) + box(b"mdat", *(each.payload for each in items))


def _meta(
    items: Sequence[Item], primary: int, references: Mapping[tuple[bytes, int], Sequence[int]], start: int
) -> bytes:
    entries, locations, associations, properties = b"", b"", b"", []
    for number, item in enumerate(items, start=1):
        entries += full(b"infe", 2, int(item.is_hidden), struct.pack(">HH4sx", number, 0, item.kind))
        locations += struct.pack(">HHHII", number, 0, 1, start, len(item.payload))
        start += len(item.payload)
        associations += struct.pack(">HB", number, len(item.properties))
        for each in item.properties:
            properties.append(each)
            associations += struct.pack(">B", 0x80 | len(properties))
    refers = b"".join(
        box(kind, struct.pack(f">HH{len(targets)}H", source, len(targets), *targets))
        for (kind, source), targets in references.items()
    )
    return full(
        b"meta", 0, 0,
        full(b"hdlr", 0, 0, bytes(4), b"pict", bytes(13)),
        full(b"pitm", 0, 0, struct.pack(">H", primary)),
        full(b"iloc", 0, 0, b"\x44\x00", struct.pack(">H", len(items)), locations),
        full(b"iinf", 0, 0, struct.pack(">H", len(items)), entries),
        full(b"iref", 0, 0, refers) if refers else b"",
        box(b"iprp", box(b"ipco", *properties), full(b"ipma", 0, 0, struct.pack(">I", len(items)), associations)),
    )  # fmt: skip


def grid(columns: int, rows: int, width: int, height: int) -> Item:
    """Return a picture that is made of others, row by row."""
    payload = struct.pack(">BBBBHH", 0, 0, rows - 1, columns - 1, width, height)
    return Item(b"grid", payload, (size(width, height),))
