"""What this machine cannot test is a skip that names its reason, and an error when REQUIRE_ALL=1."""

import os
from collections.abc import AsyncIterator, Iterator
from typing import TYPE_CHECKING

import hypothesis
import pytest
import pytest_asyncio
from xdist.remote import Producer
from xdist.scheduler import LoadScopeScheduling

from testing.kafka import KafkaBroker, running_kafka
from testing.prerequisites import missing_docker, missing_engine, missing_tool
from testing.tiny_model.tiny import model_folder
from testing.triton_interpreter.environment import v2_on_cpu
from testing.vllm_server import VllmServer, vllm_server

if TYPE_CHECKING:
    from testing.tiny_api import TinyApi

# Machines are shared: a busy moment is no fault of what is tested, and what hangs meets pytest's own time limit.
hypothesis.settings.register_profile("modstream", deadline=None)
hypothesis.settings.load_profile("modstream")

# What starts vLLM, of which no parallel run should have several at once. They run in this order: who ends what many
# share comes last.
ENGINE_TESTS = (
    "tests/integration/engine/",
    "tests/models/",
    "tests/contract/engine/",  # stops the engine of `tiny_api`
    "tests/contract/token_model/",
    "tests/integration/service/test_guards_on_kafka.py",
    "tests/integration/service/test_vision_on_kafka.py",  # kills `v2_server`
    "tests/integration/engine_remote/test_vllm_serve.py",  # kills `tiny_server`
)


class Sharing(LoadScopeScheduling):  # type: ignore[misc]  # pytest-xdist ships no types
    """Shares the tests of a parallel run out by file, so that fixtures of a module are made once.

    Tests of vLLM are one share: an engine takes 5 GB, and some files share a server.
    """

    def _split_scope(self, nodeid: str) -> str:
        return "vllm" if nodeid.startswith(ENGINE_TESTS) else nodeid.partition("::")[0]


def pytest_xdist_make_scheduler(config: pytest.Config, log: Producer) -> Sharing:
    """Choose how a parallel run shares its tests out."""
    return Sharing(config, log)


@pytest.hookimpl(trylast=True)  # once every test has its marks
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Begin with what takes longest: tests of vLLM, then those that start containers."""
    items.sort(key=_kind)  # stable: within a kind the order stays


def _kind(item: pytest.Item) -> tuple[int, int]:
    for place, start in enumerate(ENGINE_TESTS):
        if item.nodeid.startswith(start):
            return 0, place
    if item.get_closest_marker("engine"):
        raise pytest.UsageError(f"{item.nodeid} starts vLLM: name its file in ENGINE_TESTS of tests/conftest.py")
    return 1 if item.get_closest_marker("docker") else 2, 0


def pytest_runtest_setup(item: pytest.Item) -> None:
    """Skip, or fail under REQUIRE_ALL=1, what cannot run here."""
    missing = [missing_tool(marker.args[0]) for marker in item.iter_markers("tool")]
    if item.get_closest_marker("docker"):
        missing.append(missing_docker())
    if item.get_closest_marker("engine"):
        missing.append(missing_engine())
    for reason in filter(None, missing):
        if os.environ.get("REQUIRE_ALL") == "1":
            pytest.fail(f"REQUIRE_ALL=1, but the test {reason}", pytrace=False)
        pytest.skip(reason)


@pytest.fixture(scope="session")
def kafka() -> Iterator[KafkaBroker]:
    """One broker for all tests of a process; each test has topics and groups of its own.

    A test may freeze it for a moment. What stops it or sets it up otherwise starts a broker of its own.
    """
    with running_kafka() as broker:
        yield broker


@pytest.fixture(scope="session")
def tiny_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[VllmServer]:
    """Return a real `vllm serve` of the tiny model; it starts when the first test asks for it."""
    log = tmp_path_factory.mktemp("vllm") / "server.log"
    # Probabilities after a restriction: with them this one server offers every way of reading labels.
    with vllm_server(model_folder(), log, "--logprobs-mode", "processed_logprobs") as server:
        yield server


@pytest.fixture(scope="session")
def v2_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[VllmServer]:
    """Return a `vllm serve` of the tiny model with the model runner that vLLM takes on GPUs."""
    folder = tmp_path_factory.mktemp("v2")
    log = folder / "server.log"
    with vllm_server(model_folder(), log, environment=v2_on_cpu(folder / "path")) as server:
        assert "Using V2 Model Runner" in log.read_text()
        yield server


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def tiny_api(tmp_path_factory: pytest.TempPathFactory) -> "AsyncIterator[TinyApi]":
    """Return the API over vLLM in this process: the one engine of all tests that leave it whole.

    A start costs 20 s of CPU. The last of the contract of engines stops it.
    """
    from testing.tiny_api import running_tiny_api  # noqa: PLC0415 - not every run needs what it imports

    async with running_tiny_api(tmp_path_factory.mktemp("adapters")) as running:
        yield running
