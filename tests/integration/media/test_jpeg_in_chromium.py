"""Odd JPEGs are decoded to what Chromium shows of them, unless they are marked as ambiguous and only in part there."""

from collections.abc import AsyncIterator

import numpy as np
import pytest
import pytest_asyncio

from service.core.pixels import ImageSpec
from service.media.decode_pool import ImageDecoder
from service.media.types import FetchedImage
from service.settings.media import DecodeSettings
from testing.browser import chromium
from testing.browser_pixels import PixelReader, cells, pixel_reader
from tests.unit.media.decoding import decode, picture
from tests.unit.media.image_files import encoded, gradient
from tests.unit.media.jpeg_files import BYTE, LONG, Entry, before_pixels, exif, segment, turned, with_segments, xmp
from tests.unit.media.test_cut_off_jpeg import KINDS
from tests.unit.media.test_embedded_pictures import JPEG as CAT
from tests.unit.media.test_embedded_pictures import OTHER, RIFLE, preview, several, with_preview
from tests.unit.media.test_jpeg import CMYK, FIRST, JFIF, PLAIN, PROFILE, RGB, SECOND, adobe, named, part
from tests.unit.media.test_orientation import within_the_main_directory

pytestmark = [pytest.mark.asyncio(loop_scope="module"), pytest.mark.tool("chromium")]

CLOSE = 6.0


def directory(*entries: Entry, magic: int = 42) -> bytes:
    return with_segments(PLAIN, exif(entries, magic=magic))


ORIENTATIONS = {
    "EXIF": directory(turned(6)),
    "XMP": with_segments(PLAIN, xmp(3)),
    "EXIF and XMP": with_segments(PLAIN, xmp(3), exif([turned(6)])),
    "two blocks": with_segments(PLAIN, exif([turned(6)]), exif([turned(8)])),
    "empty first block": with_segments(PLAIN, exif([]), exif([turned(8)])),
    "short first block": with_segments(PLAIN, segment(0xE1, b"Exif\0\0"), exif([turned(8)])),
    "behind the frame header": before_pixels(PLAIN, exif([turned(6)])),
    "type long": directory(turned(6, LONG)),
    "type byte": directory(turned(6, BYTE)),
    "two values": directory(turned(6, count=2)),
    "twice": directory(turned(3), turned(6)),
    "invalid first": directory(turned(9), turned(6)),
    "long first": directory(turned(3, LONG), turned(6)),
    "inner directory": with_segments(PLAIN, segment(0xE1, b"Exif\0\0" + within_the_main_directory(6))),
    "BigTIFF": directory(turned(6), magic=43),
    "second directory": with_segments(PLAIN, exif([], [turned(6)])),
}
COLOURS = {
    "CMYK": CMYK,
    "YCCK": with_segments(CMYK, adobe(2)),
    "RGB": RGB,
    "RGB by Adobe against JFIF": with_segments(PLAIN, JFIF, adobe(0)),
    "RGB by Adobe": with_segments(PLAIN, adobe(0)),
    "two Adobe segments": with_segments(PLAIN, adobe(0), adobe(1)),
    "RGB by name": named(PLAIN, b"RGB"),
    "profile": with_segments(PLAIN, part(1, 1, PROFILE)),
    "profile behind the frame header": before_pixels(PLAIN, part(1, 1, PROFILE)),
    "parts out of order": with_segments(PLAIN, SECOND, FIRST),
    "part missing": with_segments(PLAIN, FIRST),
    "part twice": with_segments(PLAIN, FIRST, FIRST, SECOND),
    "last part twice": with_segments(PLAIN, FIRST, SECOND, SECOND),
    "part too many": with_segments(PLAIN, FIRST, SECOND, part(3, 2, b"more")),
    "part 0": with_segments(PLAIN, part(0, 1, PROFILE)),
    "other number of parts": with_segments(PLAIN, FIRST, part(2, 3, PROFILE)),
    "empty part first": with_segments(PLAIN, part(1, 1, b""), part(1, 1, PROFILE)),
    "profile cut off": with_segments(PLAIN, part(1, 1, PROFILE[:-30])),
}
PICTURES = {
    "another preview": with_preview(CAT, preview(RIFLE)),
    "another picture behind": CAT + OTHER,
    "PNG behind": CAT + encoded(RIFLE, "PNG"),
    "another picture in the index": several(RIFLE, gradient()),
}
CUT_OFF = {
    f"{name}, {share} of 8 there": data[: len(data) * share // 8] for name, data in KINDS.items() for share in (3, 5, 7)
}


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def reader() -> AsyncIterator[PixelReader]:
    async with chromium() as browser, pixel_reader(browser) as opened:
        yield opened


@pytest.mark.parametrize("files", [ORIENTATIONS, COLOURS, PICTURES], ids=["orientations", "colours", "pictures"])
async def test_odd_files_are_decoded_as_they_are_shown(reader: PixelReader, files: dict[str, bytes]) -> None:
    for (name, data), shown in zip(files.items(), await reader.show(files.values()), strict=True):
        (frame,) = shown.frames
        pixels = picture(data)
        assert pixels.shape[1::-1] == shown.size, name
        assert np.abs(cells(pixels, frame.on_white.shape[:2]) - frame.on_white).mean() < CLOSE, name


async def test_the_rows_that_are_shown_of_a_cut_file_are_decoded_so(reader: PixelReader) -> None:
    for (name, data), shown in zip(CUT_OFF.items(), await reader.show(CUT_OFF.values()), strict=True):
        (frame,) = shown.frames
        assert decode(data).ambiguous == ("truncated",)
        there = (np.abs(frame.on_white - frame.on_black) < 1).all(-1)
        ours = cells(picture(data), frame.on_white.shape[:2])
        if there.any():
            assert np.abs(ours - frame.on_white)[there].mean() < CLOSE, name


async def test_the_confined_process_reads_embedded_pictures() -> None:
    decoder = ImageDecoder(DecodeSettings(workers=1))
    await decoder.start()
    try:
        for data, feature in (
            (CAT + encoded(RIFLE, "WEBP"), "second_image"),
            (PICTURES["another preview"], "thumbnail"),
        ):
            image = await decoder.decode(FetchedImage(data), ImageSpec(max_pixels=512 * 512, multiple_of=32))
            assert image.ambiguous == {feature}
    finally:
        await decoder.close()
