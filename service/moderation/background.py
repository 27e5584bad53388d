"""Images that are judged again after their verdicts, beside the live ones: what shadow engines and audits share.

Nothing here can delay, change or fail a verdict: images wait in a bounded queue, are asked about after all live ones,
and hold no work slot, turn or reservation of the live image.
"""

import asyncio
import hashlib
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, replace

from schemas.base import now_utc
from schemas.image_uploaded import ImageInlineV1
from schemas.verdict import VerdictV1
from service.core.instructions import ModelInstructions
from service.core.losses import EngineLosses
from service.inference.engine import EngineDescription
from service.moderation import outcomes
from service.moderation.engine_client import EngineClient
from service.moderation.engine_view import judged_views
from service.moderation.outcomes import Subject
from service.moderation.shadow import Judgement
from service.policy.calibration import EngineCalibration
from service.policy.judged import decide_image
from service.telemetry import names


@dataclass(frozen=True, slots=True)
class BackgroundLimits:
    """What may be held for images that are judged again."""

    max_in_flight: int
    """Images that are judged at the same time."""
    max_waiting: int
    """Images that wait besides."""
    max_bytes: int
    """Pixels and events of all of them."""


class BackgroundImages:
    """The images that are judged again: a bounded queue, and the tasks that work it off."""

    def __init__(self, limits: BackgroundLimits, judge: Callable[[Judgement], Awaitable[None]]) -> None:
        """`judge` handles one image; it counts what fails, and raises nothing."""
        self._limits = limits
        self._judge = judge
        self._queue: asyncio.Queue[Judgement] = asyncio.Queue()
        self._held: dict[int, Judgement] = {}
        """Waiting or in work, by a number of its own."""
        self._held_bytes = 0

    def take(self, judgement: Judgement) -> bool:
        """Take in an image; return False where there is no room for it. Returns at once."""
        taken = replace(judgement, subject=_apart(judgement.subject))
        limits, held_bytes = self._limits, _held_bytes(taken)
        if len(self._held) >= limits.max_in_flight + limits.max_waiting:
            return False
        if self._held_bytes + held_bytes > limits.max_bytes:
            return False
        self._held[id(taken)] = taken
        self._held_bytes += held_bytes
        self._queue.put_nowait(taken)
        return True

    def held(self) -> tuple[Judgement, ...]:
        """Return the images that wait or are in work, in the order in which they came."""
        return tuple(self._held.values())

    def start(self, group: asyncio.TaskGroup, name: str) -> None:
        """Let as many tasks as there may be images in work judge what comes, until they are cancelled."""
        for number in range(self._limits.max_in_flight):
            group.create_task(self._work(), name=f"{name}-{number}")

    async def _work(self) -> None:
        while True:
            judgement = await self._queue.get()
            await self._judge(judgement)
            # Not where the task is cancelled: `held` then names what was not judged.
            del self._held[id(judgement)]
            self._held_bytes -= _held_bytes(judgement)
            # Its pixels are not held until the next one comes.
            del judgement


async def judged_again(
    client: EngineClient,
    judgement: Judgement,
    instructions: ModelInstructions,
    *,
    description: EngineDescription,
    calibration: EngineCalibration | None,
) -> VerdictV1:
    """Return what the live policy decides on what an engine says of an image; raises the errors of the engine."""
    policy, began_s = judgement.policy, time.perf_counter()
    outputs = await client.judge(judgement.subject, instructions)
    decoded = judgement.subject.image
    views = judged_views(decoded, description, outputs, calibration)
    image = views.by_frame(decoded.frame_numbers)
    took_ms = (time.perf_counter() - began_s) * 1000
    return outcomes.verdict(
        judgement.subject,
        engine=description,
        outputs=outputs,
        judged=image,
        policy=policy,
        decided=decide_image(policy, image),
        views=views,
        calibration_file=calibration.file if calibration else None,
        explanations={},
        timings_ms={"engine": took_ms, names.TOTAL: took_ms},
        moderated_at=now_utc(),
    )


def is_chosen(identity: str, *, share: float, seed: str) -> bool:
    """Return whether what an identity stands for belongs to a share, by a hash of it that the seed keys."""
    digest = hashlib.blake2b(identity.encode(errors="surrogatepass"), digest_size=8, key=seed.encode()[:64]).digest()
    return int.from_bytes(digest) < share * 2**64


def place_of(judgement: Judgement) -> dict[str, object]:
    """Return what a log line names; lines with an offset are limited by `telemetry.log_limit_per_s`."""
    record = judgement.subject.record
    return {"topic": record.topic, "partition": record.partition, "offset": record.offset}


def _apart(subject: Subject) -> Subject:
    """Return a subject that asks for scores alone, and whose losses are not those of the live record.

    It holds no image file: pixels are all that is judged, and who pads a file could keep it out of a bounded room.
    """
    event, image = subject.event, subject.event.image
    if isinstance(image, ImageInlineV1):
        image = image.model_copy(update={"inline": ""})
    return replace(
        subject,
        record=subject.record._replace(value=None),
        event=event.model_copy(update={"tasks": ("moderation",), "image": image}),
        losses=EngineLosses(),
    )


def _held_bytes(judgement: Judgement) -> int:
    """Return what an image holds: its pixels, its event, and what came with its record."""
    record = judgement.subject.record
    sent = len(record.key or b"") + sum(len(name) + len(value or b"") for name, value in record.headers)
    pixels = sum(frame.nbytes for frame in judgement.subject.image.frames)
    return pixels + len(judgement.subject.event.model_dump_json()) + sent
