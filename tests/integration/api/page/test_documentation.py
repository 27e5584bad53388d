"""The documentation at `/docs` in headless Chromium."""

import json
from collections.abc import AsyncIterator
from urllib.parse import urlsplit

import pytest
import pytest_asyncio

from testing.browser import Page, chromium
from testing.http_api import RunningApi, running_api

pytestmark = [pytest.mark.asyncio(loop_scope="module"), pytest.mark.tool("chromium")]


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def api() -> AsyncIterator[RunningApi]:
    async with running_api() as running:
        yield running


@pytest_asyncio.fixture(loop_scope="module")
async def page() -> AsyncIterator[Page]:
    async with chromium() as browser, browser.page() as page:
        await page.view(1180, 900)
        yield page


async def opened(page: Page, url: str) -> None:
    await page.open(url)
    await page.until("document.querySelector('.opblock')")


async def click(page: Page, selector: str) -> None:
    await page.until(f"document.querySelector({selector!r})")
    await page.evaluate(f"document.querySelector({selector!r}).click()")


async def executed(page: Page, method: str, path: str) -> str:
    """Open an operation, send its first example, and return the status that is shown."""
    block = f"[id$='-{path.rpartition('/')[2]}']"
    await click(page, f"{block} .opblock-summary-control")
    # Swagger UI shows an operation before it has resolved its references, and cannot send it until then.
    await page.until(f"ui.specSelectors.specResolvedSubtree(['paths', {path!r}, {method!r}])")
    await click(page, f"{block} .execute")
    status = f"{block} .live-responses-table .response .response-col_status"
    await page.until(f"document.querySelector({status!r})")
    return (await page.text(status)).split()[0]


async def test_everything_comes_from_one_origin_and_no_policy_is_violated(page: Page, api: RunningApi) -> None:
    await opened(page, f"{api.url}/docs")
    await click(page, "[id$='-verdicts'] .opblock-summary-control")
    await page.until("document.querySelector('textarea.body-param__text')")

    assert {urlsplit(url).netloc for url in page.requests if url.startswith("http")} == {urlsplit(api.url).netloc}
    assert page.problems == []


async def test_authorize_takes_a_key_and_requests_have_it(page: Page, api: RunningApi) -> None:
    await opened(page, f"{api.url}/docs")
    assert await executed(page, "get", "/v1/policies") == "401"

    await click(page, ".btn.authorize")
    await page.until("document.querySelector('.auth-container input')")
    await page.focus(".auth-container input")
    await page.write(api.key)
    await click(page, ".auth-btn-wrapper .authorize")
    await page.until("document.querySelector('.auth-btn-wrapper')?.innerText.includes('Logout')")
    await click(page, ".modal-ux .close-modal")
    await click(page, "[id$='-policies'] .execute")

    status = "document.querySelector('.live-responses-table .response .response-col_status')"
    await page.until(f"{status}?.innerText.startsWith('200')")


async def test_the_key_of_the_page_to_try_works_here_and_examples_run(page: Page, api: RunningApi) -> None:
    await page.open(f"{api.url}/#key={api.key}")
    await opened(page, f"{api.url}/docs")

    assert await executed(page, "get", "/v1/policies") == "200"
    assert await executed(page, "post", "/v1/verdicts") == "200"
    shown = json.loads(await page.text("[id$='-verdicts'] .live-responses-table .microlight"))
    assert shown["verdict"]["status"] == "moderated"


async def test_the_documentation_follows_the_theme_of_the_page(page: Page, api: RunningApi) -> None:
    await page.view(1180, 900, dark=True)

    await opened(page, f"{api.url}/docs")

    assert await page.evaluate("document.documentElement.classList.contains('dark-mode')")
