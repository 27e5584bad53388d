"""The engines that keep the contract, and the tests' fakes, which have to keep it too.

Another one is a line in `CANDIDATES`.
"""

from collections.abc import AsyncIterator

import pytest
import pytest_asyncio

from service.engine_settings import EngineSettings, RehearsalSettings
from service.inference.factory import build_engine
from service.inference.vision_engine import VisionEngine
from service.judging_settings import JudgingSettings
from tests.contract.engine.candidates import Candidate, Trial
from tests.support.asking import TAGGED_BRIEF
from tests.support.engine import PaintedEngine
from tests.support.token_model import ScriptedModel

REHEARSAL = RehearsalSettings(batch_size=4, batch_s=0.02)

CANDIDATES: dict[str, Candidate] = {
    "onnx": Candidate(lambda: build_engine(EngineSettings(kind="onnx"))),
    "rehearsal": Candidate(lambda: build_engine(EngineSettings(kind="rehearsal", rehearsal=REHEARSAL))),
    # The painted engine remembers its requests for tests to see.
    "painted": Candidate(PaintedEngine, keeps_pixels=True),
    "vision": Candidate(
        lambda: VisionEngine(ScriptedModel(busy_s=0.002), JudgingSettings(), kind="scripted"), brief=TAGGED_BRIEF
    ),
}


@pytest.fixture(scope="module", params=CANDIDATES)
def candidate(request: pytest.FixtureRequest) -> Candidate:
    return CANDIDATES[request.param]


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def trial(candidate: Candidate) -> AsyncIterator[Trial]:
    """An engine that all tests share, as some take long to start; no test stops it."""
    trial = await candidate.begin()
    yield trial
    await trial.engine.stop()
