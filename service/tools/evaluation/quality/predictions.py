"""What an engine says of labelled images: judges each once, and keeps its verdict."""

import asyncio
import hashlib
import json
import time
import uuid
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path

from schemas.base import Task
from schemas.tags import TagsV1
from schemas.verdict import VerdictV1
from service.client.offline import Tried, judge_one
from service.client.upload_events import Upload, UploadOptions
from service.delivery.handler import Handler
from service.inference.engine import EngineDescription
from service.policy.policy import Policy
from service.settings.delivery import TopicSettings
from service.tools.evaluation.datasets.dataset import Example
from service.tools.evaluation.datasets.pictures import NoPicture, Picture

_KEY_CHARACTERS = 16


@dataclass(frozen=True, slots=True)
class PredictionKey:
    """What a verdict depends on; with an equal key a stored verdict is taken instead of asking again."""

    sha256: str
    """Of the image file."""
    engine: str
    """Of everything that identifies the engine and its way to scores."""
    prompt: str | None
    caption: str | None
    """SHA-256 of the text beside the image."""
    tasks: tuple[Task, ...]
    calibration: str | None = None
    """Name, version and hash of the calibration file that scores went through."""


@dataclass(frozen=True, slots=True)
class Timing:
    """When a run finished an image."""

    run: str
    """Name of the run, which no other has."""
    elapsed_s: float
    """Since the run began; the engine had been loaded."""


@dataclass(frozen=True, slots=True)
class Prediction:
    """An example and what the engine says of it."""

    example: Example
    path: Path | None = None
    """The image file; None where it could not be read."""
    key: PredictionKey | None = None
    verdict: VerdictV1 | None = None
    tags: TagsV1 | None = None
    timing: Timing | None = None
    failure: str | None = None
    """Reason code of why there is no verdict."""
    detail: str | None = None


def engine_key(engine: EngineDescription, policy: Policy) -> str:
    """Return a name for an engine that changes whenever its scores for a policy may."""
    identity = {name: value for name, value in asdict(engine).items() if name not in {"concurrency", "covers", "hints"}}
    if engine.prompt_hash is not None:
        # It decides which images get follow-up questions, whose answers replace scores.
        identity["follow_up_threshold"] = policy.instructions.follow_up_threshold
    if policy.instructions.first_pass is not None:
        identity["first_pass"] = asdict(policy.instructions.first_pass)
    return hashlib.sha256(json.dumps(identity, sort_keys=True).encode()).hexdigest()[:_KEY_CHARACTERS]


def unreadable(missing: NoPicture) -> Prediction:
    """Return the prediction of an example whose image cannot be judged."""
    return Prediction(missing.example, failure=missing.reason, detail=missing.detail)


@dataclass(frozen=True)
class Judge:
    """Asks an engine about pictures, a bounded number of them at a time."""

    handler: Handler
    topics: TopicSettings
    policy_of: Callable[[Example], Policy]
    engine_of: Callable[[Policy], EngineDescription]
    tasks: tuple[Task, ...]
    in_flight: int
    calibration: str | None = None
    """Name, version and hash of the settings' calibration file."""
    run: str = field(default_factory=lambda: uuid.uuid4().hex)

    def key_of(self, picture: Picture) -> PredictionKey:
        """Return what the verdict of a picture depends on."""
        policy = self.policy_of(picture.example)
        engine = self.engine_of(policy)
        caption = picture.example.caption
        return PredictionKey(
            sha256=picture.sha256,
            engine=engine_key(engine, policy),
            prompt=engine.prompt_hash,
            caption=None if caption is None else hashlib.sha256(caption.encode(errors="surrogatepass")).hexdigest(),
            tasks=self.tasks,
            calibration=self.calibration,
        )

    async def judge(self, pictures: Sequence[Picture], on_judged: Callable[[Prediction], None]) -> None:
        """Judge every picture, and report each when it is done; raises `FatalError`."""
        started_s = time.perf_counter()
        waiting = iter(enumerate(pictures))

        async def work() -> None:
            for number, picture in waiting:
                tried = await self._judge_one(number, picture)
                on_judged(self._prediction(picture, tried, time.perf_counter() - started_s))

        try:
            async with asyncio.TaskGroup() as group:
                for number in range(min(self.in_flight, len(pictures))):
                    group.create_task(work(), name=f"judge {number}")
        except ExceptionGroup as failures:
            # An error that ends the run ends it for every image, and the first names the cause.
            raise failures.exceptions[0] from None

    async def _judge_one(self, number: int, picture: Picture) -> Tried:
        example = picture.example
        options = UploadOptions(
            self.tasks, tenant=example.tenant, policy=self.policy_of(example).name, caption=example.caption
        )
        upload = Upload(example.image_id, picture.path)
        return await judge_one(self.handler, number, upload, options, self.topics)

    def _prediction(self, picture: Picture, tried: Tried, elapsed_s: float) -> Prediction:
        failed = tried.dead_letter
        return Prediction(
            picture.example,
            path=picture.path,
            key=self.key_of(picture),
            verdict=tried.verdict,
            tags=tried.tags,
            timing=Timing(self.run, elapsed_s),
            failure=failed.reason if failed else None,
            detail=failed.message if failed else None,
        )


def seconds_an_image(predictions: Sequence[Prediction]) -> float | None:
    """Return the time of all runs, without loading the model, by image; None if nothing was judged.

    Of a run that was interrupted, the time until its last image counts.
    """
    runs: dict[str, list[float]] = {}
    for each in _judged(predictions):
        runs.setdefault(each.run, []).append(each.elapsed_s)
    images = sum(map(len, runs.values()))
    return sum(map(max, runs.values())) / images if images else None


def _judged(predictions: Sequence[Prediction]) -> Iterator[Timing]:
    return (each.timing for each in predictions if each.timing is not None and each.verdict is not None)
