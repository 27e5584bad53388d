"""A policy decides alike on live images, in a shadow and from stored verdicts."""

import asyncio
import random
import time
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import product
from pathlib import Path

import numpy as np
import orjson
import pytest
import structlog
from numpy.typing import NDArray

from schemas.image_uploaded import ImageReferenceV1
from schemas.verdict import VerdictV1
from service.core.pixels import ImageSpec
from service.core.records import OutgoingRecord, SourceRecord
from service.delivery.handler import Job
from service.inference.engine import EngineOutput, EngineRequest
from service.media.image_memory import Reservation
from service.media.types import DecodedImage, FetchedImage
from service.media.view import View
from service.moderation.engine_client import EngineClient
from service.moderation.loop_share import LoopShare
from service.moderation.moderate import Moderator
from service.moderation.shadow import Shadows
from service.moderation.shadow_policies import ShadowPolicies, TrialPolicies
from service.policy.judged import JudgedImage, decide_image
from service.policy.loader import Policies, PolicySet
from service.policy.policy import Policy
from service.settings.delivery import TopicSettings
from service.telemetry.record_trace import RecordTrace
from service.tools.evaluation.backtest.decided_verdicts import decided
from service.tools.evaluation.backtest.policy_sql import deciding_category, decision, sql
from service.tools.evaluation.stored.stored_verdicts import VerdictLines, opened_verdicts
from testing.engine import PaintedEngine
from testing.resources import NotedResources

LEVELS = (0, 50, 51, 127, 128, 229, 230, 255)
"""Scores in 255ths: on both sides of every threshold, and on it."""
STILLS = tuple(product(LEVELS, repeat=3))
"""Every frame that there is: the images that come first."""
RECORDS = 10_000

OLD = Policy.model_validate(
    {
        "name": "p",
        "version": "1",
        "ambiguous": {"default": "review", "truncated": "allow"},
        "categories": {
            "child_safety": {"review": 0.1},
            "sexual_explicit": {"label": 51 / 255, "review": 128 / 255, "block": 230 / 255},
            "violence": {"review": 128 / 255, "block": 1.0, "frames": 2},
            "weapons": {"label": 51 / 255, "block": 230 / 255},
        },
    }
)
NEW = Policy.model_validate(
    {
        "name": "p",
        "version": "2",
        "when_not_moderated": "block",
        "ambiguous": {"default": "allow", "opacity": "block", "truncated": "review"},
        "categories": {
            "child_safety": {"review": 0.1},
            "sexual_explicit": {"review": 51 / 255, "block": 1.0, "frames": 3},
            "violence": {"label": 51 / 255, "review": 127 / 255, "block": 229 / 255},
            "weapons": {"review": 128 / 255, "block": 230 / 255, "frames": 4},
        },
    }
)

FEATURES = ("opacity", "thumbnail", "truncated", "of_a_newer_version")
VIEWS = 0.5
"""Share of pictures that are views of an earlier frame."""

Decided = Mapping[str, tuple[str, str | None]]
"""Decision and deciding category by image."""


@dataclass(frozen=True)
class Film:
    """Fetcher and decoder in one: an image is one of `STILLS`, or up to four frames that are drawn by its name."""

    async def fetch(self, reference: ImageReferenceV1, memory: Reservation) -> FetchedImage:
        return FetchedImage(getattr(reference, "url", "").encode())

    async def decode(self, fetched: FetchedImage, spec: ImageSpec, memory: Reservation) -> DecodedImage:
        number, chance = int(fetched.data.rpartition(b"-")[2]), random.Random(fetched.data)
        if number < len(STILLS):
            return DecodedImage("0" * 64, 1, 1, 9, "image/png", 1, _painted([STILLS[number]]))
        count = chance.choice((1, 2, 3, 4))
        frames = _painted(chance.choices(STILLS, k=count))
        numbers = sorted(place // 2 if chance.random() < VIEWS else place for place in range(count))
        views = tuple(map(View, numbers))
        features = frozenset(chance.sample(FEATURES, chance.choice((0, 0, 1, 2))))
        return DecodedImage("0" * 64, 1, 1, 9, "image/png", count, frames, views, features)


def _painted(colours: Sequence[tuple[int, ...]]) -> tuple[NDArray[np.uint8], ...]:
    return tuple(np.full((1, 1, 3), colour, dtype=np.uint8) for colour in colours)


class SometimesAtALoss(PaintedEngine):
    """Has no scores for some frames."""

    async def judge(self, request: EngineRequest) -> EngineOutput:
        output = await super().judge(request)
        return EngineOutput(None, unjudged="answer_off_form") if not request.pixels[0, 0].any() else output


class Kept:
    """Keeps what shadows publish."""

    def __init__(self) -> None:
        self.records: list[OutgoingRecord] = []

    async def publish(self, records: Sequence[OutgoingRecord]) -> None:
        self.records += records


async def moderated(policy: Policy, shadows: Shadows | None = None) -> list[bytes]:
    """Return the verdicts that the live service publishes by a policy."""
    film = Film()
    moderator = Moderator(
        fetcher=film,
        decoder=film,
        engine_client=EngineClient(SometimesAtALoss(explains=False), timeout_s=60.0),
        policies=Policies(PolicySet({policy.name: policy}, policy, {})),
        topics=TopicSettings(),
        shadows=shadows,
    )
    return [await _verdict(moderator, number) for number in range(RECORDS)]


async def _verdict(moderator: Moderator, number: int) -> bytes:
    value = orjson.dumps({"image_id": str(number), "tenant": f"t{number % 3}", "image": {"url": f"film-{number}"}})
    record = SourceRecord("images.uploaded", 0, number, 0, None, value, ())
    (published,) = await moderator(Job(record, 1, time.perf_counter(), NotedResources(), RecordTrace.untraced()))
    return published.value or b""


async def beside(policy: Policy, trial: Policy) -> tuple[list[bytes], Decided]:
    """Return the verdicts of a live policy, and what another one decided in its shadow."""
    kept = Kept()
    trials = TrialPolicies([trial], live={policy.name})
    shadow = ShadowPolicies(trials, publisher=kept, topic="shadow", max_waiting=RECORDS, share=LoopShare(0.5))
    deciding = asyncio.create_task(shadow.run())
    verdicts = await moderated(policy, Shadows([shadow]))
    shadow.drain()
    await deciding
    return verdicts, {
        message["image_id"]: (message["policies"][0]["decision"], message["policies"][0]["deciding_category"])
        for message in (orjson.loads(record.value or b"") for record in kept.records)
    }


def backtested(policy: Policy, verdicts: Sequence[bytes], path: Path) -> tuple[Decided, Decided]:
    """Return what a policy decides about stored verdicts in DuckDB: by `modstream policy sql`, and by a backtest."""
    path.write_bytes(b"\n".join(verdicts))
    columns = f"image_id, {sql(decision(policy), 'duckdb')}, {sql(deciding_category(policy), 'duckdb')}"
    with opened_verdicts(VerdictLines(path)) as connection:
        stored = connection.view("verdicts")
        again = decided(stored, policy)
        backtest = again.with_categories(again.rows).project("image_id, after, category_after")
        return _by_image(stored.project(columns).fetchall()), _by_image(backtest.fetchall())


def _by_image(rows: Iterable[tuple[str, str, str | None]]) -> Decided:
    return {image_id: (outcome, category) for image_id, outcome, category in rows}


def decided_again(policy: Policy, verdicts: Sequence[bytes]) -> Decided:
    """Return what a policy decides about stored verdicts in Python."""
    read = [VerdictV1.model_validate_json(verdict) for verdict in verdicts]
    results = {each.image_id: decide_image(policy, JudgedImage.from_verdict(each)).result for each in read}
    return {image_id: (result.decision, result.deciding_category) for image_id, result in results.items()}


def decided_by(verdicts: Sequence[bytes]) -> Decided:
    read = [orjson.loads(verdict) for verdict in verdicts]
    return {verdict["image_id"]: (verdict["decision"], verdict["deciding_category"]) for verdict in read}


@pytest.mark.timeout(180)
def test_live_shadow_and_backtest_decide_alike(tmp_path: Path) -> None:
    # Every difference is logged: thousands of lines, which are kept instead of formatted.
    with structlog.testing.capture_logs():
        before, shadowed = asyncio.run(beside(OLD, NEW))
        live = decided_by(asyncio.run(moderated(NEW)))
    assert len(live) == RECORDS
    assert shadowed == live
    assert backtested(NEW, before, tmp_path / "verdicts.jsonl") == (live, live)
    assert decided_again(NEW, before) == live
    unchanged = decided_by(before).items() & live.items()
    assert len(unchanged) < 0.9 * RECORDS
