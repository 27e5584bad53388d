"""One engine for all tests of what the tiny model knows: a start takes a minute of CPU."""

from collections.abc import AsyncIterator

import pytest
import pytest_asyncio

from service.inference.vision.token_model import TokenModel
from testing.tiny_model.running import runtime
from testing.tiny_model.tiny import model_folder


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """What asks the model needs vLLM, whose imports warn of torch's, numba's and its own plans: nothing of ours."""
    for item in items:
        if "tests/models/test_trained_model" in item.nodeid:
            item.add_marker(pytest.mark.filterwarnings("ignore"))
            item.add_marker(pytest.mark.timeout(1000))  # a start of the engine on a busy machine


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def model() -> AsyncIterator[TokenModel]:
    """The trained model in the real engine."""
    started = runtime(model_folder())
    try:
        await started.start()
        yield started
    finally:
        await started.stop()
