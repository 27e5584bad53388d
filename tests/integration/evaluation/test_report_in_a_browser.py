"""The report as its readers meet it: with a screen reader, a keyboard, a phone, a dark room, and paper."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import pytest_asyncio

import testing
from service.cli.backtest_run import decided_again, pictures, write
from service.policy.policy_file import check_policy
from service.settings.media import DecodeSettings, FetchSettings, MediaSettings
from service.settings.settings import Settings
from service.tools.evaluation.backtest.backtest import BacktestQuestion
from service.tools.evaluation.stored.stored_verdicts import StoredFiles
from testing.browser import Browser, Page, chromium
from testing.synthetic_backtest import SyntheticBacktest

pytestmark = [pytest.mark.asyncio(loop_scope="module"), pytest.mark.tool("chromium")]

AXE = Path(testing.__file__).parent / "axe" / "axe.min.js"
FILTER = "getComputedStyle(document.querySelector('.cover img')).filter"


@pytest.fixture(scope="module")
def report(synthetic: SyntheticBacktest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    policy = check_policy(synthetic.new).found
    assert policy is not None
    source = StoredFiles(str(synthetic.archive))
    media = MediaSettings(fetch=FetchSettings(file_root=synthetic.photographs), decode=DecodeSettings(workers=1))
    result = decided_again(source, None, BacktestQuestion(policy, examples=3), lambda done, total: None)
    shown = pictures(result, Settings(media=media), str(synthetic.events), lambda done, total: None)
    path = tmp_path_factory.mktemp("report") / "report.html"
    write(path, result, policy, shown, source)
    return path


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def browser() -> AsyncIterator[Browser]:
    async with chromium() as running:
        yield running


@pytest_asyncio.fixture(loop_scope="module")
async def page(browser: Browser, report: Path) -> AsyncIterator[Page]:
    async with browser.page() as opened:
        await opened.view(1180, 800)
        await opened.open(report.as_uri())
        yield opened
        assert opened.problems == []
        assert {url.partition(":")[0] for url in opened.requests} <= {"file", "data", "about"}


@pytest.mark.parametrize("dark", [False, True], ids=["light", "dark"])
async def test_axe_finds_no_fault(page: Page, dark: bool) -> None:
    await page.view(1180, 800, dark=dark)
    await page.evaluate("document.querySelectorAll('details').forEach((each) => (each.open = true))")
    await page.evaluate(f"{AXE.read_text()}; 0")
    found = await page.evaluate("axe.run().then(({ passes, violations }) => ({ passes: passes.length, violations }))")
    assert found["passes"] > 20
    assert [(fault["id"], [node["target"] for node in fault["nodes"]]) for fault in found["violations"]] == []


async def test_an_image_is_uncovered_by_a_key_and_covered_by_the_next(page: Page) -> None:
    assert await page.evaluate(FILTER) == "blur(18px) grayscale(1)"
    await page.focus(".cover summary")

    await page.press("Enter")
    assert await page.evaluate(FILTER) == "none"
    await page.press("Escape")
    assert await page.evaluate(FILTER) == "blur(18px) grayscale(1)"


async def test_a_screen_reader_hears_which_image_a_cover_hides(page: Page) -> None:
    names = [name for role, name in await page.controls() if name.startswith("Show image upload-")]
    assert len(names) > 2
    assert len(set(names)) == len(names)


async def test_images_are_covered_and_can_be_opened_where_no_script_runs(page: Page, report: Path) -> None:
    await page.call("Emulation.setScriptExecutionDisabled", value=True)
    await page.open(report.as_uri())
    assert await page.evaluate(FILTER) == "blur(18px) grayscale(1)"
    await page.evaluate("document.querySelector('.cover summary').click()")
    assert await page.evaluate(FILTER) == "none"


async def test_no_image_is_printed(page: Page) -> None:
    await page.evaluate("document.querySelectorAll('details').forEach((each) => (each.open = true))")
    await page.call("Emulation.setEmulatedMedia", media="print")
    shown = "[...document.images].filter((each) => getComputedStyle(each).visibility !== 'hidden').length"
    assert await page.evaluate(shown) == 0


@pytest.mark.parametrize(("width", "size"), [(360, "100%"), (720, "200%")], ids=["a phone", "twice the text"])
async def test_nothing_is_cut_off(page: Page, width: int, size: str) -> None:
    await page.view(width, 800)
    await page.evaluate(f"document.documentElement.style.fontSize = '{size}'")
    assert await page.evaluate("document.documentElement.scrollWidth") == width


async def test_the_theme_is_the_systems_until_the_reader_chooses(page: Page) -> None:
    paper = "getComputedStyle(document.body).backgroundColor"
    await page.view(1180, 800, dark=True)
    assert await page.evaluate(paper) == "rgb(18, 19, 17)"
    await page.evaluate("document.querySelector('#theme').click()")
    assert await page.evaluate(paper) == "rgb(250, 249, 246)"
