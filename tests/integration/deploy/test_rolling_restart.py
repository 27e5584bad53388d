"""Processes of one group replaced one after the other, with other settings, while uploads keep coming."""

import asyncio
import contextlib
import io
import signal
from collections import Counter
from collections.abc import AsyncIterator, Mapping
from contextlib import ExitStack, asynccontextmanager
from pathlib import Path

import orjson
import pytest
from aiokafka import AIOKafkaProducer
from PIL import Image

import service.policy
from schemas.verdict import VerdictV1
from testing.house import House, inline
from testing.kafka import KafkaBroker
from testing.service import ServiceProcess, running_service
from testing.topics import committed_reader
from testing.waiting import wait_until

pytestmark = [pytest.mark.docker, pytest.mark.timeout(180)]

BUNDLED_POLICY = Path(service.policy.__path__[0]) / "policies" / "default.yaml"
PAUSE_S = 0.05

# Four processes start on a machine of two cores; no image is worth more than one decoder.
LIGHT: dict[str, object] = {"media": {"decode": {"workers": 1}}}


class Feed:
    """Uploads that keep coming until they are enough."""

    def __init__(self) -> None:
        self.fed: list[str] = []
        self._enough = asyncio.Event()

    async def run(self, house: House) -> None:
        """Publish events, each an image that no other is."""
        async with AIOKafkaProducer(bootstrap_servers=house.bootstrap_servers, enable_idempotence=True) as producer:
            while not self._enough.is_set():
                await producer.send_and_wait(house.uploads, self._event(len(self.fed)))
                self.fed.append(str(len(self.fed)))
                with contextlib.suppress(TimeoutError):
                    async with asyncio.timeout(PAUSE_S):
                        await self._enough.wait()

    def end(self) -> None:
        """Let no more come."""
        self._enough.set()

    async def goes_on(self, count: int) -> None:
        """Return after so many more."""
        goal = len(self.fed) + count
        await wait_until(lambda: len(self.fed) >= goal, description="more uploads came")

    @staticmethod
    def _event(number: int) -> bytes:
        file = io.BytesIO()
        Image.new("RGB", (64, 48), (number % 256, number // 256, 99)).save(file, "PNG")
        return orjson.dumps({"image_id": str(number), "image": inline(file.getvalue())})


@asynccontextmanager
async def feeding(house: House) -> AsyncIterator[Feed]:
    """Let uploads come beside the block."""
    feed = Feed()
    async with asyncio.TaskGroup() as group:
        group.create_task(feed.run(house), name="feed")
        try:
            yield feed
        finally:
            feed.end()


class Installation:
    """Two processes, and the settings that they are started with."""

    def __init__(self, stack: ExitStack, folder: Path, house: House) -> None:
        self._stack = stack
        self._folder = folder
        self._house = house

    def policy(self, version: str) -> dict[str, str]:
        """Write the bundled policy under another version."""
        folder = self._folder / f"policies-{version}"
        folder.mkdir(exist_ok=True)
        text = BUNDLED_POLICY.read_text(encoding="utf-8")
        (folder / "default.yaml").write_text(text.replace('version: "1"', f'version: "{version}"'), encoding="utf-8")
        return {"path": str(folder)}

    async def start(self, settings: Mapping[str, object]) -> ServiceProcess:
        """Start a process and wait until it has work."""
        process = self._stack.enter_context(running_service(self._folder, self._house.settings | dict(settings)))
        await wait_until(
            lambda: "partition.opened" in process.log(), description="the process has partitions", timeout_s=60.0
        )
        return process

    @staticmethod
    async def stop(process: ServiceProcess) -> None:
        """Stop a process as an orchestrator does, and insist on a drain."""
        process.signal(signal.SIGTERM)
        await wait_until(lambda: not process.is_running(), description="the process has drained", timeout_s=40.0)
        assert process.wait() == 0, process.log()


async def test_a_rolling_restart_with_other_settings_loses_and_doubles_nothing(
    kafka: KafkaBroker, tmp_path: Path
) -> None:
    house = House(kafka)
    await house.build(partitions=4)
    with ExitStack() as stack:
        installation = Installation(stack, tmp_path, house)
        before = LIGHT | {
            "policy": installation.policy("1"),
            "engine": {"kind": "rehearsal", "rehearsal": {"batch_s": 0.1}},
        }
        after = LIGHT | {
            "policy": installation.policy("2"),
            "engine": {"kind": "rehearsal", "rehearsal": {"batch_s": 0.2, "batch_size": 8}},
            "commit": {"interval_s": 0.2},
            "window": {"max_records": 32},
        }
        async with feeding(house) as feed:
            old = await asyncio.gather(*(installation.start(before) for _ in range(2)))
            await feed.goes_on(40)
            for process in old:
                await installation.stop(process)
                await installation.start(after)
                await feed.goes_on(40)
        async with committed_reader(house.bootstrap_servers, house.outcomes) as reader:
            await reader.until(len(feed.fed))
            await reader.linger()
    verdicts = [VerdictV1.model_validate_json(record.value) for record in reader.of(house.verdicts)]
    assert Counter(verdict.image_id for verdict in verdicts) == dict.fromkeys(feed.fed, 1)
    assert reader.of(house.dead_letters) == []
    assert both_worked_side_by_side(verdicts)


def both_worked_side_by_side(verdicts: list[VerdictV1]) -> bool:
    """Return whether every verdict names its rules, and some of the old ones came after some of the new."""
    times = {
        version: [each.moderated_at for each in verdicts if each.policy.version == version] for version in ("1", "2")
    }
    return len(verdicts) == sum(map(len, times.values())) and min(times["2"]) < max(times["1"])
