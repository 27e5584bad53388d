"""A real `vllm serve` of the tiny model, which the contract suites of engines and of models share."""

from collections.abc import Iterator

import pytest

from service.settings.openai import OpenAISettings
from testing.tiny_model.tiny import model_folder
from testing.vllm_server import vllm_server


@pytest.fixture(scope="session")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[OpenAISettings]:
    """Return the settings that lead to it; it starts when the first test asks for it."""
    with vllm_server(model_folder(), tmp_path_factory.mktemp("vllm") / "server.log") as server:
        yield OpenAISettings(base_urls=(server.url,), max_in_flight=8)
