"""What the harness reads of a file by a canvas is what a page shows of it."""

import base64
from collections.abc import AsyncIterator
from io import BytesIO

import numpy as np
import pytest
import pytest_asyncio
from PIL import Image

from service.media.view import View
from testing.browser import Browser, chromium
from testing.browser_pixels import PixelReader, cells, not_judged, pictures_of, pixel_reader, shown_alike
from tests.unit.media.decoding import decode
from tests.unit.media.image_files import BLUE, GREEN, RED, animation, encoded, gradient, plain, swapped_profile

pytestmark = [pytest.mark.asyncio(loop_scope="module"), pytest.mark.tool("chromium")]

SIZE = (100, 80)


def upside_down() -> bytes:
    exif = Image.Exif()
    exif[0x112] = 3
    return encoded(gradient(SIZE), "JPEG", exif=exif.tobytes())


STILL = {
    "plain": encoded(gradient(SIZE), "PNG"),
    "turned by EXIF": upside_down(),
    "half transparent": encoded(Image.new("RGBA", SIZE, (*RED, 100)), "PNG"),
    "with a colour profile": encoded(gradient(SIZE), "JPEG", icc_profile=swapped_profile()),
    "cut off": encoded(gradient(SIZE), "JPEG")[:-600],
}


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def browser() -> AsyncIterator[Browser]:
    async with chromium() as running:
        yield running


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def reader(browser: Browser) -> AsyncIterator[PixelReader]:
    async with pixel_reader(browser) as opened:
        yield opened


async def test_a_screenshot_of_the_page_shows_the_same(browser: Browser, reader: PixelReader) -> None:
    shown = await reader.show(STILL.values())
    images = "".join(
        f'<img style="display: block" src="data:;base64,{base64.b64encode(data).decode()}">' for data in STILL.values()
    )
    async with browser.page() as page:
        await page.view(SIZE[0], SIZE[1] * len(STILL))
        for colour, ground in (("#fff", 255), ("#000", 0)):
            await page.evaluate(f"document.body.style = 'margin: 0; background: {colour}'")
            await page.evaluate(f"document.body.innerHTML = {images!r}")
            await page.evaluate("Promise.all([...document.images].map((image) => image.decode().catch(() => 0)))")
            whole = np.asarray(Image.open(BytesIO(await page.screenshot())).convert("RGB"))
            for number, (name, found) in enumerate(zip(STILL, shown, strict=True)):
                assert found.size == SIZE
                part = whole[number * SIZE[1] : (number + 1) * SIZE[1]]
                (frame,) = found.frames
                expected = cells(part, frame.on_white.shape[:2])
                assert np.abs(frame.on(ground) - expected).mean() < 1, (name, colour)


@pytest.mark.parametrize("file_format", ["PNG", "GIF", "WEBP", "AVIF"])
async def test_frames_of_an_animation_are_read_with_their_times(reader: PixelReader, file_format: str) -> None:
    data = animation(file_format, [RED, GREEN, BLUE], duration=[100, 200, 300])
    (shown,) = await reader.show([data])
    assert [frame.shown_ms for frame in shown.frames] == [100, 200, 300]
    assert not_judged(pictures_of(decode(data)), shown) == []
    assert not_judged(pictures_of(decode(data, max_frames=2)), shown) == [1]


async def test_an_animation_that_does_not_repeat_is_distinguished(reader: PixelReader) -> None:
    once, forever = await reader.show([animation("GIF", [RED, BLUE]), animation("GIF", [RED, BLUE], loop=0)])
    assert not once.repeats
    assert forever.repeats


async def test_what_is_no_picture_shows_nothing(reader: PixelReader) -> None:
    for shown in await reader.show([b"", b"no picture", b"\x89PNG\r\n\x1a\n1234", upside_down()[:40]]):
        assert shown.is_nothing


async def test_other_pictures_are_not_alike(reader: PixelReader) -> None:
    (shown,) = await reader.show([encoded(gradient(SIZE), "PNG")])
    upright = np.asarray(gradient(SIZE))
    assert shown_alike(upright, View(), shown.frames[0])
    assert not shown_alike(upright[::-1], View(), shown.frames[0])
    assert not shown_alike(np.asarray(plain(RED, SIZE)), View(), shown.frames[0])


async def test_a_transparent_picture_is_compared_on_the_ground_of_its_view(reader: PixelReader) -> None:
    (shown,) = await reader.show([encoded(Image.new("RGBA", SIZE, (0, 0, 0, 0)), "PNG")])
    (frame,) = shown.frames
    white = np.asarray(plain((255, 255, 255), SIZE))
    assert shown_alike(white, View(ground="light"), frame)
    assert not shown_alike(white, View(ground="dark"), frame)
    assert shown_alike(white, View(), frame)
