"""Reads the boxes of HEIC and AVIF files that say what their primary picture is, and what else is in the file.

The boxes are those of ISO/IEC 14496-12 (ISO base media) and 23008-12 (HEIF). Nothing is decoded.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

# A grid of 12 megapixels has 48 tiles; each is an item.
MAX_BOXES = 20_000
_HEADER_BYTES, _LONG_HEADER_BYTES, _FULL_BYTES = 8, 16, 4

# Items that are pictures: coded by HEVC or AV1, or made of others.
_PICTURES = frozenset({b"hvc1", b"hev1", b"av01", b"grid", b"iovl", b"iden", b"tmap", b"jpeg", b"avc1"})
# How an item refers to what it belongs to, and no viewer shows it by itself: as a thumbnail, as transparency or depth,
# as a description.
_BELONGS = frozenset({b"thmb", b"auxl", b"cdsc", b"prem"})
# How a picture refers to those that it is made of.
_MADE_OF = frozenset({b"dimg"})


class Box(NamedTuple):
    """One box: its type and where its contents are."""

    kind: bytes
    start: int
    end: int


class Colours(NamedTuple):
    """A declaration of colours by the numbers of ITU-T H.273."""

    primaries: int
    transfer: int


@dataclass(frozen=True, slots=True)
class PictureFile:
    """What the boxes of a file say."""

    kind: bytes
    """Item type of the primary picture; empty if the file does not say."""
    colours: Colours | None = None
    """Of the primary picture, by numbers; None where it has none."""
    has_profile: bool = False
    """The primary picture has an ICC profile."""
    others: int = 0
    """Pictures beside the primary one that a viewer may show instead of it."""
    properties: tuple[Box, ...] = ()
    """Of the primary picture."""
    start: int = 0
    """Where the primary picture lies in the file, or its first part; 0 if the file does not say."""


@dataclass(slots=True)
class _Meta:
    primary: int | None = None
    kinds: dict[int, bytes] = field(default_factory=dict)
    hidden: set[int] = field(default_factory=set)
    belongs: set[int] = field(default_factory=set)
    properties: list[Box] = field(default_factory=list)
    of_items: dict[int, list[int]] = field(default_factory=dict)
    first_parts: dict[int, int] = field(default_factory=dict)
    """By the number of a picture that is made of others."""
    starts: dict[int, int] = field(default_factory=dict)


def read_picture_file(data: bytes) -> PictureFile:
    """Return what a file's boxes say about its primary picture; what cannot be read is left out."""
    meta = _Meta()
    budget = iter(range(MAX_BOXES))
    for box in walk(data, 0, len(data), budget):
        if box.kind == b"meta":
            _read_meta(data, box, meta, budget)
            break
    properties = [meta.properties[number] for number in meta.of_items.get(meta.primary or 0, ())]
    return PictureFile(
        kind=meta.kinds.get(meta.primary or 0, b""),
        colours=colours_by_numbers(data, properties),
        has_profile=has_profile(data, properties),
        properties=tuple(properties),
        start=meta.starts.get(meta.first_parts.get(meta.primary or 0, meta.primary or 0), 0),
        others=sum(
            kind in _PICTURES and item not in meta.hidden | meta.belongs and item != meta.primary
            for item, kind in meta.kinds.items()
        ),
    )


def walk(data: bytes, at: int, end: int, budget: Iterator[int] | None = None) -> Iterator[Box]:
    """Yield the boxes between two places, up to one that reaches beyond; each takes one of the budget."""
    budget = iter(range(MAX_BOXES)) if budget is None else budget
    while at + _HEADER_BYTES <= end and next(budget, None) is not None:
        size, kind, start = int.from_bytes(data[at : at + 4]), bytes(data[at + 4 : at + 8]), at + _HEADER_BYTES
        if size == 1:
            size, start = int.from_bytes(data[start : start + 8]), at + _LONG_HEADER_BYTES
        stop = end if size == 0 else at + size
        if stop < start or stop > end:
            return
        yield Box(kind, start, stop)
        at = stop


def _read_meta(data: bytes, meta_box: Box, meta: _Meta, budget: Iterator[int]) -> None:
    for box in walk(data, meta_box.start + _FULL_BYTES, meta_box.end, budget):
        if (read := _READERS.get(box.kind)) and box.end - box.start >= _FULL_BYTES:
            read(data, box, meta, budget)
    meta.of_items = {
        item: [number for number in numbers if number < len(meta.properties)] for item, numbers in meta.of_items.items()
    }


def _read_primary(data: bytes, box: Box, meta: _Meta, _budget: Iterator[int]) -> None:
    width = 4 if data[box.start] else 2
    meta.primary = int.from_bytes(data[box.start + 4 : box.start + 4 + width])


def _read_properties(data: bytes, box: Box, meta: _Meta, budget: Iterator[int]) -> None:
    for part in walk(data, box.start, box.end, budget):
        if part.kind == b"ipco":
            meta.properties = list(walk(data, part.start, part.end, budget))
        elif part.kind == b"ipma":
            _read_associations(data, part, meta, budget)


def _read_items(data: bytes, box: Box, meta: _Meta, budget: Iterator[int]) -> None:
    count_bytes = 2 if data[box.start] == 0 else 4
    for entry in walk(data, box.start + _FULL_BYTES + count_bytes, box.end, budget):
        version = data[entry.start] if entry.end > entry.start else 0
        if entry.kind != b"infe" or version < 2:  # noqa: PLR2004 - earlier versions name no item type
            continue
        wide = 2 if version == 2 else 4  # noqa: PLR2004 - as above
        at = entry.start + _FULL_BYTES
        item = int.from_bytes(data[at : at + wide])
        meta.kinds[item] = bytes(data[at + wide + 2 : at + wide + 6])
        if data[entry.start + 3] & 1:
            meta.hidden.add(item)


def _read_references(data: bytes, box: Box, meta: _Meta, budget: Iterator[int]) -> None:
    wide = 2 if data[box.start] == 0 else 4
    for reference in walk(data, box.start + _FULL_BYTES, box.end, budget):
        source = int.from_bytes(data[reference.start : reference.start + wide])
        at = reference.start + wide + 2
        if reference.kind in _BELONGS:
            meta.belongs.add(source)
        if reference.kind in _MADE_OF:
            parts = data[at : reference.end]
            numbers = [int.from_bytes(parts[place : place + wide]) for place in range(0, len(parts), wide)]
            meta.belongs.update(numbers)
            meta.first_parts[source] = next(iter(numbers), source)


def _read_associations(data: bytes, box: Box, meta: _Meta, budget: Iterator[int]) -> None:
    version, is_wide = data[box.start], data[box.start + 3] & 1
    item_bytes, index_bytes = (2 if version == 0 else 4), (2 if is_wide else 1)
    mask = 0x7FFF if is_wide else 0x7F
    count = int.from_bytes(data[box.start + 4 : box.start + 8])
    at = box.start + 8
    for _ in range(count):
        if at + item_bytes + 1 > box.end or next(budget, None) is None:
            return
        item, length = int.from_bytes(data[at : at + item_bytes]), data[at + item_bytes]
        at += item_bytes + 1
        indices = data[at : min(at + length * index_bytes, box.end)]
        numbers = [
            (int.from_bytes(indices[place : place + index_bytes]) & mask) - 1
            for place in range(0, len(indices), index_bytes)
        ]
        meta.of_items.setdefault(item, []).extend(number for number in numbers if number >= 0)
        at += length * index_bytes


def _read_locations(data: bytes, box: Box, meta: _Meta, budget: Iterator[int]) -> None:
    """Read where in the file each item begins; items that lie elsewhere are left out."""
    version, widths = data[box.start], data[box.start + 4 : box.start + 6].ljust(2, b"\0")
    offset_bytes, length_bytes, base_bytes = widths[0] >> 4, widths[0] & 15, widths[1] >> 4
    index_bytes = widths[1] & 15 if version else 0
    item_bytes = 2 if version < 2 else 4  # noqa: PLR2004 - wider numbers came with the second version
    at = box.start + 6 + item_bytes
    for _ in range(int.from_bytes(data[box.start + 6 : at])):
        if at >= box.end or next(budget, None) is None:
            return
        item = int.from_bytes(data[at : at + item_bytes])
        at += item_bytes
        method = data[at + 1] & 15 if version else 0
        at += 2 * bool(version) + 2
        base = int.from_bytes(data[at : at + base_bytes])
        count, at = int.from_bytes(data[at + base_bytes : at + base_bytes + 2]), at + base_bytes + 2
        if count and not method:
            meta.starts[item] = base + int.from_bytes(data[at + index_bytes : at + index_bytes + offset_bytes])
        at += count * (index_bytes + offset_bytes + length_bytes)


_READERS = {
    b"iloc": _read_locations,
    b"pitm": _read_primary,
    b"iinf": _read_items,
    b"iref": _read_references,
    b"iprp": _read_properties,
}


def has_profile(data: bytes, properties: Sequence[Box]) -> bool:
    """Say whether an ICC profile is among the properties of a picture."""
    return any(_colour_kind(data, box) in {b"prof", b"rICC"} for box in properties)


def _colour_kind(data: bytes, box: Box) -> bytes:
    return bytes(data[box.start : box.start + 4]) if box.kind == b"colr" else b""


def colours_by_numbers(data: bytes, properties: Sequence[Box]) -> Colours | None:
    """Return the colours by numbers among the properties of a picture; None where there are none."""
    for box in properties:
        if _colour_kind(data, box) == b"nclx":
            primaries, transfer = (int.from_bytes(data[at : at + 2]) for at in (box.start + 4, box.start + 6))
            return Colours(primaries, transfer)
    return None
