"""The calibration of what the engine says for a policy, by the file of `policy.calibration`."""

from service.inference.engine import EngineDescription
from service.policy.calibration import Calibration, EngineCalibration, ScoredBy
from service.policy.errors import CalibrationMismatchError
from service.policy.policy import Policy
from service.policy.taxonomy import CHILD_SAFETY


def calibration_for(
    calibration: Calibration | None, engine: EngineDescription, policy: str
) -> EngineCalibration | None:
    """Return the calibration of an engine as it is described for a policy; None without a file.

    Raises `CalibrationMismatchError` if the file was not fitted on such scores. An engine that covers nothing has no
    scores, and any file fits it.
    """
    if calibration is None or not engine.covers:
        return None
    return calibration.for_engine(scored_by(engine), engine.covers, policy=policy)


def check_calibration(calibration: Calibration | None, engine: EngineDescription, policy: Policy) -> None:
    """Raise `CalibrationMismatchError` if scores of an engine cannot be calibrated for a policy.

    That is so where the file has no entry for them, and where a map takes even the surest score for child safety below
    the policy's threshold: the file would switch the category off.
    """
    maps = calibration_for(calibration, engine, policy.name)
    review = policy.categories[CHILD_SAFETY].review
    if calibration is None or maps is None or review is None:
        return
    for kind, of_kind in (("questions", maps.asked), ("the other scores", maps.unasked)):
        if CHILD_SAFETY in of_kind and (highest := of_kind[CHILD_SAFETY](1.0)) < review:
            detail = (
                f"it turns every score of {CHILD_SAFETY} into {highest:.3g} at most ({kind}), and the threshold for "
                f"review is {review}, which nothing could reach"
            )
            raise CalibrationMismatchError(path=calibration.path, policy=policy.name, detail=detail)


def scored_by(engine: EngineDescription) -> ScoredBy:
    """Return what determines an engine's scores."""
    return ScoredBy(
        engine=engine.kind,
        model=engine.model_name,
        revision=engine.model_revision,
        adapter=engine.adapter,
        precision=engine.precision,
        prompt_hash=engine.prompt_hash,
        label_source=engine.label_source,
        scoring=engine.calibration,
        preprocessing=engine.preprocessing,
    )
