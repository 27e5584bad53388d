"""Prepares HEIC and AVIF: colours that their boxes declare by numbers, and other pictures in the same file."""

from dataclasses import replace

from service.core.ambiguity import Feature
from service.media.prepare.icc import HLG, PQ, cicp_profile
from service.media.prepare.isobmff import Colours, read_picture_file
from service.media.prepare.prepared_file import PreparedFile
from service.media.prepare.track_times import track_times_ms

_SRGB = Colours(primaries=1, transfer=13)
# Those of television, which browsers show as sRGB in these files.
_SHOWN_AS_SRGB = frozenset({1, 6, 14, 15})

# libheif reads no file that only says that it holds pictures of any kind. Its first compatible brand is after these.
_FIRST_COMPATIBLE = slice(16, 20)
_OF_ANY_KIND = (b"mif1", b"msf1")

_UPRIGHT = 1


def prepare_heic(data: bytes) -> PreparedFile:
    """Return a HEIC file with the colours that it declares; its decoder turns it, and EXIF turns it no further."""
    if data[8:12] in _OF_ANY_KIND and b"hei" not in data[_FIRST_COMPATIBLE.start : int.from_bytes(data[:4])]:
        data = data[: _FIRST_COMPATIBLE.start] + b"heic" + data[_FIRST_COMPATIBLE.stop :]
    return _prepare(data, orientation=_UPRIGHT)


def prepare_avif(data: bytes) -> PreparedFile:
    """Return an AVIF file with the colours that it declares and its frames' times; its decoder says how to turn it."""
    return replace(_prepare(data, orientation=None), durations_ms=track_times_ms(data))


def _prepare(data: bytes, *, orientation: int | None) -> PreparedFile:
    file = read_picture_file(data)
    ambiguous: set[Feature] = {"second_image"} if file.others else set()
    profile = None
    if file.colours is not None and not file.has_profile:
        profile = _profile(file.colours)
        # Each viewer maps high dynamic range to its screen in its own way.
        ambiguous |= {"colour_declaration"} if file.colours.transfer in {PQ, HLG} else set()
    return PreparedFile(data, profile=profile, orientation=orientation, ambiguous=frozenset(ambiguous))


def _profile(colours: Colours) -> bytes | None:
    if colours.transfer in _SHOWN_AS_SRGB:
        colours = colours._replace(transfer=_SRGB.transfer)
    return None if colours == _SRGB else cicp_profile(*colours)
