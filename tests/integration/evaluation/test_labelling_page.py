"""People label a sample in a browser, by keyboard, and the estimate reads what they saved."""

import json
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path

import pytest
import pytest_asyncio

import testing
from service.tools.evaluation.images.thumbnails import Thumbnail
from service.tools.evaluation.sampling.label_sheet import SampledImage
from service.tools.evaluation.sampling.labelled_sheet import LabelledImage, read_sheet
from service.tools.evaluation.sampling.labelling_page import labelling_page
from testing.browser import Browser, Page, chromium

pytestmark = [pytest.mark.asyncio(loop_scope="module"), pytest.mark.tool("chromium")]

AXE = Path(testing.__file__).parent / "axe" / "axe.min.js"
PIXEL = "data:image/gif;base64,R0lGODlhAQABAIAAAAAAAP///yH5BAEAAAAALAAAAAABAAEAAAIBRAA7"
HOSTILE = "</script><script>document.title = 'taken over'</script><!--"
IDS = ("first", HOSTILE, "=1+1", "fourth")

FIRST = SampledImage(
    1, len(IDS), 90, "first", "shop", "00", "", "", "block", "weapons", 0.98, "weapons", "flagged 0.8-1 weapons", 9, 4
)
ROWS = [LabelledImage(replace(FIRST, row=row, image_id=name), None) for row, name in enumerate(IDS, start=1)]


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def browser() -> AsyncIterator[Browser]:
    async with chromium() as running:
        yield running


@pytest_asyncio.fixture(loop_scope="module")
async def page(browser: Browser, tmp_path: Path) -> AsyncIterator[Page]:
    """Open the page with an image in its first row."""
    path = tmp_path / "to-label.html"
    path.write_text(labelling_page(ROWS, categories=["rival_brand"], thumbnails={ROWS[0].image: Thumbnail(PIXEL)}))
    async with browser.page() as opened:
        await opened.view(1180, 800)
        await opened.open(path.as_uri())
        yield opened


async def press(page: Page, key: str) -> None:
    await page.evaluate(
        f"document.activeElement.dispatchEvent(new KeyboardEvent('keydown', {{key: {json.dumps(key)}, bubbles: true}}))"
    )


async def saved(page: Page) -> str:
    """Save, and return the file."""
    await page.evaluate(
        "URL.createObjectURL = (blob) => { blob.text().then((text) => (window.saved = text)); return '#' }"
    )
    await page.evaluate("document.querySelector('#save').click()")
    await page.until("window.saved")
    return str(await page.evaluate("window.saved"))


async def shows(page: Page) -> str:
    return str(await page.evaluate("getComputedStyle(document.querySelector('#picture')).filter"))


async def test_labels_set_by_keyboard_are_read_by_the_estimate(page: Page, tmp_path: Path) -> None:
    for key in ("7", "5", "5", "Enter", "n", "s"):
        await press(page, key)
    await page.evaluate("document.querySelector('[value=rival_brand]').click()")
    path = tmp_path / "labelled.csv"
    path.write_text(await saved(page))

    assert [(row.image, row.labels) for row in read_sheet(path, ["rival_brand"])] == [
        (ROWS[0].image, {"weapons"}),
        (ROWS[1].image, frozenset()),
        (ROWS[2].image, None),
        (ROWS[3].image, {"rival_brand"}),
    ]


async def test_an_image_is_grey_and_blurred_until_it_is_uncovered_and_the_next_is_covered_again(page: Page) -> None:
    assert "blur" in await shows(page)
    await press(page, " ")
    assert await shows(page) == "grayscale(1)"
    await press(page, "c")
    assert await shows(page) == "none"
    await press(page, "Enter")
    await press(page, "ArrowLeft")
    assert "blur" in await shows(page)


async def test_nothing_on_the_page_says_what_was_decided(page: Page) -> None:
    shown = await page.text()
    assert "first · shop" in shown
    assert [word for word in ("block", "0.98", "0.8-1", "flagged") if word in shown] == []


async def test_labels_survive_a_reload(page: Page) -> None:
    await press(page, "n")
    await page.open(await page.evaluate("location.href"))
    assert await page.text("#progress") == "Image 2 of 4; 1 are labelled"


async def test_ids_of_uploaders_are_text_and_the_page_sends_nothing(page: Page) -> None:
    await press(page, "Enter")
    assert await page.text("#facts") == f"{HOSTILE} · shop"
    assert await page.evaluate("document.title") == "Labelling · modstream"
    await press(page, "Enter")
    assert await page.text("#facts") == "=1+1 · shop"
    assert await page.text("#missing") == "The image is not in this page: find it by its id"
    assert [url for url in page.requests if not url.startswith(("file:", "data:", "about:"))] == []
    assert page.problems == []


async def test_keys_can_be_switched_off(page: Page) -> None:
    await page.evaluate("document.querySelector('#keys').click()")
    await press(page, "n")
    assert await page.text("#progress") == "Image 1 of 4; 0 are labelled"


@pytest.mark.parametrize(("width", "dark"), [(1180, False), (1180, True), (360, False)])
async def test_axe_finds_no_fault_and_nothing_is_wider_than_the_screen(page: Page, width: int, dark: bool) -> None:
    await page.view(width, 800, dark=dark)
    await page.evaluate(f"{AXE.read_text()}; 0")
    found = await page.evaluate("axe.run().then(({ passes, violations }) => ({ passes: passes.length, violations }))")
    assert found["passes"] > 20
    assert [(fault["id"], [node["target"] for node in fault["nodes"]]) for fault in found["violations"]] == []
    assert await page.evaluate("document.documentElement.scrollWidth") <= width
