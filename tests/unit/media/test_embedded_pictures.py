import struct
from pathlib import Path

import pytest
from PIL import Image, ImageDraw, ImageEnhance

from service.media.likeness import looks_like
from tests.unit.media.decoding import decode
from tests.unit.media.image_files import animation, encoded, gradient, plain, png_chunk
from tests.unit.media.jpeg_files import LONG, SHORT, THUMBNAIL_AT, THUMBNAIL_BYTES, exif, segment, turned, with_segments

PHOTOGRAPHS = Path("service/tools/demo/photographs")


def photograph(name: str) -> Image.Image:
    return Image.open(PHOTOGRAPHS / f"{name}.jpg").convert("RGB")


CAT, RIFLE = photograph("cat"), photograph("rifle-drawing")
JPEG = encoded(CAT, "JPEG", quality=90)
OTHER = encoded(RIFLE, "JPEG", quality=90)
AUXILIARY = segment(0xE1, b"http://ns.adobe.com/xap/1.0/\0<rdf:Description hdrgm:Version='1.0'/>")


def preview(image: Image.Image, size: tuple[int, int] = (160, 120)) -> bytes:
    small = image.copy()
    small.thumbnail(size)
    return encoded(small, "JPEG", quality=70)


def with_preview(data: bytes, small: bytes) -> bytes:
    """Return a JPEG with EXIF's thumbnail in its second directory."""
    directories = 8 + (2 + 12 + 4) + (2 + 3 * 12 + 4)
    entries = [
        (0x0103, SHORT, 1, struct.pack(">HH", 6, 0)),
        (THUMBNAIL_AT, LONG, 1, struct.pack(">I", directories)),
        (THUMBNAIL_BYTES, LONG, 1, struct.pack(">I", len(small))),
    ]
    return with_segments(data, exif([turned(1)], entries, tail=small))


def with_margins(image: Image.Image, size: tuple[int, int] = (160, 120)) -> Image.Image:
    small, ground = image.copy(), Image.new("RGB", size)
    small.thumbnail(size)
    ground.paste(small, ((size[0] - small.width) // 2, (size[1] - small.height) // 2))
    return ground


def several(*pictures: Image.Image, gap: bytes = bytes(500)) -> bytes:
    """Return a Multi-Picture file: an index in the first picture, the others behind it."""
    first, *others = (encoded(picture, "JPEG", quality=90) for picture in pictures)
    index_bytes = 8 + 2 + 12 + 4 + 16 * len(pictures)
    # Counted from the index, whose segment begins behind the start mark: marker, length and name are eight bytes.
    place = len(first) + index_bytes
    entries, bodies = struct.pack("<IIII", 0x030000, len(first), 0, 0), b""
    for other in others:
        entries += struct.pack("<IIII", 0, len(other), place - 2 + len(gap), 0)
        bodies, place = bodies + gap + other, place + len(gap) + len(other)
    directory = struct.pack("<HHHIII", 1, 0xB002, 7, len(entries), 26, 0)
    index = segment(0xE2, b"MPF\0" + struct.pack("<2sHI", b"II", 42, 8) + directory + entries)
    return with_segments(first, index) + bodies


def test_a_preview_of_another_picture_is_ambiguous() -> None:
    assert decode(with_preview(JPEG, preview(RIFLE))).ambiguous == ("thumbnail",)


@pytest.mark.parametrize("number", range(4))
def test_a_preview_of_the_picture_is_none_however_it_is_turned(number: int) -> None:
    assert decode(with_preview(JPEG, preview(CAT.rotate(90 * number, expand=True)))).ambiguous == ()


@pytest.mark.parametrize("path", sorted(PHOTOGRAPHS.glob("*.jpg")), ids=lambda path: path.stem)
def test_previews_as_cameras_make_them_are_none(path: Path) -> None:
    picture = Image.open(path).convert("RGB")
    data = path.read_bytes()
    for small in (picture, with_margins(picture), ImageEnhance.Contrast(picture).enhance(1.2)):
        assert decode(with_preview(data, preview(small))).ambiguous == ()


def test_something_small_in_the_preview_alone_is_ambiguous() -> None:
    paper, drawn = Image.new("RGB", (640, 480), "white"), Image.new("RGB", (640, 480), "white")
    ImageDraw.Draw(drawn).rectangle((300, 200, 400, 300), fill="black")
    assert decode(with_preview(encoded(paper, "JPEG"), preview(drawn))).ambiguous == ("thumbnail",)


def test_a_preview_that_was_left_by_cutting_the_picture_is_ambiguous() -> None:
    left = CAT.crop((0, 0, CAT.width // 3, CAT.height))
    assert decode(with_preview(encoded(left, "JPEG"), preview(CAT))).ambiguous == ("thumbnail",)


@pytest.mark.parametrize("small", [b"\xff\xd8\xff", preview(RIFLE)[:60], b"\xff\xd8\xff\xe0" * 3])
def test_a_broken_preview_is_none(small: bytes) -> None:
    assert decode(with_preview(JPEG, small)).ambiguous == ()


def test_very_many_previews_are_ambiguous_and_not_decoded() -> None:
    assert decode(with_segments(JPEG, *[segment(0xE5, preview(CAT))] * 900)).ambiguous == ("thumbnail",)


def test_a_preview_that_would_take_long_is_ambiguous() -> None:
    huge = bytearray(preview(CAT))
    frame = huge.index(b"\xff\xc0")
    huge[frame + 5 : frame + 9] = struct.pack(">HH", 60_000, 60_000)
    assert decode(with_preview(JPEG, bytes(huge))).ambiguous == ("thumbnail",)


@pytest.mark.parametrize("gap", [b"", bytes(3000), b"\xff\xd9", b"\0more"])
@pytest.mark.parametrize(
    "second", [OTHER, encoded(RIFLE, "PNG"), encoded(RIFLE.quantize(64), "GIF"), encoded(RIFLE, "WEBP")]
)
def test_another_picture_behind_the_first_is_ambiguous(gap: bytes, second: bytes) -> None:
    assert decode(JPEG + gap + second).ambiguous == ("second_image",)


def test_a_picture_behind_one_of_any_length_is_found() -> None:
    """The decoder reads blocks of 64 KiB, in the last of which the first picture ends."""
    for missing in range(-3, 4):
        comment = segment(0xFE, bytes(64 * 1024 + missing - len(JPEG) - 4))
        assert decode(with_segments(JPEG, comment) + OTHER).ambiguous == ("second_image",)


@pytest.mark.parametrize("file_format", ["PNG", "GIF", "WEBP"])
def test_another_picture_behind_one_of_another_format_is_ambiguous(file_format: str) -> None:
    data = encoded(CAT, file_format)
    assert decode(data).ambiguous == ()
    assert decode(data + OTHER).ambiguous == ("second_image",)
    assert decode(data + JPEG).ambiguous == ()


def test_an_end_mark_within_a_chunk_does_not_end_a_png() -> None:
    text = png_chunk(b"tEXt", b"a\0IEND\xaeB`\x82" + bytes(70_000))
    data = encoded(CAT, "PNG")
    assert decode(data[:33] + text + data[33:] + OTHER).ambiguous == ("second_image",)


def test_a_picture_is_found_behind_a_gap_after_a_gif() -> None:
    assert decode(encoded(CAT, "GIF") + bytes(100) + OTHER).ambiguous == ("second_image",)


@pytest.mark.parametrize("behind", [b"PK\3\4" + bytes(500), b"<html>", b"\0\0\0\x18ftypmp42" + bytes(500), OTHER[:40]])
def test_what_is_no_picture_behind_the_first_does_not_matter(behind: bytes) -> None:
    assert decode(JPEG + behind).ambiguous == ()


def test_pictures_of_one_scene_in_one_file_are_none() -> None:
    shifted = CAT.crop((6, 0, CAT.width, CAT.height))
    assert decode(several(CAT, shifted)).ambiguous == ()
    assert decode(several(CAT, CAT.resize((160, 106)), CAT.resize((300, 200)))).ambiguous == ()


def test_another_picture_that_the_index_names_is_ambiguous_wherever_it_lies() -> None:
    assert decode(several(CAT, RIFLE)).ambiguous == ("second_image",)
    assert decode(several(CAT, CAT, RIFLE)).ambiguous == ("second_image",)
    assert decode(several(*[CAT] * 8)).ambiguous == ("second_image",)


def test_a_map_of_brightness_is_none() -> None:
    grey = encoded(gradient((200, 100)).convert("L"), "JPEG")
    assert decode(JPEG + grey).ambiguous == ("second_image",)
    assert decode(JPEG + with_segments(grey, AUXILIARY)).ambiguous == ()
    iso = segment(0xE2, b"urn:iso:std:iso:ts:21496:-1\0" + bytes(60))
    assert decode(JPEG + with_segments(grey, iso)).ambiguous == ()


def test_a_map_of_depth_that_the_first_picture_declares_is_none() -> None:
    declared = segment(0xE1, b'http://ns.adobe.com/xap/1.0/\0<Container:Item Item:Semantic="Depth"/>')
    grey = encoded(gradient((200, 100)).convert("L"), "JPEG")
    assert decode(with_segments(JPEG, declared) + grey).ambiguous == ()
    assert decode(with_segments(JPEG, declared) + OTHER).ambiguous == ("second_image",)


def test_animations_and_end_marks_within_pixels_are_none() -> None:
    assert decode(animation("GIF", [(255, 0, 0), (0, 59, 0)]), max_frames=2).ambiguous == ()
    assert decode(encoded(plain((59, 59, 59)), "GIF")).ambiguous == ()


def test_different_photographs_do_not_look_alike() -> None:
    pictures = [Image.open(path).convert("RGB") for path in sorted(PHOTOGRAPHS.glob("*.jpg"))]
    assert not any(looks_like(first, second) for first in pictures for second in pictures if first is not second)
