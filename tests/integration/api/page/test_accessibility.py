"""Keyboard, screen reader, small screens, large text, both themes."""

from pathlib import Path

import pytest

import testing
from testing.browser import Page
from testing.http_api import RunningApi
from testing.trial_page import CAT, WINE, finished, opened

pytestmark = [pytest.mark.asyncio(loop_scope="module"), pytest.mark.tool("chromium")]

AXE = Path(testing.__file__).parent / "axe" / "axe.min.js"


@pytest.mark.parametrize("dark", [False, True], ids=["light", "dark"])
async def test_axe_finds_no_fault_in_the_page_with_all_that_it_can_show(page: Page, dark: bool) -> None:
    await page.view(1180, 800, dark=dark)
    await page.evaluate("document.querySelector('#other').value = 'wine_shop'")
    await page.choose("#files", [WINE, CAT])
    await finished(page, 2)
    await page.answer("/v1/verdicts", {"error": {"message": "Busy", "code": "api.busy"}}, status=503)
    await page.choose("#files", [CAT])
    await finished(page, 3)
    await page.evaluate("document.querySelector('#key-change').click()")
    await page.evaluate("document.querySelectorAll('details').forEach((each) => (each.open = true))")
    await page.evaluate(f"{AXE.read_text()}; 0")

    found = await page.evaluate("axe.run().then(({ passes, violations }) => ({ passes: passes.length, violations }))")
    assert found["passes"] > 30
    assert [(fault["id"], [node["target"] for node in fault["nodes"]]) for fault in found["violations"]] == []


async def test_a_screen_reader_hears_the_result_and_finds_its_way(page: Page) -> None:
    await page.choose("#files", [WINE, CAT])
    await finished(page, 2)

    await page.until("document.querySelector('#live').textContent.includes('review')")
    assert await page.text("#live") == "wine.jpg: review by default. cat.jpg: allow by default"
    found = await page.controls()
    for landmark in (("banner", ""), ("main", ""), ("navigation", "Pages"), ("region", "Results")):
        assert landmark in found
    assert ("article", "wine.jpg") in found
    assert ("rowheader", "alcohol hint") in found
    nameless = [role for role, name in found if role in {"button", "link", "textbox", "combobox"} and not name]
    assert nameless == []


async def test_tab_reaches_all_controls_in_the_order_in_which_they_stand(page: Page) -> None:
    await page.choose("#files", [WINE])
    await finished(page, 1)
    await page.evaluate("document.body.focus()")

    reached = []
    for _ in range(18):
        await page.press("Tab")
        reached.append(
            await page.evaluate(
                "document.activeElement.id || document.activeElement.ariaLabel || document.activeElement.innerText"
            )
        )
    expected = ["Skip to the results", "modstream, start anew", "API docs", "key-change", "theme", "files", "url"]
    expected += ["Judge", "policy", "other", "caption", "tags", "Judge again: wine.jpg", "Remove: wine.jpg"]
    expected += ["Show image: wine.jpg", "12 categories not covered by this engine", "curl", "Raw JSON"]
    assert reached == expected


async def test_removing_the_last_image_leads_the_focus_back_to_the_start(page: Page) -> None:
    await page.choose("#files", [WINE])
    await finished(page, 1)

    await page.focus("[aria-label='Remove: wine.jpg']")
    await page.press("Enter")

    assert await page.evaluate("document.activeElement.id") == "files"
    assert await page.evaluate("document.querySelector('#results').hidden")


@pytest.mark.parametrize(("width", "size"), [(360, "100%"), (720, "200%")], ids=["a phone", "twice the text"])
async def test_nothing_is_cut_off(page: Page, width: int, size: str) -> None:
    await page.view(width, 800)
    await page.evaluate(f"document.documentElement.style.fontSize = '{size}'")
    await page.evaluate("document.querySelector('#other').value = 'wine_shop'")

    await page.choose("#files", [WINE])
    await finished(page, 1)
    await page.evaluate("document.querySelectorAll('details').forEach((each) => (each.open = true))")

    assert await page.evaluate("document.documentElement.scrollWidth") == width


async def test_the_theme_follows_the_system_until_one_is_chosen(stranger: Page, api: RunningApi) -> None:
    paper = "getComputedStyle(document.body).backgroundColor"
    await stranger.view(1180, 800, dark=True)
    await opened(stranger, api)
    assert await stranger.evaluate(paper) == "rgb(18, 19, 17)"
    assert await stranger.evaluate("document.querySelector('#theme').ariaPressed") == "true"

    await stranger.focus("#theme")
    await stranger.press("Enter")
    assert await stranger.evaluate(paper) == "rgb(250, 249, 246)"

    await opened(stranger, api)
    assert await stranger.evaluate(paper) == "rgb(250, 249, 246)"
