"""The token models that keep the contract; another one is a line in `CANDIDATES`."""

from collections.abc import AsyncIterator

import pytest
import pytest_asyncio

from tests.contract.token_model.candidates import Candidate, Trial
from tests.support.token_model import ScriptedModel

CANDIDATES: dict[str, Candidate] = {
    "scripted": Candidate(lambda: ScriptedModel(busy_s=0.002, adapters=frozenset({"own"})), adapter="own"),
}


@pytest.fixture(scope="module", params=CANDIDATES)
def candidate(request: pytest.FixtureRequest) -> Candidate:
    return CANDIDATES[request.param]


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def trial(candidate: Candidate) -> AsyncIterator[Trial]:
    """A model that all tests share, as some take long to start; no test stops it."""
    trial = await candidate.begin()
    yield trial
    await trial.model.stop()
