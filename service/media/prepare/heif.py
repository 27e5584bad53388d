"""Prepares HEIC and AVIF: colours that their boxes declare by numbers, and other pictures in the same file."""

from collections.abc import Sequence
from dataclasses import replace
from typing import NamedTuple

from service.core.ambiguity import Feature
from service.media.prepare.av1_colours import av1_colours
from service.media.prepare.avif_track import read_track
from service.media.prepare.icc import HLG, PQ, cicp_profile
from service.media.prepare.isobmff import Box, Colours, colours_by_numbers, has_profile, read_picture_file
from service.media.prepare.prepared_file import PreparedFile

_SRGB = Colours(primaries=1, transfer=13)
# Those of television, which browsers show as sRGB in these files.
_SHOWN_AS_SRGB = frozenset({1, 6, 14, 15})

# libheif reads no file that only says that it holds pictures of any kind. Its first compatible brand is after these.
_FIRST_COMPATIBLE = slice(16, 20)
_OF_ANY_KIND = (b"mif1", b"msf1")

_FIRST_BRAND = slice(8, 12)
_SEQUENCE = b"avis"
# As many as are searched for a file's type.
_MOST_BRANDS_BYTES = 256
_CROP = b"clap"
# What stands before a sequence header, and the header, are far shorter.
_SEARCHED_BYTES = 1024

_UPRIGHT = 1


def prepare_heic(data: bytes) -> PreparedFile:
    """Return a HEIC file with the colours that it declares; its decoder turns it, and EXIF turns it no further."""
    if data[8:12] in _OF_ANY_KIND and b"hei" not in data[_FIRST_COMPATIBLE.start : int.from_bytes(data[:4])]:
        data = data[: _FIRST_COMPATIBLE.start] + b"heic" + data[_FIRST_COMPATIBLE.stop :]
    file = read_picture_file(data)
    colours = None if has_profile(data, file.properties) else file.colours
    return replace(_with_colours(data, colours, file.others), orientation=_UPRIGHT)


def prepare_avif(data: bytes) -> PreparedFile:
    """Return an AVIF file with its frames' times and the colours that it declares; its decoder says how to turn it."""
    track = read_track(data) if _SEQUENCE in _brands(data) else None
    if track is None:
        file = read_picture_file(data)
        return _with_bitstream(data, _Declared(file.properties, file.colours, file.start), file.others)
    # Browsers show the sequence wherever a brand names it, the decoder where the first one does.
    shown = data[: _FIRST_BRAND.start] + _SEQUENCE + data[_FIRST_BRAND.stop :]
    declared = _Declared(track.properties, colours_by_numbers(data, track.properties), track.start)
    return replace(_with_bitstream(shown, declared, read_picture_file(data).others), durations_ms=track.times_ms)


class _Declared(NamedTuple):
    """What is known of the picture, or the sequence, that is shown."""

    properties: Sequence[Box]
    colours: Colours | None
    start: int


def _brands(data: bytes) -> set[bytes]:
    end = min(int.from_bytes(data[:4]), _MOST_BRANDS_BYTES)
    return {data[at : at + 4] for at in (_FIRST_BRAND.start, *range(_FIRST_COMPATIBLE.start, end, 4))}


def _with_bitstream(data: bytes, declared: _Declared, others: int) -> PreparedFile:
    """Return an AVIF file with the colours that its boxes declare, or else the pixels themselves."""
    colours = None
    if not has_profile(data, declared.properties):
        at = declared.start
        colours = declared.colours or (av1_colours(data[at : at + _SEARCHED_BYTES]) if at else None)
    prepared = _with_colours(data, colours, others)
    if any(box.kind == _CROP for box in declared.properties):
        # Browsers crop at one corner only, and the decoder never does.
        return replace(prepared, ambiguous=prepared.ambiguous | {"structure"})
    return prepared


def _with_colours(data: bytes, colours: Colours | None, others: int) -> PreparedFile:
    ambiguous: set[Feature] = {"second_image"} if others else set()
    if colours is not None and colours.transfer in {PQ, HLG}:
        # Each viewer maps high dynamic range to its screen in its own way.
        ambiguous.add("colour_declaration")
    return PreparedFile(data, profile=_profile(colours) if colours else None, ambiguous=frozenset(ambiguous))


def _profile(colours: Colours) -> bytes | None:
    if colours.transfer in _SHOWN_AS_SRGB:
        colours = colours._replace(transfer=_SRGB.transfer)
    return None if colours == _SRGB else cicp_profile(*colours)
