"""No file that shows a harmful picture in Chromium is allowed, however it is made; `make test-evasion` tries more."""

from collections.abc import AsyncIterator

import pytest
import pytest_asyncio

from testing.browser import chromium
from testing.browser_pixels import PixelReader, pixel_reader
from testing.evasion.files.png_file import RGB, png
from testing.evasion.judging import EvasionJudge, evasion_judge, judged_together
from testing.evasion.variants.kinds import KINDS, variants
from testing.evasion.variants.variant import HARMFUL, HARMLESS, photograph

pytestmark = [pytest.mark.asyncio(loop_scope="module"), pytest.mark.tool("chromium")]

VARIANTS = 20
SEED = 16


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def reader() -> AsyncIterator[PixelReader]:
    async with chromium() as browser, pixel_reader(browser) as opened:
        yield opened


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def judge() -> AsyncIterator[EvasionJudge]:
    async with evasion_judge() as started:
        yield started


async def test_the_plain_pictures_are_what_they_are_taken_for(judge: EvasionJudge) -> None:
    for names, decision in ((HARMFUL, "review"), (HARMLESS, "allow")):
        for name in names:
            verdict = await judge.verdict(png(photograph(name), bits=8, colour_type=RGB))
            assert verdict.decision == decision, name


@pytest.mark.parametrize("kind", KINDS)
async def test_no_variant_that_is_shown_is_allowed(kind: str, judge: EvasionJudge, reader: PixelReader) -> None:
    judged = await judged_together(judge, reader, variants(kind, VARIANTS, seed_number=SEED))
    assert any(each.result in {"review", "ambiguous"} for each in judged), "no variant is harmful"
    allowed = [f"{each.variant.how}: {each.detail}" for each in judged if each.result == "allowed"]
    assert allowed == []
