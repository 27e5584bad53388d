"""Where the whole service spends its processor time: CPU microseconds an event by stage, inline images of 10 KB.

The whole is what the service's main process takes for an event on Kafka; each stage is measured alone, on the same
event. What remains is the share of Kafka, window, transactions and event loop. Decoders are processes of their own,
and shown last.
"""

import asyncio
import time
from collections.abc import Awaitable, Callable, Iterator, Sequence
from contextlib import contextmanager

from benchmarks.contest import Contest, running_contest
from benchmarks.runner import Comparison, Contender, TimedRun
from benchmarks.service import EVENTS, upload
from schemas.base import now_utc
from schemas.image_uploaded import ImageInlineV1
from service.core.records import SourceRecord
from service.events.codec import decode_upload, encode_verdict
from service.inference.rehearsal_engine import IMAGE_SPEC, NOTHING_JUDGED, RehearsalEngine
from service.media.decode_pool import ImageDecoder
from service.media.fetch.inline import decode_inline
from service.media.image import DecodeLimits, decode_image
from service.media.types import DecodedImage, FetchedImage
from service.moderation import outcomes
from service.moderation.outcomes import Subject
from service.policy.judged import JudgedImage, decide_image
from service.policy.loader import load_policies
from service.settings.delivery import TopicSettings
from service.settings.engine import RehearsalSettings
from service.settings.media import DecodeSettings, FetchSettings
from service.settings.settings import PolicySettings

# Enough for a steady mean: each takes well under a millisecond.
TIMES = 500
ROUNDS = 3
SOURCE = SourceRecord("images.uploaded", 0, 0, 0, b"key", upload(0), ())


@contextmanager
def comparisons() -> Iterator[Sequence[Comparison]]:
    """Measure the whole, and stage by stage."""
    with running_contest() as contest, asyncio.Runner() as runner:
        stages = Stages()
        runner.run(stages.open())
        try:
            yield (_comparison(contest, stages, runner),)
        finally:
            runner.run(stages.close())


def _comparison(contest: Contest, stages: "Stages", runner: asyncio.Runner) -> Comparison:
    measured: dict[str, float] = {}

    def whole() -> TimedRun:
        result = contest.run("benchmarks.peers.modstream_service", "0", records=EVENTS, value=upload)
        measured["whole"] = result.cpu_s / EVENTS * 1e6
        return _microseconds(measured["whole"])

    def alone(name: str, stage: Callable[[], Awaitable[None]]) -> Contender:
        def run() -> TimedRun:
            measured[name] = runner.run(_cpu_us(stage))
            return _microseconds(measured[name])

        return Contender(name, run)

    named = {
        "read and check the event": stages.read,
        "image out of its base64": stages.unpack,
        "to the decoder and back": stages.hand_to_decoder,
        "decide": stages.decide,
        "write the verdict": stages.write,
    }

    def rest() -> TimedRun:
        return _microseconds(measured["whole"] - sum(measured[name] for name in named))

    return Comparison(
        "CPU an event by stage",
        (
            Contender("whole service, main process", whole),
            *(alone(name, stage) for name, stage in named.items()),
            Contender("the rest: Kafka, window, transactions", rest),
            alone("beside it, a decoder process", stages.decode_here),
        ),
        unit="µs",
        rounds=ROUNDS,
        warm_ups=0,
    )


def _microseconds(value: float) -> TimedRun:
    return TimedRun(value, seconds=1.0)


async def _cpu_us(stage: Callable[[], Awaitable[None]]) -> float:
    start_s = time.process_time()
    for _ in range(TIMES):
        await stage()
    return (time.process_time() - start_s) / TIMES * 1e6


class Stages:
    """The service's own stages, each on the same event."""

    def __init__(self) -> None:
        self._settings = DecodeSettings()
        self._limits = DecodeLimits(
            self._settings.max_pixels, self._settings.max_frames, IMAGE_SPEC.max_pixels, IMAGE_SPEC.multiple_of
        )
        self._event = decode_upload(SOURCE).event
        self._file = self._unpacked()
        self._policy = load_policies(PolicySettings()).default
        self._engine = RehearsalEngine(RehearsalSettings()).describe(self._policy.instructions)
        self._decoder = ImageDecoder(self._settings)
        self._image: DecodedImage | None = None

    async def open(self) -> None:
        """Start the decoders."""
        await self._decoder.start()
        self._image = await self._decoder.decode(self._file, IMAGE_SPEC)

    async def close(self) -> None:
        """End them."""
        await self._decoder.close()

    async def read(self) -> None:
        """Bytes to an event."""
        decode_upload(SOURCE)

    async def unpack(self) -> None:
        """The event to an image file."""
        self._unpacked()

    async def hand_to_decoder(self) -> None:
        """The file to pixels, in another process."""
        await self._decoder.decode(self._file, IMAGE_SPEC)

    async def decode_here(self) -> None:
        """What that other process does."""
        decode_image(bytes(self._file.data), self._limits)

    async def decide(self) -> None:
        """The policy's say."""
        decide_image(self._policy, JudgedImage(()))

    async def write(self) -> None:
        """A verdict to bytes."""
        if self._image is None:
            raise RuntimeError("the stages are not open")
        verdict = outcomes.verdict(
            Subject(SOURCE, 1, self._event, self._image),
            engine=self._engine,
            outputs=[NOTHING_JUDGED],
            judged=JudgedImage(()),
            policy=self._policy,
            decided=decide_image(self._policy, JudgedImage(())),
            explanations={},
            timings_ms={"total": 1.0},
            moderated_at=now_utc(),
        )
        encode_verdict(verdict, topic=TopicSettings().verdicts, source=SOURCE)

    def _unpacked(self) -> FetchedImage:
        if not isinstance(self._event.image, ImageInlineV1):
            raise TypeError("the benchmark's images are inline")
        return FetchedImage(decode_inline(self._event.image.inline, limit_bytes=FetchSettings().max_bytes))
