"""The engines that keep the contract, and the tests' fakes, which have to keep it too.

Another one is a line in `CANDIDATES`.
"""

from collections.abc import AsyncIterator
from dataclasses import replace

import pytest
import pytest_asyncio

from service.core.instructions import FirstPassInstructions
from service.inference.engine import Engine
from service.inference.factory import build_engine
from service.inference.first_pass.engine import FirstPassEngine
from service.inference.vision.engine import VisionEngine
from service.settings.engine import EngineSettings, JudgingSettings, RehearsalSettings
from testing.asking import TAGGED_INSTRUCTIONS
from testing.engine import PaintedEngine
from testing.tiny_model.shapes import INSTRUCTIONS
from testing.token_model import ScriptedModel
from testing.vllm import STARTUP_TIMEOUT_S, tiny_settings
from testing.vllm_server import SERVED
from tests.contract.engine.candidates import Candidate, StartedEngine

FIRST_PASS = FirstPassInstructions(
    clear_below=tuple((category.name, 0.1) for category in TAGGED_INSTRUCTIONS.categories), vision_tokens=64
)
"""Of the scripted model's guesses some are below in every category, and some are not."""

REHEARSAL = RehearsalSettings(batch_size=4, batch_s=0.02)

CANDIDATES: dict[str, Candidate] = {
    "onnx": Candidate(lambda: build_engine(EngineSettings(kind="onnx"))),
    "rehearsal": Candidate(lambda: build_engine(EngineSettings(kind="rehearsal", rehearsal=REHEARSAL))),
    # The painted engine remembers its requests for tests to see.
    "painted": Candidate(PaintedEngine, keeps_pixels=True),
    "vision": Candidate(
        lambda: VisionEngine(ScriptedModel(busy_s=0.002), JudgingSettings(), kind="scripted"),
        instructions=TAGGED_INSTRUCTIONS,
    ),
    "first pass": Candidate(
        lambda: FirstPassEngine(VisionEngine(ScriptedModel(busy_s=0.002), JudgingSettings(), kind="scripted")),
        instructions=replace(TAGGED_INSTRUCTIONS, first_pass=FIRST_PASS),
    ),
}

# A start of the engine on a busy machine takes its time; its imports warn of what others plan.
SLOW = [
    pytest.mark.engine,
    pytest.mark.timeout(STARTUP_TIMEOUT_S + 200),
    pytest.mark.filterwarnings("ignore"),
]

PARAMS = [*CANDIDATES, pytest.param("vllm", marks=SLOW), pytest.param("openai", marks=SERVED)]


@pytest.fixture(scope="module", params=PARAMS)
def candidate(request: pytest.FixtureRequest) -> Candidate:
    match request.param:
        case "vllm":
            return tiny(EngineSettings(kind="vllm", vllm=tiny_settings()), request.getfixturevalue("tiny_api").engine)
        case "openai":
            # Noise is nothing that the tiny model was trained on, and may be answered with anything.
            judging = JudgingSettings(min_label_mass=0.0)
            return tiny(EngineSettings(kind="openai", openai=request.getfixturevalue("served"), judging=judging))
    return CANDIDATES[request.param]


def tiny(settings: EngineSettings, running: Engine | None = None) -> Candidate:
    return Candidate(
        lambda: build_engine(settings),
        instructions=INSTRUCTIONS,
        tolerance=0.02,
        largest_crowd=24,
        stops_after_turns=(1,),
        running=running,
    )


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def started(candidate: Candidate) -> AsyncIterator[StartedEngine]:
    """An engine that all tests share, as some take long to start; no test stops it."""
    started = await candidate.begin()
    yield started
    await started.engine.stop()
