"""Files of every kind are decoded to what Chromium shows of them: in colours, orientation, depth and frames."""

import re
from collections.abc import AsyncIterator

import pytest
import pytest_asyncio

from service.media.image import decode_image
from testing.browser import chromium
from testing.browser_pixels import Shown, pixel_reader
from testing.evasion.comparing import LIMITS, compared
from testing.evasion.corpus.corpus import BY_FORMAT, corpus

pytestmark = [pytest.mark.asyncio(loop_scope="module"), pytest.mark.tool("chromium")]

KNOWN = [
    "AVIF: animation",
    # Viewers without animations show the default image, so it is judged as one frame more.
]
"""What still differs."""

ORDINARY = [
    "PNG: type [023] ",
    "PNG: (gAMA 45455|cHRM of sRGB|sRGB|cICP sRGB|cICP P3), type [023] ",
    "JPEG: (4:|RGB$|grey$|CMYK$|YCCK$|with restart markers|EXIF orientation)",
    "GIF: (still|interlaced)",
    "WebP: (opaque (lossy|lossless)|EXIF orientation 1)",
    "AVIF: (4:|file (8|10|12)-bits-4..$|file grid)",
    "BMP: (1|4|8|24) bits, (core|info|V4|V5)",
]
"""What cameras, editors and the web produce."""


@pytest.fixture(scope="module")
def files() -> dict[str, bytes]:
    return corpus()


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def shown(files: dict[str, bytes]) -> AsyncIterator[dict[str, Shown]]:
    async with chromium() as browser, pixel_reader(browser) as reader:
        yield dict(zip(files, await reader.show(files.values()), strict=True))


@pytest.mark.parametrize("file_format", BY_FORMAT)
async def test_every_file_is_decoded_as_it_is_shown(
    file_format: str, files: dict[str, bytes], shown: dict[str, Shown]
) -> None:
    checked = {name: compared(files[name], shown[name]) for name in files if name.startswith(f"{file_format}: ")}
    assert len(checked) > 20
    wrong = {name: each for name, each in checked.items() if each.likeness in {"different", "refused"}}
    assert {name: each for name, each in wrong.items() if not re.match("|".join(KNOWN), name)} == {}


async def test_ordinary_files_are_not_ambiguous_and_take_one_look(files: dict[str, bytes]) -> None:
    ordinary = {name: decode_image(data, LIMITS) for name, data in files.items() if re.match("|".join(ORDINARY), name)}
    assert len(ordinary) > 80
    assert [name for name, image in ordinary.items() if image.ambiguous or len(image.views) > 1] == []
