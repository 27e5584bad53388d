"""One engine for all tests that leave it whole: a start takes 45 s of CPU."""

import os
from collections.abc import AsyncIterator, Iterator
from typing import TYPE_CHECKING

import pytest
import pytest_asyncio

from service.inference.vllm.environment import prepare_environment
from testing.lora import write_random_adapter
from testing.otlp_receiver import Collector, running_collector
from testing.tiny_model.tiny import model_folder
from testing.vllm import ENVIRONMENT, STARTUP_TIMEOUT_S, new_model, tiny_settings

if TYPE_CHECKING:
    from service.inference.vllm.model import VllmModel


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Every test here needs vLLM, whose imports warn of torch's, numba's and its own plans: nothing of ours."""
    for item in items:
        if item.nodeid.startswith("tests/integration/engine/"):
            item.add_marker(pytest.mark.engine)
            item.add_marker(pytest.mark.filterwarnings("ignore"))
            item.add_marker(pytest.mark.timeout(STARTUP_TIMEOUT_S + 200))  # a start of the engine on a busy machine


@pytest.fixture(scope="session", autouse=True)
def environment() -> None:
    """Set what the engine's processes inherit."""
    os.environ.update(ENVIRONMENT)
    prepare_environment(tiny_settings(), os.environ, is_traced=True)
    os.environ["OTEL_BSP_SCHEDULE_DELAY"] = "200"  # milliseconds from a span's end to its export


@pytest.fixture(scope="package")
def adapters(tmp_path_factory: pytest.TempPathFactory) -> tuple[str, ...]:
    """Two that fit, one of too high a rank, and one that is not there."""
    folder, model = tmp_path_factory.mktemp("adapters"), model_folder()
    first = write_random_adapter(folder / "first", model=model, rank=8)
    second = write_random_adapter(folder / "second", model=model, rank=8, seed=1)
    high = write_random_adapter(folder / "high", model=model, rank=32)
    return (f"first={first}", f"second={second}", f"high={high}", f"missing={folder / 'nowhere'}")


@pytest.fixture(scope="package")
def span_receiver() -> Iterator[Collector]:
    """Where vLLM sends its own spans."""
    with running_collector() as server:
        yield server


@pytest_asyncio.fixture(scope="package", loop_scope="package")
async def model(adapters: tuple[str, ...], span_receiver: Collector) -> "AsyncIterator[VllmModel]":
    """The tiny model, started, with traces."""
    traces_url = f"{span_receiver.endpoint}/v1/traces"
    started, _ = new_model(tiny_settings(adapters=adapters, max_loras=2), traces_url=traces_url)
    try:
        await started.start()
        yield started
    finally:
        await started.stop()
