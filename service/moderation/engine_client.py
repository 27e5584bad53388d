"""Sends one image to the engine: all frames at the same time, then a request for explanations."""

import asyncio
import math
import time
from collections.abc import Mapping, Sequence
from dataclasses import replace

import numpy as np
import structlog

from service.core.availability import EngineAvailability, RequestClock
from service.core.errors import RejectedError, TransientError
from service.core.instructions import ModelInstructions
from service.inference.engine import Engine, EngineDescription, EngineOutput, EngineRequest, FirstPassOutput
from service.inference.errors import EngineTimeoutError
from service.inference.fail_together import fail_together
from service.moderation.outcomes import Subject
from service.policy.decide import DecisionResult
from service.telemetry import labels
from service.telemetry.instruments import FIRST_PASS_IMAGES

log = structlog.get_logger(__name__)


_GREY = np.full((64, 64, 3), 128, np.uint8)
"""No record's image, so that its judgement says how the engine is and nothing else."""

_GRAVEST_FIRST: Sequence[labels.PassOutcome] = ("failed", "passed_on", "skipped", "cleared")


class EngineClient:
    """Sends images to the engine with a policy's instructions, within `engine.timeout_s`."""

    def __init__(
        self,
        engine: Engine,
        *,
        timeout_s: float,
        availability: EngineAvailability | None = None,
        goes_last: bool = False,
        asks_all: bool = False,
    ) -> None:
        """The time of a judgement stands still while `availability` says that no server can answer.

        With `goes_last` requests let all others go first where they wait in the engine. With `asks_all` every category
        is asked about by a question of its own.
        """
        self._engine = engine
        self._goes_last = goes_last
        self._asks_all = asks_all
        self._timeout_s = timeout_s
        self._availability = availability or EngineAvailability()

    def describe(self, instructions: ModelInstructions) -> EngineDescription:
        """Return the engine's description for these instructions: categories, model, prompt hash."""
        return self._engine.describe(instructions)

    async def judge(self, subject: Subject, instructions: ModelInstructions) -> list[EngineOutput]:
        """Judge all frames at the same time; return the results in the order of the frames."""
        try:
            async with asyncio.timeout(self._timeout_s) as timeout:
                with self._availability.clock(timeout, self._timeout_s) as clock:
                    outputs = await self._judge_all(self._requests(subject, instructions, clock))
        except TimeoutError:
            raise EngineTimeoutError(limit_s=self._timeout_s) from None
        _count_first_pass(outputs)
        return outputs

    async def probe(self, instructions: ModelInstructions) -> None:
        """Have the engine judge a grey image; raises the engine's error, or `EngineTimeoutError`."""
        now_s = time.monotonic()
        request = EngineRequest(
            request_id=f"probe/{now_s}",
            pixels=_GREY,
            instructions=instructions,
            image_key="probe",
            may_clear=False,
            deadline_s=now_s + self._timeout_s,
        )
        try:
            async with asyncio.timeout(self._timeout_s):
                await self._engine.judge(request)
        except TimeoutError:
            raise EngineTimeoutError(limit_s=self._timeout_s) from None

    async def explain(
        self, subject: Subject, instructions: ModelInstructions, result: DecisionResult, outputs: Sequence[EngineOutput]
    ) -> Mapping[str, str]:
        """Return words for what a policy found, asked of the frame that shows the deciding category most.

        Nothing where the engine has none in time, or fails: raises fatal errors alone. The time goes on while nothing
        can answer: a decision must not wait for its words.
        """
        deciding = result.deciding_category or ""
        worst = max(range(len(outputs)), key=lambda frame: (outputs[frame].scores or {}).get(deciding, 0.0))
        found = [reason.category for reason in result.reasons if reason.category and reason.decision != "allow"]
        # Due at once, so that it goes first: only its words are missing, and the model's caches still hold the image.
        request = replace(self._requests(subject, instructions, RequestClock())[worst], deadline_s=time.monotonic())
        try:
            async with asyncio.timeout(self._timeout_s):
                return await self._engine.explain(request, found)
        except TimeoutError:
            failure: RejectedError | TransientError = EngineTimeoutError(limit_s=self._timeout_s)
        except (RejectedError, TransientError) as error:
            failure = error
        # The decision stands without words for it; another attempt would cost a judgement and bring no better one.
        log.warning("explanation.failed", error=failure)
        return {}

    async def _judge_all(self, requests: Sequence[EngineRequest]) -> list[EngineOutput]:
        """Judge all views of an image by the same pass, so that their scores can be compared and calibrated."""
        outputs = await self._judge_each(requests)
        cleared = [place for place, output in enumerate(outputs) if output.is_cleared]
        if not cleared or len(cleared) == len(outputs):
            return outputs
        again = await self._judge_each([replace(requests[place], may_clear=False) for place in cleared])
        for place, output in zip(cleared, again, strict=True):
            outputs[place] = replace(output, first_pass=_not_cleared(outputs[place].first_pass))
        return outputs

    async def _judge_each(self, requests: Sequence[EngineRequest]) -> list[EngineOutput]:
        async with fail_together() as group:
            tasks = [
                group.create_task(self._engine.judge(request), name=f"judge {request.request_id}")
                for request in requests
            ]
        return [task.result() for task in tasks]

    def _requests(self, subject: Subject, instructions: ModelInstructions, clock: RequestClock) -> list[EngineRequest]:
        event, record = subject.event, subject.record
        return [
            EngineRequest(
                request_id=f"{record.topic}/{record.partition}/{record.offset}/{frame}",
                pixels=pixels,
                instructions=instructions,
                image_key=f"{subject.image.sha256}/{frame}",
                deadline_s=math.inf if self._goes_last else time.monotonic() + self._timeout_s,
                wants_scores="moderation" in event.tasks,
                wants_tags="tags" in event.tasks,
                # What viewers may show otherwise deserves the closest look.
                may_clear=not subject.image.ambiguous,
                asks_all=self._asks_all,
                caption=event.caption,
                losses=subject.losses,
                clock=clock,
            )
            for frame, pixels in enumerate(subject.image.frames)
        ]


def _not_cleared(found: FirstPassOutput | None) -> FirstPassOutput | None:
    """Return what a first pass found in a view that was judged in full because of another one."""
    return None if found is None else replace(found, outcome="passed_on")


def _count_first_pass(outputs: Sequence[EngineOutput]) -> None:
    """Count what became of an image's first pass; of several views the one that kept the image from being cleared."""
    outcomes = {output.first_pass.outcome for output in outputs if output.first_pass is not None}
    for outcome in _GRAVEST_FIRST:
        if outcome in outcomes:
            FIRST_PASS_IMAGES.add(1, {labels.OUTCOME: outcome})
            return
