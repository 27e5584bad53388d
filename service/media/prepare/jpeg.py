"""A JPEG as browsers read it: its orientation, its colours, and what viewers read differently."""

from collections.abc import Sequence
from dataclasses import dataclass, field

from service.media.errors import ImageCorruptError
from service.media.orientation import read_orientation
from service.media.prepare.prepared_file import PreparedFile
from service.media.structure import jpeg_segments

_JFIF, _APP1, _APP2, _ADOBE, _SCAN = 0xE0, 0xE1, 0xE2, 0xEE, 0xDA
_PROGRESSIVE = 0xC2
_FRAMES = frozenset({0xC0, 0xC1, _PROGRESSIVE})

_EXIF_MARK = b"Exif\0"
# The mark, and a byte that browsers pass over.
_EXIF_HEADER_BYTES = 6
_XMP_MARK = b"http://ns.adobe.com/xap/1.0/\0"
# A number of the part and the number of parts follow.
_ICC_MARK = b"ICC_PROFILE\0"
_ICC_HEADER_BYTES = len(_ICC_MARK) + 2

_COMPONENTS_AT, _FIRST_COMPONENT_AT, _COMPONENT_BYTES = 5, 6, 3
_TRANSFORM_AT = 11
_RGB, _CMYK = 3, 4


@dataclass(slots=True)
class _Header:
    """What a JPEG's segments before its first scan say."""

    exif: list[bytes] = field(default_factory=list)
    xmp: bytes = b""
    profile_parts: list[bytes] = field(default_factory=list)
    has_jfif: bool = False
    transforms: set[int] = field(default_factory=set)
    components: bytes = b""
    """Their names, a byte each."""
    is_progressive: bool = False


def prepare_jpeg(data: bytes) -> PreparedFile:
    """Return the JPEG with its orientation and profile, and the features that viewers read differently."""
    header = _read_header(data)
    orientation = read_orientation(header.exif, header.xmp)
    ambiguous = set[str]()
    if not orientation.is_clear:
        ambiguous.add("orientation")
    if _has_unclear_colours(header):
        ambiguous.add("colour_declaration")
    if header.is_progressive and (whole := _whole_bytes(data)) is not None:
        data = data[:whole]
    return PreparedFile(
        data,
        profile=_joined(header.profile_parts) if header.profile_parts else None,
        orientation=orientation.shown,
        ambiguous=frozenset(ambiguous),
    )


def _read_header(data: bytes) -> _Header:
    header = _Header()
    for marker, at, _ in jpeg_segments(data):
        if marker == _SCAN:
            if at + _length(data, at) >= len(data):
                raise ImageCorruptError(detail="the file ends before it shows anything")
            break
        body = data[at + 2 : at + _length(data, at)]
        if marker in _FRAMES:
            header.is_progressive |= marker == _PROGRESSIVE
            header.components = body[_FIRST_COMPONENT_AT::_COMPONENT_BYTES][
                : body[_COMPONENTS_AT] if len(body) > _COMPONENTS_AT else 0
            ]
        elif marker == _JFIF:
            header.has_jfif |= body.startswith(b"JFIF\0")
        elif marker == _ADOBE and body.startswith(b"Adobe") and len(body) > _TRANSFORM_AT:
            header.transforms.add(body[_TRANSFORM_AT])
        else:
            _read_metadata(header, marker, body)
    return header


def _whole_bytes(data: bytes) -> int | None:
    """Return where a segment begins that the file does not hold in full, so that the scans before it can be decoded."""
    for _, at, _ in jpeg_segments(data):
        if at + _length(data, at) > len(data):
            return at - 2
    return None


def _length(data: bytes, at: int) -> int:
    return max(2, int.from_bytes(data[at : at + 2]))


def _read_metadata(header: _Header, marker: int, body: bytes) -> None:
    if marker == _APP1 and body.startswith(_EXIF_MARK) and len(body) > _EXIF_HEADER_BYTES:
        header.exif.append(body[_EXIF_HEADER_BYTES:])
    elif marker == _APP1 and body.startswith(_XMP_MARK):
        header.xmp = header.xmp or body[len(_XMP_MARK) :]
    elif marker == _APP2 and body.startswith(_ICC_MARK) and len(body) > _ICC_HEADER_BYTES:
        header.profile_parts.append(body[len(_ICC_MARK) :])


def _joined(parts: Sequence[bytes]) -> bytes:
    """Return the profile of its parts in any order; nothing if browsers ignore it: parts are missing or contradictory.

    They read no further than to the last part that is missing.
    """
    total, found = parts[0][1], dict[int, bytes]()
    for part in parts:
        if part[1] != total or not 0 < part[0] <= total or part[0] in found:
            return b""
        found[part[0]] = part[2:]
        if len(found) == total:
            return b"".join(found[number] for number in sorted(found))
    return b""


def _has_unclear_colours(header: _Header) -> bool:
    """Say whether the colour model is a guess that libraries make differently, or declared in two ways."""
    if len(header.transforms) > 1:
        return True
    if len(header.components) == _CMYK:
        # Browsers take the samples for inverted, as Adobe writes them, and other viewers take them as they are.
        return not header.transforms
    if len(header.components) == _RGB:
        is_rgb_by_adobe, is_rgb_by_name = header.transforms == {0}, header.components == b"RGB"
        return (is_rgb_by_adobe and header.has_jfif) or (is_rgb_by_name and not header.transforms)
    return False
