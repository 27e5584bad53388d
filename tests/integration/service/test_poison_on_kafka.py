"""A record that the engine dies of, on Apache Kafka: found over the processes that it ends, and given up alone."""

import asyncio
import io
import os
import subprocess
import sys
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

import orjson
import pytest
import yaml
from PIL import Image

from service.core.records import Partition
from service.delivery.engine_mark_store import EngineMarkStore
from service.settings.kafka import KafkaSettings
from testing.house import House, inline
from testing.kafka import KafkaBroker
from testing.mortal_engine import DEATHS, MARK
from testing.topics import committed_reader, publish

pytestmark = [pytest.mark.docker, pytest.mark.timeout(400)]

EVENTS = 60
POISON = 17


def upload(number: int) -> bytes:
    """Return an event with an image of its own; one of them is marked."""
    file = io.BytesIO()
    colour = MARK if number == POISON else (number, 99, 255 - number)
    Image.new("RGB", (64, 64), colour).save(file, "PNG")
    return orjson.dumps({"image_id": f"{number}", "image": inline(file.getvalue())})


class Orchestrator:
    """Keeps so many processes running, and counts how often the engine died of the marked image."""

    def __init__(self, house: House, folder: Path, *, arguments: Sequence[str] = ()) -> None:
        settings = house.settings | {
            "monitoring": {"port": 0},
            "media": {"decode": {"workers": 1}},
            "engine": {"kind": "rehearsal"},
            "kafka": {
                "bootstrap_servers": house.bootstrap_servers,
                "group_id": house.uploads,
                "session_timeout_s": 6.0,
                "heartbeat_interval_s": 0.5,
                "rebalance_timeout_s": 10.0,
            },
        }
        self._config = folder / "settings.yaml"
        self._config.write_text(yaml.safe_dump(settings), encoding="utf-8")
        self._arguments = arguments
        self._log = (folder / "processes.log").open("wb")
        self._running: list[subprocess.Popen[bytes]] = []
        self._deaths = folder / "deaths"
        self._deaths.touch()

    @property
    def deaths(self) -> int:
        """Deaths so far. A process may end for other reasons too, such as a session that a slow machine let expire."""
        return self._deaths.stat().st_size

    async def keep(self, count: int) -> None:
        """Start processes again and again, until cancelled."""
        try:
            environment = os.environ | {DEATHS: str(self._deaths)}
            while True:
                for process in [each for each in self._running if each.poll() is not None]:
                    self._running.remove(process)
                while len(self._running) < count:
                    command = [sys.executable, "-m", "testing.mortal_engine", str(self._config), *self._arguments]
                    self._running.append(
                        subprocess.Popen(  # noqa: ASYNC220 - takes milliseconds
                            command, env=environment, stdout=self._log, stderr=self._log
                        )
                    )
                await asyncio.sleep(0.1)
        finally:
            for process in self._running:
                process.terminate()
            for process in self._running:
                process.wait(30)
            self._log.close()


@pytest.mark.parametrize(("processes", "arguments", "most_deaths"), [(2, (), 3), (1, ("--with-parent",), 5)])
async def test_a_record_that_ends_processes_is_given_up_and_all_others_are_judged_once(
    kafka: KafkaBroker, tmp_path: Path, processes: int, arguments: Sequence[str], most_deaths: int
) -> None:
    house = House(kafka)
    await house.build()
    await publish(kafka.bootstrap_servers, house.uploads, [(f"{n}".encode(), upload(n), []) for n in range(EVENTS)])
    orchestrator = Orchestrator(house, tmp_path, arguments=arguments)
    async with committed_reader(kafka.bootstrap_servers, house.outcomes) as reader:
        keeping = asyncio.create_task(orchestrator.keep(processes))
        await reader.until(EVENTS, timeout_s=200.0)
        await reader.linger()
        keeping.cancel()
        await asyncio.wait([keeping])
    assert Counter(record.key for record in reader.records) == {f"{n}".encode(): 1 for n in range(EVENTS)}
    (letter,) = reader.of(house.dead_letters)
    assert (letter.key, dict(letter.headers)["modstream-reason"]) == (f"{POISON}".encode(), b"engine.poison")
    assert 1 <= orchestrator.deaths <= most_deaths


async def test_marks_of_many_partitions_are_kept_and_read_back(kafka: KafkaBroker) -> None:
    house = House(kafka)
    await house.build(partitions=8)
    partitions = [Partition(house.uploads, number) for number in range(8)]
    store = EngineMarkStore(KafkaSettings(bootstrap_servers=kafka.bootstrap_servers, group_id=house.uploads))
    assert await store.read(partitions) == dict.fromkeys(partitions, "")
    texts = {partition: "x" * (4096 - partition.partition) for partition in partitions}
    await store.write(texts)
    assert await store.read(partitions) == texts
    with pytest.raises(OSError, match="TooLarge"):
        await store.write({partitions[0]: "x" * 4097})
    await store.close()
