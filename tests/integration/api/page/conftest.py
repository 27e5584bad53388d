"""The API with two policies, and a browser, for the tests of a module."""

from collections.abc import AsyncIterator

import pytest_asyncio

from testing.browser import Browser, Page, chromium
from testing.http_api import RunningApi
from testing.trial_page import api_with_two_policies, opened


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def api() -> AsyncIterator[RunningApi]:
    async with api_with_two_policies() as running:
        yield running


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def browser() -> AsyncIterator[Browser]:
    async with chromium() as running:
        yield running


@pytest_asyncio.fixture(loop_scope="module")
async def stranger(browser: Browser) -> AsyncIterator[Page]:
    """Return a page that is not opened yet."""
    async with browser.page() as page:
        await page.view(1180, 800)
        yield page


@pytest_asyncio.fixture(loop_scope="module")
async def page(stranger: Page, api: RunningApi) -> Page:
    """Return the page, opened with a key."""
    await opened(stranger, api)
    return stranger
