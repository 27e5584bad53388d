"""The token models that keep the contract; another one is a line in `CANDIDATES`."""

from collections.abc import AsyncIterator

import pytest
import pytest_asyncio

from service.inference.openai.model import OpenAIModel
from testing.tiny_model.shapes import INSTRUCTIONS
from testing.token_model import ScriptedModel
from testing.vllm_server import SERVED
from tests.contract.token_model.candidates import Candidate, StartedModel

CANDIDATES: dict[str, Candidate] = {
    "scripted": Candidate(lambda: ScriptedModel(busy_s=0.002, adapters=frozenset({"own"})), adapter="own"),
}

# Batches of different sizes round differently in bfloat16.
ROUNDING = 0.02


@pytest.fixture(scope="module", params=[*CANDIDATES, pytest.param("openai", marks=SERVED)])
def candidate(request: pytest.FixtureRequest) -> Candidate:
    if request.param == "openai":
        settings = request.getfixturevalue("served")
        return Candidate(lambda: OpenAIModel(settings), instructions=INSTRUCTIONS, tolerance=ROUNDING)
    return CANDIDATES[request.param]


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def started(candidate: Candidate) -> AsyncIterator[StartedModel]:
    """A model that all tests share, as some take long to start; no test stops it."""
    started = await candidate.begin()
    yield started
    await started.model.stop()
