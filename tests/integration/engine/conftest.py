"""What these tests take of the engine that all share."""

import os
from typing import TYPE_CHECKING

import pytest

from service.inference.vllm.environment import prepare_environment
from testing.vllm import ENVIRONMENT, STARTUP_TIMEOUT_S, tiny_settings

if TYPE_CHECKING:
    from service.inference.vllm.model import VllmModel
    from testing.tiny_api import TinyApi


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


@pytest.fixture(scope="session")
def model(tiny_api: "TinyApi") -> "VllmModel":
    """The tiny model, started, with adapters, traces and chats."""
    return tiny_api.model
