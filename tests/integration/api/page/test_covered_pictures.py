"""Pictures that no policy allows are blurred and grey until the user asks."""

import pytest

from testing.browser import Page
from testing.http_api import RunningApi
from testing.trial_page import CAT, WINE, filter_of, finished, opened, sheet_of

pytestmark = [pytest.mark.asyncio(loop_scope="module"), pytest.mark.tool("chromium")]

# Takes note of how each picture was drawn, in every frame from its first on.
WATCH_PICTURES = """
globalThis.drawn = {};
const watch = () => {
  for (const image of document.querySelectorAll(".picture img")) {
    const name = image.closest(".sheet").querySelector("h3").textContent;
    (drawn[name] ??= new Set()).add(getComputedStyle(image).filter);
  }
  requestAnimationFrame(watch);
};
watch();
"""


async def test_flagged_pictures_are_blurred_and_grey_from_their_first_frame_on(stranger: Page, api: RunningApi) -> None:
    await stranger.call("Page.addScriptToEvaluateOnNewDocument", source=WATCH_PICTURES)
    await opened(stranger, api)

    await stranger.choose("#files", [WINE, CAT])
    await finished(stranger, 2)
    await stranger.until("drawn['cat.jpg'].has('none')")

    drawn = await stranger.evaluate("[...drawn['wine.jpg']]")
    assert drawn == ["blur(26px) grayscale(1)"]


async def test_enter_shows_a_flagged_picture_and_covers_it_again(page: Page) -> None:
    await page.choose("#files", [WINE])
    await finished(page, 1)
    sheet = await sheet_of(page, "wine.jpg")
    assert ("image", "wine.jpg, blurred") in await page.controls()
    assert ("button", "Show image: wine.jpg") in await page.controls()

    await page.focus(f"{sheet} .reveal")
    await page.press("Enter")
    await page.until(f"getComputedStyle(document.querySelector('{sheet} img')).filter === 'none'")
    assert ("image", "wine.jpg") in await page.controls()

    await page.press("Enter")
    assert "blur" in await filter_of(page, sheet)


async def test_what_could_not_be_judged_stays_covered(page: Page) -> None:
    await page.answer("/v1/verdicts", {"error": {"message": "Busy", "code": "api.busy"}}, status=503)

    await page.choose("#files", [CAT])
    await finished(page, 1)

    assert "blur" in await filter_of(page, ".sheet")
