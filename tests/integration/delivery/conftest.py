"""A world of topics for each of the stream's tests."""

from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest

from testing.kafka import KafkaBroker
from testing.tansu import running_tansu
from tests.integration.delivery.world import World


@pytest.fixture(scope="session")
def tansu() -> Iterator[str]:
    """The embedded broker's address."""
    with running_tansu() as address:
        yield address


@pytest.fixture
async def world(kafka: KafkaBroker, tmp_path: Path) -> AsyncIterator[World]:
    """Topics of its own on Apache Kafka."""
    async with World.build(kafka.bootstrap_servers, tmp_path) as world:
        yield world


@pytest.fixture
async def world_with_retries(kafka: KafkaBroker, tmp_path: Path) -> AsyncIterator[World]:
    """Topics of its own on Apache Kafka, with a retry topic."""
    async with World.build(kafka.bootstrap_servers, tmp_path, tiers=("1s",)) as world:
        yield world


@pytest.fixture
async def small_world(tansu: str, tmp_path: Path) -> AsyncIterator[World]:
    """Topics of its own on the embedded broker, which knows no transactions."""
    async with World.build(tansu, tmp_path, delivery="at_least_once") as world:
        yield world
