"""What the demo publishes: photographs that come with the package or from a folder, and broken samples made here."""

import random
import struct
import zlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from importlib import resources
from pathlib import Path

from schemas.image_uploaded import ImageByUrlV1, ImageUploadedV1
from service.client.upload_events import (
    Unusable,
    UploadOptions,
    by_reference,
    event_of,
    find_uploads,
    image_id_of,
    inline,
)

OPTIONS = UploadOptions(tasks=("moderation", "tags"))
# This machine's own address, as an attacker would write it to reach what only the service can reach; nothing listens
# there, so that nothing happens even if the guard should fail.
PRIVATE_URL = "http://127.0.0.1:9/admin/photo.jpg"
# 400 megapixels in 50 KB of PNG: decoded they would take 1.2 GB.
BOMB_SIDE_PIXELS = 20_000
# Of a photograph, whose tables take some more: of a file that is cut off later, what is there is judged.
BYTES_WITHOUT_PIXELS = 200


@dataclass(frozen=True, slots=True)
class Sample:
    """One event of the demo."""

    key: str
    """The image's id and the record's key, by which outcomes are distinguished."""
    event: ImageUploadedV1 | None
    """None for a record that is no event."""
    path: Path | None
    """The file that is shown in the contact sheet, if there is one."""


def bundled_samples(folder: Path) -> list[Sample]:
    """Lay the photographs and the broken samples into a folder that the service may read from."""
    paths = bundled_photographs(folder)
    # Every second one travels inside its event, the others are fetched.
    judged = [_inline(path) if number % 2 else _by_url(path, folder) for number, path in enumerate(paths)]
    return [*judged, *_broken(folder, paths[0].read_bytes())]


def bundled_photographs(folder: Path) -> list[Path]:
    """Lay the photographs that come with the package into a folder."""
    with resources.as_file(resources.files("service.tools.demo") / "photographs") as photographs:
        return [_copy(source, folder) for source in sorted(photographs.glob("*.jpg"))]


def folder_samples(folder: Path) -> tuple[list[Sample], Sequence[Unusable]]:
    """Return the images of a folder and its sub-folders, and what in them cannot be used."""
    found = find_uploads([str(folder)])
    paths = [each.location for each in found.uploads if isinstance(each.location, Path)]
    return [_by_url(path, folder) for path in paths], found.unusable


def noise(key: str) -> bytes:
    """Return bytes that are no event, the same for the same key."""
    return random.Random(key).randbytes(64)  # noqa: S311 # an example, no secret


def png_bomb(side_pixels: int) -> bytes:
    """Return a small valid PNG of one black square with sides of so many pixels."""
    deflate = zlib.compressobj()
    # Of one bit a pixel, after a byte that names the row's filter.
    row = bytes(1 + (side_pixels + 7) // 8)
    data = b"".join([*(deflate.compress(row) for _ in range(side_pixels)), deflate.flush()])
    header = struct.pack(">IIBBBBB", side_pixels, side_pixels, 1, 0, 0, 0, 0)
    chunks = ((b"IHDR", header), (b"IDAT", data), (b"IEND", b""))
    return b"\x89PNG\r\n\x1a\n" + b"".join(_png_chunk(kind, content) for kind, content in chunks)


def _png_chunk(kind: bytes, content: bytes) -> bytes:
    return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))


def _broken(folder: Path, photograph: bytes) -> Iterator[Sample]:
    """Yield samples that must end as dead letters, each for another reason."""
    files = {
        "text-named.jpg": b"This is a letter, not a photograph.\n" * 20,
        "truncated.jpg": photograph[:BYTES_WITHOUT_PIXELS],
        "bomb.png": png_bomb(BOMB_SIDE_PIXELS),
    }
    for name, content in files.items():
        (folder / name).write_bytes(content)
        yield _by_url(folder / name, folder)
    missing = folder / "missing.jpg"
    yield Sample(missing.name, event_of(missing.name, by_reference(missing), OPTIONS), None)
    private = "private-address.jpg"
    yield Sample(private, event_of(private, ImageByUrlV1(url=PRIVATE_URL), OPTIONS), None)
    yield Sample("no-event.bin", None, None)


def _copy(source: Path, folder: Path) -> Path:
    copy = folder / source.name
    copy.write_bytes(source.read_bytes())
    return copy


def _by_url(path: Path, folder: Path) -> Sample:
    key = image_id_of(path.relative_to(folder).as_posix())
    return Sample(key, event_of(key, by_reference(path), OPTIONS), path)


def _inline(path: Path) -> Sample:
    return Sample(path.name, event_of(path.name, inline(path), OPTIONS), path)
