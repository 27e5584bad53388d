"""What the page shows of verdicts and errors."""

import asyncio
import base64
import json
import os
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from schemas.example_files import read_examples
from schemas.registry import VERDICT_V1
from service.cli.try_files import PHOTOGRAPHS
from testing.browser import Page
from testing.http_api import RunningApi
from testing.trial_page import CAT, WINE, filter_of, finished, sheet_of

pytestmark = [pytest.mark.asyncio(loop_scope="module"), pytest.mark.tool("chromium")]


async def test_dropped_photographs_get_their_decisions_with_scores_reasons_and_times(page: Page) -> None:
    await page.drop([WINE, CAT])
    await finished(page, 2)

    wine = await page.text(await sheet_of(page, "wine.jpg"))
    cat = await page.text(await sheet_of(page, "cat.jpg"))
    assert "Review\nalcohol 0.98 reaches 0.40: review" in wine
    assert "review from 0.4" in wine
    assert "red wine" in wine
    assert "640 × 480 · JPEG · 20 kB" in wine
    assert "12 categories not covered by this engine" in wine
    assert "A hint is too weak to block" in wine
    assert "Allow\n\nNo score reaches a threshold" in cat
    assert all(stage in cat for stage in ("decode", "engine", "decide"))
    assert all(fact in cat for fact in ("default, version 1", "onnx", "nsfwjs", "SHA-256"))
    assert await page.text("#counts") == "1 allow\n1 review"


async def test_a_pasted_image_is_judged(page: Page) -> None:
    photograph = base64.b64encode(CAT.read_bytes()).decode()
    await page.evaluate(
        f"""(() => {{
          const bytes = Uint8Array.from(atob({photograph!r}), (each) => each.charCodeAt(0));
          const clipboardData = new DataTransfer();
          clipboardData.items.add(new File([bytes], "image.png", {{ type: "image/jpeg" }}));
          document.body.dispatchEvent(new ClipboardEvent("paste", {{ clipboardData, bubbles: true }}));
        }})()"""
    )
    await finished(page, 1)

    assert "Allow" in await page.text(await sheet_of(page, "image.png"))


async def test_the_thresholds_of_the_policy_are_marks_on_the_track_of_the_score(page: Page) -> None:
    await page.choose("#files", [WINE])
    await finished(page, 1)

    marks = await page.evaluate(
        "[...document.querySelectorAll('.reached .mark')]"
        ".map((mark) => [mark.className, mark.style.getPropertyValue('--at')])"
    )
    assert marks == [["mark mark-label", "0.15"], ["mark mark-review", "0.4"]]


async def test_two_policies_stand_side_by_side_and_say_where_they_differ(page: Page) -> None:
    await page.evaluate("document.querySelector('#other').value = 'wine_shop'")

    await page.choose("#files", [WINE])
    await finished(page, 1)

    assert "The policies differ: default says review, wine_shop says allow." in await page.text(".comparison")
    first, second = await page.evaluate(
        "[...document.querySelectorAll('.verdict')].map((each) => each.getBoundingClientRect().toJSON())"
    )
    assert first["y"] == second["y"]
    assert first["right"] <= second["left"]
    assert "blur" in await filter_of(page, ".sheet"), "the graver decision covers the picture"


@pytest.mark.parametrize(
    ("decided", "said"),
    [(True, "First passfound the image harmless; no full pass"), (False, "First passsmall did not clear the image")],
)
async def test_a_verdict_says_what_its_first_pass_did(page: Page, decided: bool, said: str) -> None:
    verdict = dict(read_examples(VERDICT_V1)["cleared"])
    verdict["first_pass"] |= {"decided": decided, "model": {"name": "small"}}
    shown = f"verdictSection({{ verdict: {json.dumps(verdict)} }}, null, 'h3').textContent"
    assert said in await page.evaluate(f"import('./page/verdict.js').then(({{ verdictSection }}) => {shown})")


async def test_an_image_by_url_is_judged_without_a_request_to_its_host(page: Page, api: RunningApi) -> None:
    await page.focus("#url")
    await page.write("http://127.0.0.1:9/x.jpg")
    await page.press("Enter")
    await finished(page, 1)

    shown = await page.text(".sheet")
    assert "Not judged" in shown
    assert "image.address_not_allowed" in shown
    assert "127.0.0.1 may not be contacted" in shown
    assert {urlsplit(url).netloc for url in page.requests if url.startswith("http")} == {urlsplit(api.url).netloc}


async def test_an_error_shows_its_reason_and_what_to_do(page: Page) -> None:
    error = {"message": "No place is free", "code": "api.full"}
    await page.answer("/v1/verdicts", {"error": error}, status=429, headers={"retry-after": "7"})

    await page.choose("#files", [CAT])
    await finished(page, 1)

    assert ("button", "Judge again: cat.jpg") in await page.controls()
    shown = await page.text(".failure")
    assert all(text in shown for text in ("Not judged", "No place is free", "Try again in 7 s.", "api.full"))


async def test_a_service_that_does_not_answer_is_said_to(page: Page) -> None:
    speed = {"latency": 0, "downloadThroughput": 0, "uploadThroughput": 0}
    await page.call("Network.emulateNetworkConditions", offline=True, **speed)

    await page.choose("#files", [CAT])
    await finished(page, 1)

    assert "The service does not answer." in await page.text(".failure")
    assert "then try again" in await page.text(".failure")


async def test_several_images_show_progress(page: Page) -> None:
    names = ["alps.jpg", "astronaut.jpg", "beer.jpg", "boats.jpg", "coffee.jpg", "farm.jpg"]
    await page.evaluate(
        """globalThis.seen = new Set();
        new MutationObserver(() => seen.add(document.querySelector("#counts").textContent))
          .observe(document.querySelector("#counts"), { childList: true, subtree: true })"""
    )

    await page.choose("#files", [PHOTOGRAPHS / name for name in names])
    await finished(page, 6)

    assert {"0 of 6 judged", "5 of 6 judged"} <= set(await page.evaluate("[...seen]"))
    await page.until("document.querySelector('#progress').hidden")
    assert await page.text("#live") == "6 images judged: 5 allow, 1 review"


async def test_the_copied_command_runs_whatever_users_write_and_holds_no_key(
    page: Page, api: RunningApi, tmp_path: Path
) -> None:
    photograph = tmp_path / """it's "wine"; $(touch x).jpg"""
    photograph.write_bytes(WINE.read_bytes())
    await page.evaluate("document.querySelector('#caption').value = `@it's $(touch x);type=a`")

    await page.choose("#files", [photograph])
    await finished(page, 1)

    await page.evaluate("document.querySelector('.disclosures details').open = true")
    await page.focus(".disclosures .copy")
    await page.press("Enter")
    await page.until("document.querySelector('.disclosures .copy').textContent === 'Copied'")
    command = await page.evaluate("document.querySelector('.disclosures pre').textContent")
    assert api.key not in command
    outcome = json.loads(await output_of(command, folder=tmp_path, key=api.key))
    assert outcome["verdict"]["decision"] == "review"
    assert outcome["tags"]["attributes"]["objects"][0]["value"] == "red wine"
    assert await output_of("ls -N", folder=tmp_path, key="") == f"{photograph.name}\n".encode(), "nothing else ran"


async def output_of(command: str, *, folder: Path, key: str) -> bytes:
    """Run a command of a POSIX shell, in a folder."""
    process = await asyncio.create_subprocess_exec(
        "sh", "-c", command, cwd=folder, env=os.environ | {"KEY": key}, stdout=asyncio.subprocess.PIPE
    )
    output, _ = await process.communicate()
    return output


async def test_a_key_that_may_not_read_policies_still_judges(page: Page, api: RunningApi) -> None:
    await page.answer("/v1/policies", {"error": {"message": "It lacks read", "code": "access.scope"}}, status=403)
    await page.open(api.url)
    await page.until("document.querySelector('#policies-error').textContent")
    assert "thresholds are not shown. It lacks read" in await page.text("#policies-error")

    await page.choose("#files", [WINE])
    await finished(page, 1)

    assert "alcohol 0.98 reaches 0.40: review" in await page.text(".sheet")
