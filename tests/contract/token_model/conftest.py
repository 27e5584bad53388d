"""The token models that keep the contract; another one is a line in `CANDIDATES`."""

from collections.abc import AsyncIterator, Iterator

import pytest
import pytest_asyncio

from service.inference.openai.model import OpenAIModel
from service.settings.openai import OpenAISettings
from testing.tiny_model.shapes import INSTRUCTIONS
from testing.tiny_model.tiny import model_folder
from testing.token_model import ScriptedModel
from testing.triton_interpreter.environment import v2_on_cpu
from testing.vllm_server import SERVED, vllm_server
from tests.contract.token_model.candidates import Candidate, StartedModel

CANDIDATES: dict[str, Candidate] = {
    "scripted": Candidate(lambda: ScriptedModel(busy_s=0.002, adapters=frozenset({"own"})), adapter="own"),
}

# Batches of different sizes round differently in bfloat16.
ROUNDING = 0.02


SERVERS = {"openai": "served", "openai-v2": "served_by_v2"}


@pytest.fixture(scope="module")
def served_by_v2(tmp_path_factory: pytest.TempPathFactory) -> Iterator[OpenAISettings]:
    """Return settings that lead to a server with the model runner that vLLM takes on GPUs."""
    folder = tmp_path_factory.mktemp("v2")
    log = folder / "server.log"
    with vllm_server(model_folder(), log, environment=v2_on_cpu(folder / "path")) as server:
        assert "Using V2 Model Runner" in log.read_text()
        yield OpenAISettings(base_urls=(server.url,), max_in_flight=8)


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
