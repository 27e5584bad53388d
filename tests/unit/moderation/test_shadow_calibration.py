"""An engine on trial beside calibrated scores: its own are calibrated as well, or it is not tried."""

from pathlib import Path

import pytest
from structlog.testing import capture_logs

from service.inference.engine import EngineOutput, EngineRequest
from service.moderation.calibrations import scored_by
from service.policy.calibration import Calibration, read_calibration
from testing.engine import PaintedEngine
from testing.waiting import wait_until
from tests.unit.moderation.shadow_parts import HARMLESS, LIVE, judgement
from tests.unit.moderation.test_shadow_engine import OnTrial
from tests.unit.policy.test_calibration import EVIDENCE, content, written


def calibration(folder: Path, *, height: float, engine: str) -> Calibration:
    """Return a calibration that takes a score of 1 to a height, for an engine of a kind."""
    scored = scored_by(PaintedEngine().describe(LIVE.instructions)).model_dump() | {"engine": engine}
    maps = {"classifier": {"method": "isotonic", "knots": [[0.0, 0.0], [1.0, height]], **EVIDENCE}}
    entry = {**scored, "categories": dict.fromkeys(PaintedEngine.CATEGORIES, maps)}
    return read_calibration(written(folder, content(engines=[entry])))


async def test_its_scores_are_calibrated_by_its_own_entry_where_live_ones_are(tmp_path: Path) -> None:
    class Red(PaintedEngine):
        async def judge(self, request: EngineRequest) -> EngineOutput:
            return EngineOutput(HARMLESS | {"violence": 0.95})

    trial = OnTrial(Red())
    file = calibration(tmp_path, height=0.2, engine="painted")
    async with trial.running():
        trial.shadow.offer(judgement(calibration=file))
        await wait_until(lambda: bool(trial.kept.records), description="the image was judged")
    (message,) = trial.kept.messages
    assert message.engine is not None
    verdict = message.engine.verdict
    assert verdict.decision == "allow"
    assert verdict.scores["violence"] == pytest.approx(0.19)
    assert verdict.uncalibrated == HARMLESS | {"violence": 0.95}
    assert verdict.calibration_file == file.identity


async def test_an_engine_without_an_entry_in_the_calibration_of_live_scores_is_not_tried(tmp_path: Path) -> None:
    engine = PaintedEngine()
    trial = OnTrial(engine)
    with capture_logs() as lines:
        async with trial.running():
            trial.shadow.offer(judgement(calibration=calibration(tmp_path, height=0.2, engine="another")))
            await wait_until(lambda: bool(trial.shadow.warnings()), description="the engine is given up")
    assert engine.requests == []
    (line,) = [line for line in lines if line["event"] == "shadow.engine_failed"]
    assert "policy.calibration: live scores are calibrated by this file, and it has no entry" in str(line["error"])
