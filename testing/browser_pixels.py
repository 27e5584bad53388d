"""What headless Chromium shows of image files: the reference that decoding is held against."""

import asyncio
import base64
import json
import math
import tempfile
from collections.abc import AsyncIterator, Iterable, Iterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
from PIL import Image

from service.core.pixels import RgbPixels
from service.media.image import PlainImage
from service.media.view import View
from testing.browser import Browser, Json, Page, chromium

SIDE = 64
"""Shown pictures are compared as averages of at most so many cells across and down."""

ALIKE = 6.0
"""Two pictures are alike if their samples differ by no more than this on average."""

MAX_FRAMES = 64
"""Frames of one animation that are read."""

_SCRIPT = Path(__file__).with_suffix(".js")
_BATCH_BYTES = 1_000_000
_BATCH_FILES = 100

GROUNDS = {"light": 255, "dark": 0}
"""What a page lays a transparent picture on."""

Cells = npt.NDArray[np.float32]
"""Rows of columns of RGB averages."""


@dataclass(frozen=True, slots=True, eq=False)  # arrays do not compare
class ShownFrame:
    """One frame as it is shown, upright and in sRGB, reduced to averages."""

    on_white: Cells
    on_black: Cells
    shown_ms: float | None
    """How long it is shown; None for a still picture."""

    def on(self, ground: int) -> Cells:
        """Return the frame on a uniform grey."""
        return self.on_black + (self.on_white - self.on_black) * (ground / 255)


@dataclass(frozen=True, slots=True)
class Shown:
    """What the browser shows of a file."""

    size: tuple[int, int]
    """Width and height that the picture takes in a page."""
    frames: tuple[ShownFrame, ...]
    """Empty if the browser shows nothing."""
    repeats: bool = False
    """The animation begins anew for ever; otherwise its last frame stays."""

    @property
    def is_nothing(self) -> bool:
        """Whether the browser shows no picture."""
        return not self.frames


class PixelReader:
    """A page that draws image files and returns what they show."""

    def __init__(self, page: Page) -> None:
        self._page = page

    async def show(self, files: Iterable[bytes], *, side: int = SIDE) -> list[Shown]:
        """Return what the browser shows of each file, in averages of at most `side` × `side` cells.

        The browser recognises formats by content.
        """
        return [_shown(answer) for batch in _batches(files) for answer in await self._answers(batch, side)]

    async def _answers(self, files: Sequence[bytes], side: int) -> list[Json]:
        texts = json.dumps([base64.b64encode(data).decode() for data in files])
        answers = await self._page.evaluate(f"showAll({texts}, {side}, {MAX_FRAMES})")
        return list(json.loads(answers))


@asynccontextmanager
async def pixel_reader(browser: Browser) -> AsyncIterator[PixelReader]:
    """Open a page that draws image files."""
    # ImageDecoder needs a secure context, which a file is and about:blank is not.
    with tempfile.TemporaryDirectory() as folder:
        document = Path(folder) / "pixels.html"
        document.write_text(f"<!doctype html><title>pixels</title><script>{_SCRIPT.read_text()}</script>")
        async with browser.page() as page:
            await page.open(document.as_uri())
            yield PixelReader(page)


def cells(pixels: RgbPixels, shape: tuple[int, int]) -> Cells:
    """Return averages of a picture, rows by columns, with the same borders between them as in the browser."""
    rows, columns = shape
    height, width, _ = pixels.shape
    if height < rows or width < columns:
        larger = Image.fromarray(pixels).resize((max(width, columns), max(height, rows)), Image.Resampling.BICUBIC)
        return cells(np.asarray(larger), shape)
    down, across = _borders(height, rows), _borders(width, columns)
    summed = np.add.reduceat(np.add.reduceat(pixels.astype(np.float64), down[:-1], axis=0), across[:-1], axis=1)
    return (summed / np.diff(down)[:, None, None] / np.diff(across)[None, :, None]).astype(np.float32)


def difference(pixels: RgbPixels, view: View, frame: ShownFrame) -> float:
    """Return by how much a judged picture differs from a shown frame, on average; on any ground if it names none.

    One without regard to its opacity is what other programs show.
    """
    if view.ground == "opaque":
        return math.inf
    found = cells(pixels, frame.on_white.shape[:2])
    ground = GROUNDS[view.ground or "light"]
    return float(np.abs(found - frame.on(ground)).mean())


def shown_alike(pixels: RgbPixels, view: View, frame: ShownFrame) -> bool:
    """Say whether a judged picture is what the browser shows of a frame."""
    return view.part is None and difference(pixels, view, frame) <= ALIKE


def not_judged(pictures: Sequence[tuple[RgbPixels, View]], shown: Shown) -> list[int]:
    """Return the numbers of the shown frames to which no judged picture is alike."""
    return [
        number
        for number, frame in enumerate(shown.frames)
        if not any(shown_alike(pixels, view, frame) for pixels, view in pictures)
    ]


def pictures_of(image: PlainImage) -> list[tuple[RgbPixels, View]]:
    """Return what an engine is given of a decoded file."""
    return [
        (np.frombuffer(pixels, np.uint8).reshape(height, width, 3), view)
        for pixels, (width, height), view in zip(image.pixels, image.frame_sizes, image.views, strict=True)
    ]


def show_files(files: Iterable[bytes]) -> list[Shown]:
    """Return what a browser shows of each file: starts one for a script, which has no other use for it."""

    async def show() -> list[Shown]:
        async with chromium() as browser, pixel_reader(browser) as reader:
            return await reader.show(files)

    return asyncio.run(show())


def _borders(length: int, parts: int) -> npt.NDArray[np.int64]:
    return np.array([length * number // parts for number in range(parts + 1)])


def _batches(files: Iterable[bytes]) -> Iterator[list[bytes]]:
    batch: list[bytes] = []
    for data in files:
        if batch and (len(batch) == _BATCH_FILES or sum(map(len, batch)) + len(data) > _BATCH_BYTES):
            yield batch
            batch = []
        batch.append(data)
    if batch:
        yield batch


def _shown(answer: Json) -> Shown:
    return Shown((answer["width"], answer["height"]), tuple(map(_frame, answer["frames"])), answer["repeats"])


def _frame(answer: Json) -> ShownFrame:
    shape = (answer["rows"], answer["columns"], 3)
    on_white, on_black = (
        np.frombuffer(base64.b64decode(answer[ground]), np.uint8).reshape(shape).astype(np.float32)
        for ground in ("onWhite", "onBlack")
    )
    return ShownFrame(on_white, on_black, answer["shownMs"])
