"""Two services judge the same uploads on Apache Kafka by two policies, each a real process with the embedded engine."""

import asyncio
import base64
import io
import signal
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

import orjson
import yaml
from PIL import Image

from schemas.shadow import ShadowDecisionV1
from schemas.verdict import VerdictV1
from service.app.run import moderation_alone
from service.cli.try_files import PHOTOGRAPHS
from service.client.offline import judge_all
from service.client.upload_events import Upload, UploadOptions
from service.policy.policy import Policy
from service.settings.settings import Settings
from testing.house import House
from testing.kafka import KafkaBroker
from testing.service import running_service
from testing.topics import CommittedReader, Headers, committed_reader, create_topics, publish

Key = tuple[str, str]
"""Tenant and image id: two tenants may give an image the same id."""

Message = TypeVar("Message", VerdictV1, ShadowDecisionV1)

FILMS = {"farm-film": ("farm", "coffee"), "rocket-film": ("rocket", "coffee")}
"""Photographs that follow each other in one animated image: the second one shows nothing."""

UNJUDGED = [("shop", "coffee-unjudged"), ("forum", "cat-unjudged")]
"""Judged by the rehearsal engine, which has no scores."""

SENT_TWICE = ("wine", "cat", "sheep", "rifle-drawing", "farm-film", "rocket-film")


@dataclass(frozen=True, slots=True)
class Decided:
    """What both services published about the same uploads."""

    before: Mapping[Key, VerdictV1]
    """By the policy of the first service."""
    after: Mapping[Key, VerdictV1]
    """By the policy of the second one."""
    shadow: Mapping[Key, ShadowDecisionV1]
    """By the policy of the second one, beside the first service."""


@dataclass
class TwoServices:
    """Topics and settings of both services, which have the uploads in common."""

    kafka: KafkaBroker
    folder: Path
    before: Policy
    after: Policy
    first: House = field(init=False)
    second: House = field(init=False)

    def __post_init__(self) -> None:
        """Name the topics."""
        self.first, self.second = House(self.kafka), House(self.kafka)
        self.shadow_topic = f"{self.first.verdicts}.shadow"

    async def decide(self, images: Mapping[str, Path]) -> Decided:
        """Let both services judge all images, and a few without a model; return all that they published."""
        await self.first.build()
        await create_topics(self.kafka.bootstrap_servers, [*self.second.outcomes, self.shadow_topic], partitions=2)
        unjudged = {key: images[key[1].removesuffix("-unjudged")] for key in UNJUDGED}
        await self._judge(unjudged, engine="rehearsal", expected=len(unjudged))
        judged = dict(uploads(images))
        return await self._judge(judged, engine="onnx", expected=len(unjudged) + len(judged))

    def settings(self, *, engine: str = "onnx") -> list[dict[str, Any]]:
        """Return the settings of the first service and of the second one."""
        first, second = dict(self.first.settings), dict(self.second.settings)
        first["topics"] = {**self.first.settings["topics"], "shadow": self.shadow_topic}  # type: ignore[dict-item]  # it holds a mapping
        second["topics"] = {**self.second.settings["topics"], "uploads": self.first.uploads}  # type: ignore[dict-item]  # as above
        first |= {"policy": self._policy("before", self.before), "engine": {"kind": engine}}
        second |= {"policy": self._policy("after", self.after), "engine": {"kind": engine}}
        return [first | {"shadow": {"policies": str(self.policy_file("after"))}}, second]

    def policy_file(self, name: str) -> Path:
        """Return the file of the policy named `before` or `after`."""
        return self.folder / "policies" / f"{name}.yaml"

    def _policy(self, name: str, policy: Policy) -> dict[str, str]:
        path = self.policy_file(name)
        path.parent.mkdir(exist_ok=True)
        path.write_text(yaml.safe_dump(policy.model_dump(mode="json", exclude_defaults=True)))
        return {"path": str(path), "default": policy.name}

    async def _judge(self, files: Mapping[Key, Path], *, engine: str, expected: int) -> Decided:
        """Publish uploads, run both services until so many are decided in all, and stop them in good order."""
        records: list[tuple[bytes, bytes, Headers]] = [
            (key[1].encode(), event(key, path), ()) for key, path in files.items()
        ]
        await publish(self.kafka.bootstrap_servers, self.first.uploads, records)
        topics = [*self.first.outcomes, *self.second.outcomes, self.shadow_topic]
        async with committed_reader(self.kafka.bootstrap_servers, topics) as reader:
            with ExitStack() as stack:
                running = [
                    stack.enter_context(running_service(self.folder, settings))
                    for settings in self.settings(engine=engine)
                ]
                await reader.until(3 * expected, timeout_s=120.0)
                for service in running:
                    service.signal(signal.SIGTERM)
                for service in running:
                    assert await asyncio.to_thread(service.wait) == 0, service.log()
            await reader.linger(quiet_s=1.0)
        return self._decided(reader, expected)

    def _decided(self, reader: CommittedReader, expected: int) -> Decided:
        """Return what was read; nothing is missing, comes twice or ended elsewhere."""
        before, after = (
            [VerdictV1.model_validate_json(record.value) for record in reader.of(house.verdicts)]
            for house in (self.first, self.second)
        )
        shadow = [ShadowDecisionV1.model_validate_json(record.value) for record in reader.of(self.shadow_topic)]
        decided = Decided(by_key(before), by_key(after), by_key(shadow))
        for found in (decided.before, decided.after, decided.shadow):
            assert len(found) == expected
        assert len(reader.records) == 3 * expected
        return decided


def by_key(messages: Sequence[Message]) -> dict[Key, Message]:
    return {(message.tenant, message.image_id): message for message in messages}


def uploads(images: Mapping[str, Path]) -> Iterator[tuple[Key, Path]]:
    """Yield every image for one tenant, some for a second one, and one that nothing changes for a third one."""
    for name, path in images.items():
        yield ("shop", name), path
    for name in SENT_TWICE:
        yield ("forum", name), images[name]
    yield ("quiet", "coffee"), images["coffee"]


def event(key: Key, path: Path) -> bytes:
    """Return the upload event of an image, which travels inside it."""
    tenant, image_id = key
    image = {"inline": base64.b64encode(path.read_bytes()).decode(), "media_type": f"image/{path.suffix[1:]}"}
    return orjson.dumps({"image_id": image_id, "tenant": tenant, "image": image})


def image_files(folder: Path) -> dict[str, Path]:
    """Return the package's photographs and films of them, by name."""
    photographs = {path.stem: path for path in sorted(PHOTOGRAPHS.glob("*.jpg"))}
    return photographs | {name: film(folder / f"{name}.webp", *frames) for name, frames in FILMS.items()}


def film(path: Path, first: str, second: str) -> Path:
    """Write an animated image whose first frame has exactly the pixels of a photograph."""
    with Image.open(PHOTOGRAPHS / f"{first}.jpg") as start, Image.open(PHOTOGRAPHS / f"{second}.jpg") as end:
        file = io.BytesIO()
        start.save(
            file, "WEBP", save_all=True, append_images=[end.resize(start.size)], duration=500, lossless=True, method=0
        )
    path.write_bytes(file.getvalue())
    return path


async def scores_of(images: Mapping[str, Path]) -> Mapping[str, Mapping[str, float]]:
    """Return the embedded engine's scores of images, of the frame with the highest."""
    settings = Settings()
    sent = [Upload(name, path) for name, path in images.items()]
    async with moderation_alone(settings) as moderator:
        run = await judge_all(moderator, sent, UploadOptions(), settings.topics, in_flight=4)
    assert run.is_complete
    return {tried.image_id: tried.verdict.scores for tried in run.images if tried.verdict is not None}
