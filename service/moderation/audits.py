"""Audits: a share of the allowed images is judged again with every question, so that what is missed can be estimated.

An audit asks the live engine about each category by a question of its own, on the pixels that were judged live, without
a first pass. It comes after the verdict and cannot touch it: `service.moderation.background` says what makes it so.

Which images are audited must not depend on anything that an uploader could use. An uploader chooses image ids, keys and
times, and knows this code. So the choice is a hash of the record's position and its image id under a random key, which
each process makes for itself and never shows. A record that is delivered again to the same process is chosen again or
left alone again.

An audit waits for room in the engine, and images that find none in time are left out. That happens while the service is
busy, and images of busy hours may differ from others. So each image that was chosen gets a record, also where it was
left out, with the reason: an estimate can then count what it does not know.
"""

import asyncio
import secrets
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import get_args

import structlog

from schemas.audit import AuditV1
from schemas.base import Decision
from schemas.shadow import LiveDecisionV1
from schemas.verdict import VerdictV1
from service.core.instructions import ModelInstructions
from service.core.records import OutgoingRecord, SourceRecord
from service.events.codec import encode_audit
from service.inference.engine import Engine
from service.inference.errors import EngineTimeoutError
from service.moderation.background import BackgroundImages, BackgroundLimits, is_chosen, judged_again, place_of
from service.moderation.calibrations import calibration_for
from service.moderation.engine_client import EngineClient
from service.moderation.recent_instructions import RecentInstructions
from service.moderation.shadow import Judgement, Publisher, strays_as_errors
from service.telemetry import labels
from service.telemetry.instruments import AUDITS, AUDITS_LEFT_OUT

log = structlog.get_logger(__name__)

MAX_IN_FLIGHT = 2
"""Images that are audited at the same time. Each takes no more places in the engine than a live image."""
MAX_WAITING = 64
"""Images that wait for their audit."""

_MAX_LEFT_OUT_BYTES = 4 * 1024 * 1024
"""Of images that were left out and have no record yet."""
_REPORT_BYTES = 4_096
"""What one takes besides the texts of unbounded length, which an uploader chooses."""

_ALL_ASKED = "asked=all"
"""What the way from answers to scores is called by besides, in verdicts of audits."""

_ROOM_EVERY_S = 0.05
"""How often it is looked whether the engine has room."""


class NoRoomError(Exception):
    """The engine had no room that no live image wanted, for as long as an audit may wait."""


@dataclass(frozen=True, slots=True)
class AuditOptions:
    """Which images are audited, and within which bounds."""

    share: float
    """Probability in (0, 1] with which an allowed image is chosen."""
    max_bytes: int
    """Pixels and events of the images that wait."""
    timeout_s: float
    """Of an image: the longest wait for room in the engine, and the longest for the answers."""
    key: str
    """Secret that decides the choice, of 64 bytes at most."""

    @staticmethod
    def new_key() -> str:
        """Return a random key: who does not know it learns nothing about the choice."""
        return secrets.token_hex(32)


class Audits:
    """Judges the chosen images again, and publishes what it finds."""

    def __init__(
        self,
        engine: Engine,
        options: AuditOptions,
        *,
        publisher: Publisher | None,
        topic: str,
        has_room: Callable[[], bool] = lambda: True,
    ) -> None:
        """`has_room` says whether the engine can take an image without delaying a live one.

        Without a publisher audits are only counted and logged.
        """
        self._options = options
        self._publisher = publisher
        self._topic = topic
        self._has_room = has_room
        self._images = BackgroundImages(BackgroundLimits(MAX_IN_FLIGHT, MAX_WAITING, options.max_bytes), self._audit)
        self._client = EngineClient(engine, timeout_s=options.timeout_s, goes_last=True, asks_all=True)
        self._prepared = RecentInstructions(engine)
        self._left_out: asyncio.Queue[_Report] = asyncio.Queue()
        self._left_out_bytes = 0
        self._draining = asyncio.Event()

    def warnings(self) -> list[str]:
        """Return nothing: what keeps audits from work is the engine, whose own state says so."""
        return []

    def offer(self, judgement: Judgement) -> None:
        """Take in an allowed image that is chosen; raises nothing and returns at once."""
        verdict, options = judgement.verdict, self._options
        if verdict.status != "moderated" or verdict.decision != "allow":
            return
        if not is_chosen(_identity(judgement), share=options.share, seed=options.key):
            return
        if not self._images.take(judgement):
            self._leave_out(judgement, "queue_full")

    def drain(self) -> None:
        """Let `run` return; images that wait are left out."""
        self._draining.set()

    async def run(self) -> None:
        """Audit what is offered, until `drain`."""
        async with asyncio.TaskGroup() as group:
            audits = group.create_task(self._work(), name="audits")
            left_out = group.create_task(self._publish_left_out(), name="audits-left-out")
            await self._draining.wait()
            audits.cancel()
            left_out.cancel()
        for judgement in self._images.held():
            self._leave_out(judgement, "stopped")
        self._prepared.clear()
        await self._publish(self._take_left_out())

    async def _work(self) -> None:
        async with asyncio.TaskGroup() as group:
            self._images.start(group, "audit")

    async def _audit(self, judgement: Judgement) -> None:
        """Audit one image; whatever fails is counted."""
        try:
            with strays_as_errors():
                await self._room()
                async with asyncio.timeout(self._options.timeout_s):
                    verdict = await self._verdict(judgement)
                await self._report(judgement, verdict)
        except NoRoomError:
            self._leave_out(judgement, "no_room")
        except (TimeoutError, EngineTimeoutError):
            self._leave_out(judgement, "timed_out")
        except Exception as error:  # noqa: BLE001 - an image that cannot be audited concerns nothing else
            self._leave_out(judgement, "failed")
            log.warning("audit.failed", **place_of(judgement), error=error)

    async def _room(self) -> None:
        """Wait until the engine has room that no live image wants; raise `NoRoomError` after the time limit."""
        try:
            async with asyncio.timeout(self._options.timeout_s):
                while not self._has_room():  # noqa: ASYNC110 - engines report their load when asked, and no change of it
                    await asyncio.sleep(_ROOM_EVERY_S)
        except TimeoutError:
            raise NoRoomError from None

    async def _verdict(self, judgement: Judgement) -> VerdictV1:
        instructions = _thorough(judgement.policy.instructions)
        await self._prepared.prepare(instructions)
        description = self._client.describe(instructions)
        calibration = calibration_for(judgement.calibration, description, judgement.policy.name)
        if description.calibration is not None:
            description = replace(description, calibration=f"{description.calibration} {_ALL_ASKED}")
        return await judged_again(
            self._client, judgement, instructions, description=description, calibration=calibration
        )

    async def _report(self, judgement: Judgement, verdict: VerdictV1) -> None:
        for decision in get_args(Decision):  # a counter's step from nothing to 1 is none to Prometheus
            AUDITS.add(0, {labels.POLICY: judgement.policy.name, labels.DECISION: decision})
        AUDITS.add(1, {labels.POLICY: judgement.policy.name, labels.DECISION: verdict.decision})
        if verdict.decision != "allow":
            about = {"decision": verdict.decision, "category": verdict.deciding_category}
            log.info("audit.missed", **place_of(judgement), policy=judgement.policy.name, **about)
        await self._publish([_Report.of(judgement, self._options.share, verdict=verdict)])

    def _leave_out(self, judgement: Judgement, reason: labels.AuditReason) -> None:
        """Count an image that is not audited, and have it reported."""
        AUDITS_LEFT_OUT.add(1, {labels.REASON: reason})
        if self._publisher is None:
            return
        report = _Report.of(judgement, self._options.share, left_out=reason)
        if self._left_out_bytes + report.held_bytes > _MAX_LEFT_OUT_BYTES:
            count_lost_audits(1)
            return
        self._left_out_bytes += report.held_bytes
        self._left_out.put_nowait(report)

    async def _publish_left_out(self) -> None:
        while True:
            reports = [await self._left_out.get(), *self._take_left_out()]
            try:
                await self._publish(reports)
            except asyncio.CancelledError:  # whether they are published is unknown, and the end publishes what is here
                for report in reports:
                    self._left_out.put_nowait(report)
                raise

    def _take_left_out(self) -> "list[_Report]":
        self._left_out_bytes = 0
        return [self._left_out.get_nowait() for _ in range(self._left_out.qsize())]

    async def _publish(self, reports: "Sequence[_Report]") -> None:
        if reports and self._publisher is not None:
            await self._publisher.publish([report.record(self._topic) for report in reports])


def count_lost_audits(records: int) -> None:
    """Count records of audits that were lost."""
    AUDITS_LEFT_OUT.add(records, {labels.REASON: "not_published"})


@dataclass(frozen=True, slots=True)
class _Report:
    """What a record says of a chosen image. It holds neither pixels nor event."""

    audit: AuditV1
    source: SourceRecord

    @classmethod
    def of(
        cls, judgement: Judgement, share: float, *, verdict: VerdictV1 | None = None, left_out: str | None = None
    ) -> "_Report":
        """Return what there is to say of an image that was chosen."""
        live = judgement.verdict
        audit = AuditV1(
            image_id=live.image_id,
            tenant=live.tenant,
            live=LiveDecisionV1.of(live),
            share=share,
            left_out=left_out,
            verdict=verdict,
            source=live.source,
            attempt=live.attempt,
            moderated_at=live.moderated_at,
        )
        return cls(audit, judgement.subject.record._replace(value=None, headers=()))

    @property
    def held_bytes(self) -> int:
        """What it takes in memory."""
        event = self.audit.source
        texts = len(self.source.key or b"") + len(event.event_id or "") + len(event.event_source or "")
        return _REPORT_BYTES + texts

    def record(self, topic: str) -> OutgoingRecord:
        """Return it as a record."""
        return encode_audit(self.audit, topic=topic, source=self.source)


def _identity(judgement: Judgement) -> str:
    """Return what the choice is made by: a record's position, which no two records share, and the image's id."""
    record = judgement.subject.record
    return f"{record.topic}/{record.partition}/{record.offset}/{judgement.verdict.image_id}"


def _thorough(instructions: ModelInstructions) -> ModelInstructions:
    """Return the instructions of an audit: those of the policy, without what would spare the engine work."""
    return replace(instructions, first_pass=None)
