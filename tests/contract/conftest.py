"""The settings that lead to a real `vllm serve`, for the contract suites of engines and of models."""

import pytest

from service.settings.openai import OpenAISettings
from testing.vllm_server import VllmServer


@pytest.fixture(scope="session")
def served(tiny_server: VllmServer) -> OpenAISettings:
    """Return the settings that lead to the server."""
    return OpenAISettings(base_urls=(tiny_server.url,), max_in_flight=8)
