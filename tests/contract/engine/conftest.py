"""The engines that keep the contract, and the test's fake, which has to keep it too."""

from collections.abc import AsyncIterator, Callable

import pytest

from service.engine_settings import EngineSettings, RehearsalSettings
from service.inference.engine import Engine
from service.inference.factory import build_engine
from tests.support.asking import BRIEF
from tests.support.engine import PaintedEngine

REHEARSAL = RehearsalSettings(batch_size=4, batch_s=0.02)

BUILDERS: dict[str, Callable[[], Engine]] = {
    "onnx": lambda: build_engine(EngineSettings(kind="onnx")),
    "rehearsal": lambda: build_engine(EngineSettings(kind="rehearsal", rehearsal=REHEARSAL)),
    "painted": PaintedEngine,
}


@pytest.fixture(params=BUILDERS)
def unstarted_engine(request: pytest.FixtureRequest) -> Engine:
    return BUILDERS[request.param]()


@pytest.fixture
async def engine(unstarted_engine: Engine) -> AsyncIterator[Engine]:
    await unstarted_engine.start()
    await unstarted_engine.prepare(BRIEF)
    yield unstarted_engine
    await unstarted_engine.stop()
