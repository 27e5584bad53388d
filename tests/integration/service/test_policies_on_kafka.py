"""Policies are replaced while the service judges: a real process on Apache Kafka, real links, the rehearsal engine."""

import io
import signal
from collections import Counter
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from unittest.mock import ANY

import aiohttp
import orjson
import pytest
from aiokafka import AIOKafkaProducer
from PIL import Image

from schemas.verdict import VerdictV1
from service.policy.judged import JudgedImage, decide_image
from service.policy.policy import Policy
from service.policy.policy_file import check_policy
from testing.house import House, inline
from testing.kafka import KafkaBroker, free_port
from testing.metrics import Scrape, parsed
from testing.service import ServiceProcess, running_service
from testing.topics import committed_reader
from testing.waiting import wait_until

pytestmark = [pytest.mark.docker, pytest.mark.timeout(300)]

SWAPS = 50
EVENTS_PER_SWAP = 40
EVERY_S = 0.02

POLICY = """\
name: shop
version: "{version}"
attributes: shapes.attributes.yaml
when_not_moderated: {decision}
categories:
  child_safety: {{review: {review}}}
"""
SHAPES = "name: shapes\nversion: '1'\nattributes:\n  shape: {key: f, asks: its shape, values: [circle]}\n"
RULES = ({"decision": "allow", "review": 0.1}, {"decision": "review", "review": 0.5})
"""No model judges here, so that the precaution decides; other thresholds make other questions to a model."""
BROKEN = ("name: shop\n  version: [", "", "name: fair\nversion: '1'\ncategories: {child_safety: {review: 0.5}}\n")
"""No YAML, nothing yet, and a set without the default policy."""


@dataclass
class ConfigMap:
    """A mounted ConfigMap as the kubelet keeps it: the files are links into a folder that is swapped by one rename."""

    mount: Path
    releases: int = 0
    policies: dict[str, Policy] = field(default_factory=dict)
    """The valid ones that were mounted, by version."""

    def swap(self, text: str) -> None:
        """Mount another content."""
        self.releases += 1
        release = self.mount / f"..release_{self.releases}"
        release.mkdir(parents=True)
        (release / "shop.yaml").write_text(text)
        (release / "shapes.attributes.yaml").write_text(SHAPES)
        checked = check_policy(release / "shop.yaml")
        if checked.found is not None and checked.found.name == "shop":
            self.policies[checked.found.version] = checked.found
        link = self.mount / "..data_tmp"
        link.symlink_to(release.name)
        link.replace(self.mount / "..data")
        for name in ("shop.yaml", "shapes.attributes.yaml"):
            if not (self.mount / name).is_symlink():
                (self.mount / name).symlink_to(f"..data/{name}")

    def swap_policy(self, version: int) -> None:
        """Mount a valid policy; the rules of two successive versions differ."""
        self.swap(POLICY.format(version=version, **RULES[version % 2]))


@dataclass(frozen=True)
class Served:
    """A running service and what is uploaded to it."""

    process: ServiceProcess
    house: House
    producer: AIOKafkaProducer
    port: int

    async def upload(self, numbers: Sequence[int]) -> None:
        """Publish images of these numbers."""
        for number in numbers:
            event = {"image_id": f"{number}", "image": inline(small_image(number))}
            await self.producer.send(self.house.uploads, orjson.dumps(event))

    async def logged(self, text: str, *, times: int = 1) -> None:
        """Wait until the service has logged a text so often."""
        await wait_until(lambda: self.process.log().count(text) >= times, description=f"{times} times {text} is logged")

    async def is_ready(self) -> bool:
        """Return whether the service judges."""
        with suppress(aiohttp.ClientError):
            return (await self.health())["status"] == "ok"
        return False

    async def health(self) -> Mapping[str, object]:
        """Return what /health says."""
        return orjson.loads(await self._get("/health"))  # type: ignore[no-any-return]  # orjson returns Any

    async def metrics(self) -> Scrape:
        """Return what /metrics says."""
        return parsed((await self._get("/metrics")).decode())

    async def _get(self, path: str) -> bytes:
        url = f"http://127.0.0.1:{self.port}{path}"
        async with aiohttp.ClientSession() as session, session.get(url) as answer:
            return await answer.read()


def small_image(number: int) -> bytes:
    """Return an image that no other number has."""
    file = io.BytesIO()
    Image.new("RGB", (64, 48), (number * 7 % 256, number // 8 % 256, number % 256)).save(file, "PNG")
    return file.getvalue()


@asynccontextmanager
async def serving(kafka: KafkaBroker, folder: Path, mounted: ConfigMap) -> AsyncIterator[Served]:
    house, port = House(kafka), free_port()
    await house.build()
    settings = house.settings | {
        "policy": {"path": str(mounted.mount), "default": "shop", "reload_interval_s": EVERY_S},
        "engine": {"kind": "rehearsal", "rehearsal": {"batch_s": 0.05}},
        "monitoring": {"port": port},
        "telemetry": {"log_format": "json"},
    }
    producer = AIOKafkaProducer(bootstrap_servers=house.bootstrap_servers)
    await producer.start()
    try:
        with running_service(folder, settings) as process:
            yield Served(process, house, producer, port)
    finally:
        await producer.stop()


async def break_and_check(served: Served, mounted: ConfigMap, text: str, *, times: int) -> None:
    """Mount what cannot be used: it is refused, and the service is ready as before."""
    mounted.swap(text)
    await served.logged('"policy.reload_refused"', times=times)
    health = await served.health()
    assert (health["status"], health["warnings"]) == ("degraded", [ANY])
    assert (await served.metrics()).value("modstream_policy_refused") == 1


async def swap_under_load(served: Served, mounted: ConfigMap) -> None:
    """Upload images and replace the policy in turn; each fifth time what cannot be used comes between."""
    for version in range(1, SWAPS + 1):
        await served.upload(range((version - 1) * EVENTS_PER_SWAP, version * EVENTS_PER_SWAP))
        if version % 5 == 0:
            await break_and_check(served, mounted, BROKEN[version % len(BROKEN)], times=version // 5)
        mounted.swap_policy(version)
        if version % 7 == 0:
            served.process.signal(signal.SIGHUP)
        await served.logged(f'"shop {version} ')


def check_verdict(verdict: VerdictV1, policies: Mapping[str, Policy]) -> None:
    """Compare a verdict with what the policy that it names decides on its scores."""
    policy = policies[verdict.policy.version]
    assert verdict.policy.hash == policy.hash
    assert verdict.decision == decide_image(policy, JudgedImage.from_verdict(verdict)).result.decision


async def test_fifty_swaps_and_broken_files_under_load_lose_nothing(kafka: KafkaBroker, tmp_path: Path) -> None:
    mounted = ConfigMap(tmp_path / "policies")
    mounted.swap_policy(0)
    async with (
        serving(kafka, tmp_path, mounted) as served,
        committed_reader(served.house.bootstrap_servers, served.house.outcomes) as reader,
    ):
        await wait_until(served.is_ready, description="the service is ready", timeout_s=60.0)
        await swap_under_load(served, mounted)
        await reader.until(SWAPS * EVENTS_PER_SWAP)
        await reader.linger()
        scrape, health = await served.metrics(), await served.health()
        served.process.signal(signal.SIGTERM)
        assert served.process.wait() == 0, served.process.log()
    verdicts = [VerdictV1.model_validate_json(record.value) for record in reader.of(served.house.verdicts)]
    everything = (str(number) for number in range(SWAPS * EVENTS_PER_SWAP))
    assert Counter(verdict.image_id for verdict in verdicts) == Counter(everything)
    assert reader.of(served.house.dead_letters) == []
    for verdict in verdicts:
        check_verdict(verdict, mounted.policies)
    assert len({verdict.policy.version for verdict in verdicts}) > SWAPS // 2
    assert {verdict.decision for verdict in verdicts} == {"allow", "review"}
    (in_force,) = scrape.of("modstream_policy_info")
    assert in_force.labels | {"policy": "shop", "version": f"{SWAPS}"} == in_force.labels
    assert in_force.labels["hash"] == mounted.policies[f"{SWAPS}"].hash
    assert scrape.value("modstream_policy_reloads_total", reason="") >= SWAPS
    assert (health["status"], health["warnings"]) == ("ok", [])
