"""What this machine cannot test is a skip that names its reason, and an error when REQUIRE_ALL=1."""

import os
from collections.abc import Iterator

import hypothesis
import pytest
from xdist.remote import Producer
from xdist.scheduler import LoadScopeScheduling

from testing.prerequisites import missing_docker, missing_engine, missing_tool
from testing.tiny_model.tiny import model_folder
from testing.vllm_server import VllmServer, vllm_server

# Machines are shared: a busy moment is no fault of what is tested, and what hangs meets pytest's own time limit.
hypothesis.settings.register_profile("modstream", deadline=None)
hypothesis.settings.load_profile("modstream")

# What starts vLLM, of which no parallel run should have several at once.
ENGINE_TESTS = (
    "tests/contract/engine/",
    "tests/contract/token_model/",
    "tests/integration/engine/",
    "tests/integration/engine_remote/test_vllm_serve.py",
    "tests/integration/service/test_guards_on_kafka.py",
    "tests/integration/service/test_vision_on_kafka.py",
    "tests/models/",
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


def _kind(item: pytest.Item) -> int:
    if item.nodeid.startswith(ENGINE_TESTS):
        return 0
    if item.get_closest_marker("engine"):
        raise pytest.UsageError(f"{item.nodeid} starts vLLM: name its file in ENGINE_TESTS of tests/conftest.py")
    return 1 if item.get_closest_marker("docker") else 2


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
def tiny_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[VllmServer]:
    """Return a real `vllm serve` of the tiny model; it starts when the first test asks for it.

    The contracts of engines and of token models share it with test_vllm_serve.py, whose last test ends it.
    """
    log = tmp_path_factory.mktemp("vllm") / "server.log"
    # Probabilities after a restriction: with them this one server offers every way of reading labels.
    with vllm_server(model_folder(), log, "--logprobs-mode", "processed_logprobs") as server:
        yield server
