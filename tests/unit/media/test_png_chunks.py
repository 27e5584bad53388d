"""Of a PNG, the chunks that browsers honour are judged, and what other viewers may read is named.

What Chromium shows of each file was read in its version 156; tests/integration/media hold files like these against it.
"""

import struct
import zlib
from collections.abc import Callable

import pytest

from service.media.errors import ImageCorruptError
from service.media.prepare.png import prepare_png
from tests.unit.media.decoding import decode, frames, picture
from tests.unit.media.image_files import BLUE, GREEN, RED, WHITE, Rgb, samples_16
from tests.unit.media.png_files import (
    END,
    SECOND,
    SIZE,
    THIRD,
    Part,
    actl,
    fctl,
    fdat,
    flat,
    header,
    iccp,
    pixels,
    png_of,
    wrong_checksum,
)

BEFORE = fctl(0)

ANIMATIONS: dict[str, tuple[list[Part], list[Rgb]]] = {
    "announced twice": ([actl(2), actl(2), BEFORE, pixels(), *SECOND], [RED, BLUE]),
    "announced twice, the default image hidden": ([actl(1), actl(1), pixels(), fctl(0), fdat(1, BLUE)], [RED, BLUE]),
    "announced twice with other numbers": ([actl(1), actl(2), BEFORE, pixels(), *SECOND], [RED]),
    "of no frame": ([actl(0), BEFORE, pixels(), *SECOND], [RED]),
    "of no frame, then of two": ([actl(0), actl(2), BEFORE, pixels(), *SECOND], [RED, BLUE]),
    "of fewer frames than there are": ([actl(2), BEFORE, pixels(), *SECOND, *THIRD], [RED, BLUE]),
    "of more frames than there are": ([actl(5), BEFORE, pixels(), *SECOND], [RED, BLUE]),
    "announced behind the pixels": ([pixels(), actl(1), fctl(0), fdat(1, BLUE)], [RED]),
    "announced with a wrong checksum": ([wrong_checksum(actl(2)), BEFORE, pixels(), *SECOND], [RED]),
    "not announced": ([BEFORE, pixels(), *SECOND], [RED]),
    "with a gap in its numbers": ([actl(2), BEFORE, pixels(), fctl(2), fdat(3, BLUE)], [RED]),
    "with a gap before the pixels of a frame": ([actl(2), BEFORE, pixels(), fctl(1), fdat(3, BLUE)], [RED]),
    "with a frame outside": ([actl(2), BEFORE, pixels(), fctl(1, place=(1, 1)), fdat(2, BLUE)], [RED]),
    "with a frame whose control has a wrong checksum": (
        [actl(2), BEFORE, pixels(), wrong_checksum(fctl(1)), fdat(2, BLUE)],
        [RED],
    ),
    "with two controls of a frame": ([actl(2), BEFORE, pixels(), fctl(1, (2, 2)), fctl(2), fdat(3, BLUE)], [RED, BLUE]),
    "interrupted by IDAT": ([actl(2), BEFORE, pixels(), fctl(1), pixels(GREEN), fdat(2, BLUE)], [RED]),
}


@pytest.mark.parametrize(("parts", "shown"), ANIMATIONS.values(), ids=ANIMATIONS)
def test_of_an_odd_animation_the_frames_that_browsers_show_are_judged_and_it_is_named(
    parts: list[Part], shown: list[Rgb]
) -> None:
    image = decode(png_of(header(), *parts, END))
    assert [tuple(frame[:3]) for frame in image.pixels] == shown
    assert "animation_control" in image.ambiguous


@pytest.mark.parametrize(
    ("parts", "shown"),
    [
        ([actl(2), BEFORE, pixels(), *SECOND], [RED, BLUE]),
        ([actl(1), pixels(), fctl(0), fdat(1, BLUE)], [RED, BLUE]),
        ([actl(1), BEFORE, pixels()], [RED]),
        ([pixels()], [RED]),
    ],
    ids=["two frames", "the default image hidden", "one frame", "a still picture"],
)
def test_a_sound_file_is_not_ambiguous(parts: list[Part], shown: list[Rgb]) -> None:
    image = decode(png_of(header(), *parts, END))
    assert [tuple(frame[:3]) for frame in image.pixels] == shown
    assert image.ambiguous == ()


@pytest.mark.parametrize(
    "parts",
    [
        [header(), fctl(1), pixels()],
        [header(), fctl(0, (2, 2)), pixels()],
        [header(), fctl(0), fdat(1, BLUE), pixels()],
        [header(), (b"ABCD", b""), pixels()],
        [header(), header((2, 2)), pixels()],
        [(b"tEXt", b"a\0b"), header(), pixels()],
        [wrong_checksum(header()), pixels()],
        [header(colour_type=3), pixels()],
        [header(), (b"PLTE", bytes(3)), (b"PLTE", bytes(3)), pixels()],
        [header(), wrong_checksum((b"PLTE", bytes(3))), pixels()],
        [header(), fctl(0)],
        [],
    ],
)
def test_what_browsers_show_nothing_of_is_corrupt(parts: list[Part]) -> None:
    with pytest.raises(ImageCorruptError, match="PNG"):
        decode(png_of(*parts, END))


TEXT = (b"zTXt", b"a\0\0" + zlib.compress(bytes(3_000_000)))


@pytest.mark.parametrize("part", [wrong_checksum((b"tEXt", b"a\0b")), TEXT, (b"abCD", b"?"), (b"pHYs", b"short")])
def test_chunks_that_change_no_pixel_are_ignored(part: Part) -> None:
    image = decode(png_of(header(), part, pixels(), part, END))
    assert tuple(image.pixels[0][:3]) == RED
    assert image.ambiguous == ()


@pytest.mark.parametrize(
    ("parts", "feature"),
    [
        ([wrong_checksum(pixels())], "structure"),
        ([actl(2), BEFORE, pixels(), fctl(1), wrong_checksum(fdat(2, BLUE))], "structure"),
        ([pixels(), (b"tEXt", b"a\0b"), pixels(BLUE)], "structure"),
        ([pixels(), (b"tRNS", samples_16(*RED))], "structure"),
        ([(b"tRNS", samples_16(1, 0, 0)), (b"tRNS", samples_16(*RED)), pixels()], "structure"),
        ([(b"tRNS", samples_16(255, 0)), pixels()], "structure"),
        ([pixels(), (b"gAMA", struct.pack(">I", 2000))], "colour_declaration"),
        ([iccp(bytes(5_000_000)), pixels()], "colour_profile"),
        ([(b"iCCP", b"profile\0\0junk"), pixels()], "colour_profile"),
    ],
)
def test_what_other_viewers_may_read_is_named(parts: list[Part], feature: str) -> None:
    image = decode(png_of(header(), *parts, END))
    assert tuple(image.pixels[0][:3]) == RED
    assert feature in image.ambiguous


def test_frames_are_shown_as_long_as_they_say() -> None:
    delays = [(0, 0), (1, 1000), (3, 0)]
    frames = [
        part
        for number, delay in enumerate(delays)
        for part in (fctl(2 * number + 1, delay=delay), fdat(2 * number + 2, BLUE))
    ]
    prepared = prepare_png(png_of(header(), actl(4), fctl(0), pixels(), *frames, END))
    assert prepared.durations_ms == (100, 0, 1, 30)


class TestTransparentColours:
    def test_sixteen_bits_are_compared_in_full(self) -> None:
        """A picture may hide in values that look like the transparent one."""
        row = samples_16(0xFFFF, 0, 0, 0xFFF0, 0, 0)
        data = png_of(
            header((2, 1), bits=16), (b"tRNS", samples_16(0xFFF0, 0, 0)), (b"IDAT", zlib.compress(b"\0" + row)), END
        )
        assert picture(data)[0].tolist() == [list(RED), [255, 255, 255]]

    def test_sixteen_bits_of_grey_are_compared_in_full(self) -> None:
        data = png_of(
            header((2, 1), bits=16, colour_type=0),
            (b"tRNS", samples_16(0xFFF0)),
            (b"IDAT", zlib.compress(b"\0" + samples_16(0xFFFF, 0xFFF0))),
            END,
        )
        assert picture(data)[0].tolist() == [list(WHITE), [0, 0, 0]]

    def test_of_eight_bits_the_lower_byte_counts(self) -> None:
        data = png_of(header(), (b"tRNS", samples_16(0x1FF, 0, 0)), pixels(), END)
        assert picture(data)[0, 0].tolist() == [255, 255, 255]

    def test_few_bits_of_grey(self) -> None:
        data = png_of(
            header((4, 1), bits=2, colour_type=0), (b"tRNS", samples_16(1)), (b"IDAT", zlib.compress(b"\0\x1b")), END
        )
        assert [shown[0, :, 0].tolist() for shown in frames(data)] == [[0, 255, 170, 255], [0, 0, 170, 255]]

    def test_more_values_than_the_palette_has_colours(self) -> None:
        parts = [(b"PLTE", bytes(RED + BLUE)), (b"tRNS", b"\0\xff\0\0\0"), (b"IDAT", zlib.compress(b"\0\0\1"))]
        data = png_of(header((2, 1), colour_type=3), *parts, END)
        assert picture(data)[0].tolist() == [[255, 255, 255], list(BLUE)]


def test_an_index_beyond_the_palette_has_its_last_colour() -> None:
    data = png_of(header((2, 1), colour_type=3), (b"PLTE", bytes(RED + BLUE)), (b"IDAT", zlib.compress(b"\0\0\7")), END)
    assert picture(data)[0].tolist() == [list(RED), list(BLUE)]


class TestTruncated:
    """Browsers show the rows that are there; the rest is transparent."""

    HEIGHT = 64

    def rows(self) -> bytes:
        return b"".join(b"\0" + bytes((row, 3 * row % 256, 200)) * 64 for row in range(self.HEIGHT))

    @pytest.mark.parametrize(
        "packed",
        [
            lambda rows: zlib.compress(rows)[: len(zlib.compress(rows)) * 2 // 3],
            lambda rows: zlib.compress(rows[: len(rows) // 2]),
            lambda rows: zlib.compress(rows[: len(rows) // 2] + b"\7" + rows[len(rows) // 2 + 1 :]),
        ],
        ids=["cut", "too few rows", "a filter that does not exist"],
    )
    def test_rows_that_are_there_are_judged(self, packed: Callable[[bytes], bytes]) -> None:
        data = png_of(header((64, 64)), (b"IDAT", packed(self.rows())), END)
        image = decode(data)
        shown = picture(data)
        there = [row for row in range(self.HEIGHT) if shown[row, 0].tolist() == [row, 3 * row % 256, 200]]
        assert image.ambiguous == ("truncated",)
        assert len(there) >= 16
        assert there == list(range(len(there)))
        assert (shown[len(there) :] == 255).all()

    @pytest.mark.parametrize("end", [b"", b"abcd"])
    def test_a_wrong_sum_behind_the_pixels_is_nothing_to_name(self, end: bytes) -> None:
        image = decode(png_of(header(), (b"IDAT", flat(RED)[:-4] + end), END))
        assert image.ambiguous == ()
        assert image.pixels == (bytes(RED) * SIZE[0] * SIZE[1],)

    def test_of_an_animation_the_frames_before_the_damaged_one_are_judged(self) -> None:
        broken = (b"fdAT", struct.pack(">I", 4) + flat(GREEN)[:8])
        image = decode(png_of(header(), actl(3), BEFORE, pixels(), *SECOND, fctl(3), broken, END))
        assert [tuple(frame[:3]) for frame in image.pixels] == [RED, BLUE]
        assert "truncated" in image.ambiguous

    def test_pixels_that_cannot_be_unpacked_are_corrupt(self) -> None:
        with pytest.raises(ImageCorruptError):
            decode(png_of(header(), (b"IDAT", b"junk" * 10), END))
