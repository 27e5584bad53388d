"""The token models that keep the contract; another one is a line in `CANDIDATES`."""

from collections.abc import AsyncIterator

import pytest
import pytest_asyncio

from service.inference.openai.model import OpenAIModel
from service.settings.openai import OpenAISettings
from testing.tiny_model.shapes import INSTRUCTIONS
from testing.token_model import ScriptedModel
from testing.vllm_server import SERVED, VllmServer
from tests.contract.token_model.candidates import Candidate, StartedModel

CANDIDATES: dict[str, Candidate] = {
    "scripted": Candidate(lambda: ScriptedModel(busy_s=0.002, adapters=frozenset({"own"})), adapter="own"),
}

# Batches of different sizes round differently in bfloat16.
ROUNDING = 0.02


SERVERS = {"openai": "served", "openai-v2": "served_by_v2"}


@pytest.fixture(scope="module")
def served_by_v2(v2_server: VllmServer) -> OpenAISettings:
    """Return settings that lead to a server with the model runner that vLLM takes on GPUs."""
    return OpenAISettings(base_urls=(v2_server.url,), max_in_flight=8)


@pytest.fixture(scope="module", params=[*CANDIDATES, *(pytest.param(name, marks=SERVED) for name in SERVERS)])
def candidate(request: pytest.FixtureRequest) -> Candidate:
    if request.param in SERVERS:
        settings = request.getfixturevalue(SERVERS[request.param])
        return Candidate(lambda: OpenAIModel(settings), instructions=INSTRUCTIONS, tolerance=ROUNDING)
    return CANDIDATES[request.param]


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def started(candidate: Candidate) -> AsyncIterator[StartedModel]:
    """A model that all tests share, as some take long to start; no test stops it."""
    started = await candidate.begin()
    yield started
    await started.model.stop()
