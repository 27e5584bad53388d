"""Shadows: policies and an engine on trial, which decide beside the live ones; audits are run as they are.

A shadow can neither delay, change nor fail a verdict. What makes it so:

- The live path calls `Shadows.offer` once, after the verdict exists. It waits for nothing, raises nothing and returns
  nothing. It appends to a bounded queue; where that is full, the image is left out and counted.
- All work is done by tasks of the shadows' own. Policies take a fixed share of the event loop's time, in slices of a
  millisecond. The engine has a bounded number of images in work, and a time limit for each.
- Records of shadows are published by a producer of their own, outside of every transaction. Publishing is best effort:
  what fails is counted and not repeated, and what is published again after a crash has the same id.
- Shadows hold copies or bounded bytes of their own. No work slot, turn or reservation of the live image is kept.
- A broken policy file, an engine that does not start and a topic that is missing leave the service running: the log
  says so, and /health.
"""

import asyncio
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Protocol

import structlog

from schemas.base import Decision
from schemas.verdict import VerdictV1
from service.core.pixels import ImageSpec
from service.core.records import OutgoingRecord
from service.moderation.outcomes import Subject
from service.policy.calibration import Calibration
from service.policy.judged import JudgedImage
from service.policy.policy import Policy
from service.telemetry import labels
from service.telemetry.instruments import SHADOW_DECISIONS, SHADOW_LEFT_OUT

log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class Judgement:
    """A verdict, and what it was decided from."""

    subject: Subject
    image: JudgedImage
    image_spec: ImageSpec
    """What the pixels were made for."""
    policy: Policy
    calibration: Calibration | None
    """The calibration file in force; the scores in `image` are calibrated by it."""
    verdict: VerdictV1


class Shadow(Protocol):
    """What is on trial: policies, or an engine."""

    def offer(self, judgement: Judgement) -> None:
        """Take a judgement in if there is room for it. Returns at once."""
        ...

    def warnings(self) -> list[str]:
        """Return what keeps it from work, for /health: without details, as that of the HTTP API needs no key."""
        ...


class Publisher(Protocol):
    """Publishes the records of shadows."""

    async def publish(self, records: Sequence[OutgoingRecord]) -> None:
        """Publish records, or count them as lost. Raises nothing."""
        ...


@contextmanager
def strays_as_errors() -> Iterator[None]:
    """Raise an error where something else was cancelled than this task, such as a request of an engine that stops.

    A task that let such a cancellation through would end, and all that it does for a shadow with it.
    """
    try:
        yield
    except asyncio.CancelledError as stray:
        task = asyncio.current_task()
        if task is None or task.cancelling():
            raise
        detail = "what a shadow waited for was cancelled"
        raise RuntimeError(detail) from stray


class Shadows:
    """All that looks at images after their verdicts: what is on trial, and audits. The live path calls nothing else."""

    def __init__(self, shadows: Sequence[Shadow] = ()) -> None:
        self._shadows = tuple(shadows)

    @property
    def is_empty(self) -> bool:
        """Whether nothing is on trial."""
        return not self._shadows

    def offer(self, judgement: Judgement) -> None:
        """Show a judgement to every shadow; raises nothing."""
        for shadow in self._shadows:
            try:
                shadow.offer(judgement)
            except Exception as error:  # noqa: BLE001 - a defect of a shadow must not reach the verdict
                count_left_out("offer", "failed")
                log.warning("shadow.offer_failed", error=error)

    def warnings(self) -> list[str]:
        """Return what keeps shadows from work."""
        return [warning for shadow in self._shadows for warning in shadow.warnings()]


def count_decision(shadow: str, *, live: Decision, decision: Decision) -> None:
    """Count a decision of a shadow beside the live one."""
    agrees = "yes" if decision == live else "no"
    attributes = {labels.SHADOW: shadow, labels.LIVE: live, labels.DECISION: decision, labels.AGREES: agrees}
    SHADOW_DECISIONS.add(1, attributes)


def count_left_out(part: labels.ShadowPart, reason: labels.ShadowReason, count: int = 1) -> None:
    """Count what a shadow did not decide about, or whose record was lost."""
    SHADOW_LEFT_OUT.add(count, {labels.PART: part, labels.REASON: reason})
