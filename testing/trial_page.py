"""The page at `/` and the API behind it, for tests and pictures."""

import json
import tempfile
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from importlib import resources
from pathlib import Path

from service.cli.try_files import PHOTOGRAPHS
from service.settings.settings import PolicySettings, Settings
from testing.browser import Page
from testing.http_api import RunningApi, running_api

WINE = PHOTOGRAPHS / "wine.jpg"
CAT = PHOTOGRAPHS / "cat.jpg"

WINE_SHOP = """\
name: wine_shop
version: "2"
description: Bottles and glasses are what the shop sells.
categories:
  child_safety: {review: 0.1, block: 0.8}
  sexual_explicit: {review: 0.3, block: 0.85}
  nudity_nonexplicit: {review: 0.4}
  violence: {review: 0.5, block: 0.9}
  swimwear_underwear: {label: 0.15, review: 0.3}
  alcohol: {label: 0.3}
  weapons: {review: 0.3}
  gambling: {label: 0.15, review: 0.3}
"""
"""A policy that differs from the bundled one in what it says of wine."""


@asynccontextmanager
async def api_with_two_policies() -> AsyncIterator[RunningApi]:
    """Run the API with the bundled policy and `wine_shop`."""
    with tempfile.TemporaryDirectory() as folder:
        bundled = resources.files("service.policy") / "policies" / "default.yaml"
        (Path(folder) / "default.yaml").write_text(bundled.read_text())
        (Path(folder) / "wine_shop.yaml").write_text(WINE_SHOP)
        async with running_api(Settings(policy=PolicySettings(path=Path(folder)))) as api:
            yield api


async def opened(page: Page, api: RunningApi) -> None:
    """Open the page with a key, and wait for the policies."""
    await page.open(f"{api.url}/#key={api.key}")
    await page.until("document.querySelector('#other').options.length === 3")


async def finished(page: Page, images: int) -> None:
    """Wait until so many images are judged, or not judged for a reason."""
    await page.until(f"document.querySelectorAll('.sheet[data-decision]').length === {images}")


async def sheet_of(page: Page, name: str) -> str:
    """Return a selector of the sheet of an image."""
    at = await page.evaluate(
        f"[...document.querySelectorAll('.sheet h3')].findIndex((each) => each.textContent === {json.dumps(name)})"
    )
    assert at >= 0, f"no sheet of {name}"
    return f".sheet:nth-child({at + 1})"


async def filter_of(page: Page, sheet: str) -> str:
    """Return the CSS filter of the picture of a sheet."""
    return str(await page.evaluate(f"getComputedStyle(document.querySelector('{sheet} img')).filter"))
