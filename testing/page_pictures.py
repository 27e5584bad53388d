"""Pictures of the page at `/` for the documents: `python -m testing.page_pictures --out docs/images`.

They are what headless Chromium draws of the real page, with the real answers of the embedded engine.
"""

import argparse
import asyncio
import io
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path

from PIL import Image

from testing.browser import Browser, Page, chromium
from testing.http_api import RunningApi
from testing.trial_page import CAT, WINE, api_with_two_policies, finished, opened


async def draw(browser: Browser, api: RunningApi, folder: Path) -> None:
    """Write the four pictures."""
    for name, dark in (("light", False), ("dark", True)):
        async with judged(browser, api, [WINE, CAT], width=1180, dark=dark) as page:
            await save(page, folder / f"page-{name}.webp", height=1180)
    async with judged(browser, api, [WINE], width=1180, other="wine_shop") as page:
        await save(page, folder / "page-compare.webp", height=1180)
    async with judged(browser, api, [WINE], width=360, scale=2) as page:
        await save(page, folder / "page-phone.webp", height=1500)


@asynccontextmanager
async def judged(
    browser: Browser,
    api: RunningApi,
    files: Sequence[Path],
    *,
    width: int,
    scale: float = 1.5,
    dark: bool = False,
    other: str = "",
) -> AsyncIterator[Page]:
    """Open the page and have photographs judged, by a second policy too if it is named."""
    async with browser.page() as page:
        await page.view(width, 800, dark=dark, scale=scale)
        await opened(page, api)
        await page.evaluate(f"document.querySelector('#other').value = {other!r}")
        await page.choose("#files", files)
        await finished(page, len(files))
        await page.evaluate("document.fonts.ready.then(() => true)")
        await page.until("[...document.images].every((image) => image.complete)")
        yield page


async def save(page: Page, path: Path, *, height: int) -> None:
    """Write a picture, as small as it gets without a loss."""
    with Image.open(io.BytesIO(await page.screenshot(height=height))) as picture:
        picture.convert("RGB").save(path, lossless=True, method=6)


async def main(folder: Path) -> None:
    """Draw into a folder."""
    async with api_with_two_policies() as api, chromium() as browser:
        await draw(browser, api, folder)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", type=Path, required=True, help="Folder of the pictures")
    asyncio.run(main(parser.parse_args().out))
