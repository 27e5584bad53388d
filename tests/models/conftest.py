"""What the tiny model knows is asked of the engine that all tests share."""

from typing import TYPE_CHECKING

import pytest

from service.inference.vision.token_model import TokenModel

if TYPE_CHECKING:
    from testing.tiny_api import TinyApi


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """What asks the model needs vLLM, whose imports warn of torch's, numba's and its own plans: nothing of ours."""
    for item in items:
        if "tests/models/test_trained_model" in item.nodeid or "tests/models/test_finetuning" in item.nodeid:
            item.add_marker(pytest.mark.filterwarnings("ignore"))
            item.add_marker(pytest.mark.timeout(1000))  # a start of the engine on a busy machine


@pytest.fixture(scope="session")
def model(tiny_api: "TinyApi") -> TokenModel:
    """The trained model and its adapter, in the real engine."""
    return tiny_api.model
