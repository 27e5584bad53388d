"""Keys, origins, and texts that are no HTML."""

import json
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest

from testing.browser import Page
from testing.http_api import RunningApi
from testing.trial_page import CAT, WINE, finished

pytestmark = [pytest.mark.asyncio(loop_scope="module"), pytest.mark.tool("chromium")]

HOSTILE = "<img src=x onerror=\"document.title='run'\">"


async def test_a_key_in_the_fragment_leaves_the_address_and_stays_for_the_tab(page: Page, api: RunningApi) -> None:
    assert await page.evaluate("location.href") == f"{api.url}/"
    assert await page.evaluate("sessionStorage.getItem('modstream.key')") == api.key
    assert api.key not in await page.evaluate("document.documentElement.outerHTML")
    history = await page.call("Page.getNavigationHistory")
    assert not [entry for entry in history["entries"] if api.key in entry["url"]]


async def test_without_a_key_the_page_asks_for_one_and_says_what_is_wrong_with_another(
    stranger: Page, api: RunningApi
) -> None:
    await stranger.open(api.url)
    await stranger.until("!document.querySelector('#access').hidden")
    assert await stranger.text("#key-error") == ""

    await stranger.focus("#key")
    await stranger.write("wrong")
    await stranger.press("Enter")
    await stranger.until("document.querySelector('#key-error').textContent")
    assert "does not know the API key" in await stranger.text("#key-error")

    await stranger.focus("#key")
    await stranger.write(api.key)
    await stranger.press("Enter")
    await stranger.until("document.querySelector('#access').hidden")
    assert await stranger.evaluate("document.activeElement.id") == "files"


async def test_images_that_came_before_the_key_are_judged_once_it_is_there(stranger: Page, api: RunningApi) -> None:
    await stranger.open(api.url)
    await stranger.choose("#files", [CAT])
    await finished(stranger, 1)
    assert "Enter a key that the service accepts." in await stranger.text(".failure")

    await stranger.focus("#key")
    await stranger.write(api.key)
    await stranger.press("Enter")

    await stranger.until("document.querySelector('.sheet').dataset.decision === 'allow'")


async def test_everything_comes_from_one_origin_and_no_policy_is_violated(page: Page, api: RunningApi) -> None:
    await page.drop([WINE, CAT])
    await finished(page, 2)
    await page.evaluate("document.querySelectorAll('details').forEach((each) => (each.open = true))")
    await page.evaluate("document.fonts.ready.then(() => true)")

    kinds = {url.partition(":")[0] for url in page.requests}
    assert kinds == {"http", "blob", "data"}
    assert {urlsplit(url).netloc for url in page.requests if url.startswith("http")} == {urlsplit(api.url).netloc}
    assert await page.evaluate("document.fonts.check('1rem Geist') && document.fonts.size > 0")
    assert page.problems == []


async def test_names_captions_tags_and_messages_stay_text(page: Page, tmp_path: Path) -> None:
    file = tmp_path / HOSTILE.replace("/", "")
    file.write_bytes(b"no image")
    await page.evaluate(f"document.querySelector('#caption').value = {json.dumps(HOSTILE)}")
    await page.choose("#files", [file])
    await finished(page, 1)
    await page.answer("/v1/verdicts", hostile_outcome(await real_outcome(page)))
    await page.choose("#files", [WINE])
    await finished(page, 2)
    await page.answer("/v1/verdicts", {"error": {"message": HOSTILE, "code": HOSTILE}}, status=422)
    await page.choose("#files", [CAT])
    await finished(page, 3)

    shown = await page.text("#sheets")
    assert shown.count(HOSTILE) >= 8
    assert await page.evaluate("document.querySelectorAll('[onerror], img[src=x]').length") == 0
    assert await page.evaluate("document.title") == "modstream"


async def real_outcome(page: Page) -> dict[str, Any]:
    """Ask for the outcome of a photograph from within the page."""
    found = await page.evaluate(
        """(async () => {
          const image = new OffscreenCanvas(64, 64);
          image.getContext("2d");
          const body = new FormData();
          body.append("image", await image.convertToBlob(), "x.png");
          body.append("tasks", "moderation,tags");
          const headers = { Authorization: `Bearer ${sessionStorage.getItem("modstream.key")}` };
          return (await fetch("v1/verdicts", { method: "POST", headers, body })).json();
        })()"""
    )
    assert found["verdict"]["status"] == "moderated"
    return dict(found)


def hostile_outcome(outcome: dict[str, Any]) -> dict[str, Any]:
    """Return an outcome with markup wherever the service passes on words of a model, a policy or a user."""
    reason = {"code": "x", "category": HOSTILE, "score": 0.9, "threshold": 0.5, "decision": "review"}
    verdict = outcome["verdict"] | {
        "decision": "review",
        "scores": {HOSTILE: 0.9},
        "not_covered": [HOSTILE],
        "reasons": [reason | {"message": HOSTILE, "explanation": HOSTILE}],
        "policy": {"name": HOSTILE, "version": HOSTILE, "hash": HOSTILE},
        "model": {"name": HOSTILE, "revision": HOSTILE, "adapter": HOSTILE, "precision": None, "runtime": None},
    }
    tags = outcome["tags"] | {"attributes": {HOSTILE: [{"value": HOSTILE, "confidence": 0.5}]}}
    return outcome | {"verdict": verdict, "tags": tags}
