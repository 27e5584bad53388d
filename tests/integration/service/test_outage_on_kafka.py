"""A remote engine that is busy or away for longer than any attempt lasts, on Apache Kafka: nothing is given up."""

import asyncio
import io
import signal
import time
from collections import Counter
from pathlib import Path

import orjson
import pytest
from PIL import Image

from testing.house import House, inline
from testing.kafka import KafkaBroker
from testing.openai_server import ModelServer, model_server
from testing.service import running_service
from testing.topics import CommittedReader, committed_reader, publish
from testing.waiting import wait_until

pytestmark = [pytest.mark.docker, pytest.mark.timeout(300)]

EVENTS = 100
AWAY_S = 15.0
"""Longer than all attempts together would last with these settings."""
POLICY = "name: default\nversion: '1'\ncategories: {child_safety: {review: 0.1, block: 0.8}, weapons: {review: 0.5}}\n"


def upload(number: int) -> bytes:
    """Return an event with an image that no label but the first has a share of."""
    file = io.BytesIO()
    Image.new("RGB", (64, 64), (200, 0, number)).save(file, "PNG")
    return orjson.dumps({"image_id": f"{number}", "image": inline(file.getvalue())})


async def filled_house(kafka: KafkaBroker, folder: Path, server: ModelServer) -> House:
    """Return topics with uploads, and settings with which attempts last little."""
    house = House(kafka)
    await house.build()
    (folder / "policy").mkdir()
    (folder / "policy/default.yaml").write_text(POLICY, encoding="utf-8")
    house.settings |= {
        "engine": {
            "kind": "openai",
            "timeout_s": 4.0,
            "openai": {"base_urls": [server.url], "request_timeout_s": 2.0, "max_return_after_s": 2.0},
            "judging": {"min_label_mass": 0.0},
        },
        "retry": {"max_attempts": 2, "initial_backoff_s": 0.1},
        "policy": {"path": str(folder / "policy")},
        "media": {"decode": {"workers": 1}},
        "shutdown": {"drain_s": 2.0},
    }
    await publish(kafka.bootstrap_servers, house.uploads, [(f"{n}".encode(), upload(n), []) for n in range(EVENTS)])
    return house


async def every_upload_has_its_verdict(house: House, reader: CommittedReader) -> None:
    await reader.until(EVENTS, timeout_s=60.0)
    await reader.linger()
    assert Counter((record.topic, record.key) for record in reader.records) == {
        (house.verdicts, f"{number}".encode()): 1 for number in range(EVENTS)
    }


@pytest.mark.parametrize("code", [429, 503])
async def test_a_busy_engine_is_waited_for_and_asked_little(kafka: KafkaBroker, tmp_path: Path, code: int) -> None:
    async with model_server() as server:
        house = await filled_house(kafka, tmp_path, server)
        async with committed_reader(kafka.bootstrap_servers, house.outcomes) as reader:
            with running_service(tmp_path, house.settings) as service:
                await wait_until(lambda: '"engine.ready"' in service.log(), description="it has started")
                server.status, server.headers = code, {"Retry-After": "1"}
                await wait_until(lambda: server.asked > 0, description="the engine is asked")
                since_s = time.monotonic()
                await asyncio.sleep(AWAY_S)
                asked, away_s, server.status = server.asked, time.monotonic() - since_s, 200
                await every_upload_has_its_verdict(house, reader)
    assert asked <= EVENTS + 2 * away_s


async def test_an_engine_that_is_away_is_waited_for_through_a_drain_and_a_rebalance(
    kafka: KafkaBroker, tmp_path: Path
) -> None:
    async with model_server() as server:
        house = await filled_house(kafka, tmp_path, server)
        async with committed_reader(kafka.bootstrap_servers, house.outcomes) as reader:
            with running_service(tmp_path, house.settings) as first:
                await wait_until(lambda: '"engine.ready"' in first.log(), description="it has started")
                server.status = server.health = 500
                await wait_until(lambda: '"engine.unavailable"' in first.log(), description="the engine is away")
                await asyncio.sleep(AWAY_S)
                assert first.is_running()
                first.signal(signal.SIGTERM)
                assert first.wait() == 0, "a drain ends although nothing can be judged"
            server.status = server.health = 200
            with running_service(tmp_path, house.settings) as second:
                await wait_until(lambda: '"engine.ready"' in second.log(), description="it has started")
                server.status = server.health = 500
                await wait_until(lambda: '"engine.unavailable"' in second.log(), description="the engine is away")
                with running_service(tmp_path, house.settings):
                    server.status = server.health = 200
                    await every_upload_has_its_verdict(house, reader)
