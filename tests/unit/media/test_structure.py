import contextlib
import time
from collections.abc import Callable
from typing import Any

import pytest
from PIL import Image

from service.media.errors import ImageCorruptError, TooComplexError, TooManyPixelsError, UnsupportedFormatError
from service.media.structure import (
    MAX_CHUNKS,
    MAX_COMMENTS,
    MAX_FRAMES,
    MAX_JUNK_BYTES,
    MAX_PROFILES,
    MAX_RUN_LENGTH_PIXELS,
    MAX_SCANS,
    MAX_SEGMENTS,
)
from tests.unit.media.costly_files import (
    SQUARE,
    gif_of_comments,
    gif_of_frames,
    jpeg_of_scans,
    jpeg_of_segments,
    jpeg_with_junk,
    png_of_chunks,
    png_of_profiles,
    profile_of_steps,
    webp_of_frames,
)
from tests.unit.media.decoding import decode
from tests.unit.media.image_files import RED, animation, bmp_rle8, encoded, gradient, plain, png_chunk

# Longer than any refusal takes on a busy machine, and far less than what is refused would take.
SOON_S = 1.0

Build = Callable[[int], bytes]


@pytest.mark.parametrize(
    ("build", "most", "parts"),
    [
        (jpeg_of_scans, MAX_SCANS, "scans"),
        (jpeg_of_segments, MAX_SEGMENTS - 50, "segments"),
        (jpeg_with_junk, MAX_JUNK_BYTES, "bytes between segments"),
        (png_of_chunks, MAX_CHUNKS - 50, "chunks"),
        (png_of_profiles, MAX_PROFILES, "colour profiles"),
        (gif_of_frames, MAX_FRAMES, "frames"),
        (gif_of_comments, MAX_COMMENTS, "comments"),
        (webp_of_frames, MAX_FRAMES, "frames"),
    ],
)
def test_a_file_of_very_many_parts_is_refused_and_one_of_many_decoded(build: Build, most: int, parts: str) -> None:
    assert decode(build(most)).width > 0
    before = time.process_time()
    with pytest.raises(TooComplexError, match=f" {parts},"):
        decode(build(most + 100))
    with pytest.raises(TooComplexError, match=f" {parts},"):
        decode(build(10 * most))
    assert time.process_time() - before < 2 * SOON_S


def test_scans_are_those_of_the_picture_whatever_else_looks_like_one() -> None:
    """A thumbnail, a second picture or a profile may hold the two bytes by the hundred."""
    scan_like = b"\xff\xda" * 1000
    data = encoded(gradient(), "JPEG", exif=b"Exif\0\0" + scan_like, comment=scan_like)
    assert decode(data + scan_like).pixels == decode(encoded(gradient(), "JPEG")).pixels


@pytest.mark.parametrize("progressive", [False, True])
@pytest.mark.parametrize("mode", ["L", "RGB", "CMYK"])
def test_what_encoders_write_is_far_from_the_limits(mode: str, progressive: bool) -> None:
    options = {"progressive": progressive, "restart_marker_blocks": 1, "icc_profile": bytes(300_000)}
    assert decode(encoded(gradient().convert(mode), "JPEG", **options)).width == 48


def test_scans_after_a_sequential_picture_cost_nothing() -> None:
    """Decoders stop at its end, so that they need not be counted either."""
    data = encoded(plain(size=(4000, 4000)), "JPEG")
    last, end = data.rindex(b"\xff\xda"), data.rindex(b"\xff\xd9")
    before = time.process_time()
    with contextlib.suppress(ImageCorruptError):
        decode(data[:end] + data[last:end] * 200 + data[end:], max_pixels=16_000_000)
    assert time.process_time() - before < SOON_S


@pytest.mark.parametrize("components", [b"\1\1\0\0\x3f\0", b"\1\2\x11\0\x3f\0"])
def test_scans_of_single_components_of_a_sequential_picture_are_counted(components: bytes) -> None:
    data = encoded(SQUARE, "JPEG")
    start, end = data.rindex(b"\xff\xda"), data.rindex(b"\xff\xd9")
    scan = b"\xff\xda" + (2 + len(components)).to_bytes(2) + components + b"\0"
    with pytest.raises(TooComplexError, match="64 scans"):
        decode(data[:start] + scan * 65 + data[end:])


def test_scans_behind_a_reserved_marker_are_counted() -> None:
    """libjpeg passes over such a marker in search of a restart mark, and meets the scans behind it."""
    data = encoded(SQUARE, "JPEG", progressive=True, restart_marker_blocks=1)
    last, end = data.rindex(b"\xff\xda"), data.rindex(b"\xff\xd9")
    scan = data[last : last + 2 + int.from_bytes(data[last + 2 : last + 4])] + b"\0"
    with pytest.raises(TooComplexError, match="64 scans"):
        decode(data[:last] + scan + b"\xff\x02\xff\xff" + scan * 100 + bytes(0xFFFF) + data[end:])


@pytest.mark.parametrize("frame", [b"\xff\xc9", b"\xff\xca"])
def test_a_jpeg_that_is_coded_arithmetically_is_refused(frame: bytes) -> None:
    with pytest.raises(UnsupportedFormatError, match="arithmetic"):
        decode(encoded(SQUARE, "JPEG").replace(b"\xff\xc0", frame, 1))


def test_a_multi_picture_file_is_its_first_picture_only() -> None:
    pictures = [gradient() for _ in range(80)]
    data = encoded(pictures[0], "MPO", save_all=True, append_images=pictures[1:])
    assert data.count(b"\xff\xda") > MAX_SCANS
    assert decode(data).width == 48


def test_a_png_in_small_pieces_is_decoded() -> None:
    data = encoded(gradient(), "PNG")
    at = data.index(b"IDAT") - 4
    body = data[at + 8 : data.index(b"IEND") - 8]
    pieces = b"".join(png_chunk(b"IDAT", body[place : place + 1]) for place in range(len(body)))
    assert decode(data[:at] + pieces + png_chunk(b"IEND", b"")).pixels == decode(data).pixels


@pytest.mark.parametrize("file_format", ["GIF", "PNG", "WEBP"])
def test_an_animation_of_hundreds_of_frames_is_decoded(file_format: str) -> None:
    colours = [(number % 256, number // 256, 9) for number in range(300)]
    assert decode(animation(file_format, colours, lossless=True)).frames_total == 300


def test_run_lengths_are_unpacked_up_to_the_size_of_old_pictures() -> None:
    """Each row ends at once, so that four bytes stand for thousands of pixels."""
    side = int(MAX_RUN_LENGTH_PIXELS**0.5) + 1
    with pytest.raises(TooManyPixelsError, match=str(MAX_RUN_LENGTH_PIXELS)):
        decode(bmp_rle8((side, side), b"\1\5\0\0" * side + b"\0\1"), max_pixels=120_000_000)
    assert decode(bmp_rle8((64, 64), b"\1\5\0\0" * 64 + b"\0\1")).width == 64


@pytest.mark.parametrize(("media", "most"), [("GIF", 12), ("PNG", 5)])
def test_what_is_slow_to_compose_may_be_composed_less(media: str, most: int) -> None:
    frames = [plain((number, 0, 0), (100, 100)) for number in range(most + 1)]
    options: dict[str, Any] = {"save_all": True, "duration": 100}
    enough = encoded(frames[0], media, append_images=frames[1:-1], **options)
    assert decode(enough, max_pixels=40_000).frames_total == most
    with pytest.raises(TooManyPixelsError):
        decode(encoded(frames[0], media, append_images=frames[1:], **options), max_pixels=40_000)


@pytest.mark.parametrize(
    "data",
    [
        encoded(plain(size=(900, 900)), "WEBP"),
        encoded(plain(size=(1500, 1500)), "JPEG", progressive=True, subsampling=0),
        encoded(Image.new("CMYK", (1300, 1300)), "JPEG", progressive=True),
        encoded(plain(size=(1200, 1200)), "AVIF"),
    ],
    ids=["WebP", "progressive", "CMYK", "AVIF"],
)
def test_what_needs_more_memory_than_there_is_is_too_large_and_not_broken(data: bytes) -> None:
    assert decode(data, max_pixels=4_000_000).width > 0
    with pytest.raises(TooManyPixelsError):
        decode(data, max_pixels=4_000_000, memory_bytes=12_000_000)


def test_a_baseline_jpeg_needs_no_memory_for_coefficients() -> None:
    assert (
        decode(encoded(plain(RED, (1500, 1500)), "JPEG"), max_pixels=4_000_000, memory_bytes=12_000_000).width == 1500
    )


def test_the_many_steps_of_a_colour_profile_take_no_time() -> None:
    """Twenty thousand would take eight seconds a frame, and a PNG packs them into some kilobytes."""
    before = time.process_time()
    assert not decode(
        encoded(gradient(), "PNG", icc_profile=profile_of_steps(10_000))
    ).profile_ignored  # as in browsers
    without_curves = profile_of_steps(10_000).replace(b"rTRC", b"none")
    assert decode(encoded(gradient(), "PNG", icc_profile=without_curves)).profile_ignored
    assert not decode(
        encoded(gradient(), "PNG", icc_profile=profile_of_steps(10).replace(b"rTRC", b"none"))
    ).profile_ignored
    assert time.process_time() - before < SOON_S
