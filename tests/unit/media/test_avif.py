"""AVIF: crops, sequences beside a picture, and colours that only the pixels declare, as browsers show them."""

import io
import struct
from dataclasses import replace

import numpy as np
import pytest
from PIL import Image

from service.media.prepare.av1_colours import av1_colours
from service.media.prepare.heif import prepare_avif
from service.media.prepare.icc import cicp_profile
from service.media.prepare.isobmff import Colours, read_picture_file, walk
from tests.unit.media.decoding import decode
from tests.unit.media.heif_files import Item, box, heif
from tests.unit.media.image_files import BLUE, GREEN, RED, encoded, gradient, plain

BRANDS = (b"avif", b"mif1", b"avif")
CROP = box(b"clap", struct.pack(">IIIIiIiI", 8, 1, 8, 1, -8, 2, -8, 2))


def avif_item(image: Image.Image) -> Item:
    """Return a coded picture with its configuration and size."""
    data = encoded(image, "AVIF", quality=90)
    properties = read_picture_file(data).properties
    kept = [each for each in properties if each.kind in {b"av1C", b"ispe"}]
    (pixels,) = (each for each in walk(data, 0, len(data)) if each.kind == b"mdat")
    written = tuple(box(each.kind, data[each.start : each.end]) for each in kept)
    return Item(b"av01", data[pixels.start : pixels.end], written)


def with_numbers(item: Item, primaries: int, transfer: int) -> Item:
    """Return a picture whose sequence header declares these colours; its encoder wrote those of sRGB."""
    bits = "".join(f"{byte:08b}" for byte in item.payload)
    declared = "".join(f"{number:08b}" for number in (1, 13, 6))
    assert bits.count(declared) == 1
    changed = bits.replace(declared, f"{primaries:08b}{transfer:08b}{6:08b}")
    return replace(item, payload=int(changed, 2).to_bytes(len(item.payload)))


def sequence(first: Image.Image, *others: Image.Image) -> bytes:
    file = io.BytesIO()
    first.save(file, "AVIF", save_all=True, append_images=others, duration=100)
    return file.getvalue()


def test_a_crop_is_ambiguous() -> None:
    assert decode(heif([avif_item(plain(RED))], brands=BRANDS)).ambiguous == ()
    assert decode(heif([avif_item(plain(RED)).but(CROP)], brands=BRANDS)).ambiguous == ("structure",)


def test_colours_of_the_sequence_header_count_where_no_box_declares_any() -> None:
    item = with_numbers(avif_item(gradient()), 9, 8)
    assert prepare_avif(heif([item], brands=BRANDS)).profile == cicp_profile(9, 8)
    declared = box(b"colr", b"nclx", struct.pack(">HHHB", 1, 13, 6, 0x80))
    assert prepare_avif(heif([item.but(declared)], brands=BRANDS)).profile is None


def test_high_dynamic_range_of_the_sequence_header_is_ambiguous() -> None:
    item = with_numbers(avif_item(gradient()), 9, 16)
    assert decode(heif([item], brands=BRANDS)).ambiguous == ("colour_declaration",)


def test_the_colours_of_a_sequence_are_those_of_its_track() -> None:
    data = sequence(plain(RED), plain(BLUE))
    at = data.rindex(b"colrnclx") + 8
    assert at > data.index(b"moov")
    changed = data[:at] + struct.pack(">HHH", 9, 8, 6) + data[at + 6 :]
    assert prepare_avif(changed).profile == cicp_profile(9, 8)


def test_a_sequence_is_shown_whichever_brand_is_the_first() -> None:
    data = sequence(plain(RED), plain(BLUE))
    assert data[8:12] == b"avis"
    other = decode(data[:8] + b"avif" + data[12:])
    assert (other.frames_total, other.ambiguous) == (2, ())


def test_another_picture_beside_a_sequence_is_ambiguous() -> None:
    data = sequence(plain(RED), plain(BLUE))
    boxes = {each.kind: each for each in walk(data, 0, len(data))}
    meta = boxes[b"meta"]
    (place,) = (each for each in walk(data, meta.start + 4, meta.end) if each.kind == b"iloc")
    first = struct.pack(">I", int.from_bytes(data[data.index(b"stsz") + 16 :][:4]))
    at = data.rindex(first, place.start, place.end)
    for image, ambiguous in ((plain(GREEN), ("second_image",)), (plain(RED), ())):
        other = avif_item(image).payload
        location = struct.pack(">II", len(data) + 8, len(other))
        assert decode(data[: at - 4] + location + data[at + 4 :] + box(b"mdat", other)).ambiguous == ambiguous


@pytest.mark.parametrize("data", [b"", b"\x0a", b"\x08\0", b"\x0a\xff\xff\xff\xff\xff\xff\xff\xff", b"\x12\0" * 9])
def test_what_is_no_sequence_header_declares_nothing(data: bytes) -> None:
    assert av1_colours(data) is None


def test_a_long_sequence_header_is_read_as_a_short_one() -> None:
    still = avif_item(gradient()).payload
    moving = sequence(*(Image.fromarray(np.roll(np.asarray(gradient()), 5 * turn, axis=1)) for turn in range(3)))
    (pixels,) = (each for each in walk(moving, 0, len(moving)) if each.kind == b"mdat")
    for payload in (still, moving[pixels.start : pixels.end]):
        assert av1_colours(payload) == Colours(1, 13)
