"""Pure: from labelled images with verdicts to the calibration of the engine that judged them."""

import hashlib
import json
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

import numpy as np
import yaml

from schemas.verdict import VerdictV1
from service.core.errors import FatalError
from service.policy.calibration import FORMAT, CalibratedEngine, CalibrationFile, FittedOn, ScoredBy
from service.policy.judged import JudgedFrame, JudgedImage, ScoreKind
from service.tools.evaluation.calibration.fit import MIN_EXAMPLES, Fit, LabelledScores, fit
from service.tools.evaluation.datasets.dataset import Dataset
from service.tools.evaluation.quality.predictions import Prediction

ScoreOf = tuple[str, ScoreKind]
"""A category and a kind of score."""


class TooFewExamplesError(FatalError):
    """A dataset does not suffice for a calibration."""

    reason = "calibrate.too_few_examples"
    message = "{dataset}: {detail}"


@dataclass(frozen=True, slots=True)
class EngineFit:
    """The maps of one engine with one prompt."""

    scored_by: ScoredBy
    fits: Mapping[ScoreOf, Fit]
    """For every category that the engine covers and every kind of its scores, in the taxonomy's order."""

    def entry(self) -> CalibratedEngine:
        """Return the entry of a calibration file."""
        categories: dict[str, dict[str, object]] = defaultdict(dict)
        for (category, kind), found in self.fits.items():
            categories[category][kind] = found.fitted
        return CalibratedEngine.model_validate({**self.scored_by.model_dump(), "categories": categories})

    def fitted(self) -> Mapping[ScoreOf, Fit]:
        """Return the fits with enough examples, those that need no map included."""
        return {of: each for of, each in self.fits.items() if each.before is not None}


@dataclass(frozen=True, slots=True)
class _Example:
    category: str
    kind: ScoreKind
    score: float
    positive: bool
    image: str
    """SHA-256 of the file."""


def fit_engines(dataset: Dataset, predictions: Sequence[Prediction], *, seed: int) -> Sequence[EngineFit]:
    """Return the calibration of each engine and prompt that judged the images, in the order of its first verdict.

    Images that a first pass cleared are left out: no calibration is applied to their scores.
    """
    judged: dict[ScoredBy, list[tuple[Prediction, VerdictV1]]] = defaultdict(list)
    for each in predictions:
        if each.verdict is not None and each.verdict.status == "moderated" and not _is_cleared(each.verdict):
            judged[scored_by_verdict(each.verdict)].append((each, each.verdict))
    return [_fit_engine(dataset, scored_by, images, seed=seed) for scored_by, images in judged.items()]


def _is_cleared(verdict: VerdictV1) -> bool:
    return verdict.first_pass is not None and verdict.first_pass.decided


def _fit_engine(
    dataset: Dataset, scored_by: ScoredBy, judged: Sequence[tuple[Prediction, VerdictV1]], *, seed: int
) -> EngineFit:
    examples: dict[ScoreOf, list[_Example]] = {}
    for category in judged[0][1].scores:
        examples |= {(category, kind): [] for kind in scored_by.kinds}
    for prediction, verdict in judged:
        for each in _examples(dataset, prediction, verdict, scored_by.kinds[0]):
            examples.setdefault((each.category, each.kind), []).append(each)
    return EngineFit(scored_by, {of: fit(_arrays(each), seed=seed) for of, each in examples.items()})


def _examples(dataset: Dataset, prediction: Prediction, verdict: VerdictV1, unasked: ScoreKind) -> Iterator[_Example]:
    """Yield an example for each labelled category: that of the frame with the highest score of the engine's own."""
    frames = JudgedImage.from_verdict(verdict).frames
    image = prediction.key.sha256 if prediction.key else verdict.image.sha256
    for category in verdict.scores:
        if not dataset.is_about(prediction.example, category):
            continue
        frame = max(frames, key=lambda each: _own_scores(each)[category])
        yield _Example(
            category,
            kind="question" if category in frame.asked else unasked,
            score=_own_scores(frame)[category],
            positive=category in prediction.example.categories,
            image=image,
        )


def _own_scores(frame: JudgedFrame) -> Mapping[str, float]:
    return frame.scores if frame.uncalibrated is None else frame.uncalibrated


def _arrays(examples: Sequence[_Example]) -> LabelledScores:
    numbers: dict[str, int] = {}
    return LabelledScores(
        np.array([each.score for each in examples], dtype=np.float64),
        np.array([each.positive for each in examples], dtype=np.bool_),
        np.array([numbers.setdefault(each.image, len(numbers)) for each in examples], dtype=np.int64),
    )


def scored_by_verdict(verdict: VerdictV1) -> ScoredBy:
    """Return what determined a verdict's scores."""
    return ScoredBy(
        engine=verdict.engine,
        model=verdict.model.name,
        revision=verdict.model.revision,
        adapter=verdict.model.adapter,
        precision=verdict.model.precision,
        prompt_hash=verdict.prompt_hash,
        label_source=verdict.label_source,
        scoring=verdict.calibration,
        preprocessing=verdict.preprocessing,
    )


def check_enough(dataset: Dataset, engines: Sequence[EngineFit], wanted: Iterable[str]) -> None:
    """Raise `TooFewExamplesError` if nothing could be fitted, or nothing of a category that is wanted."""
    for engine in engines:
        fitted = {category for category, _ in engine.fitted()}
        missing = [category for category in wanted if category not in fitted]
        if missing or not fitted:
            raise TooFewExamplesError(dataset=dataset.source, detail=_shortage(engine, missing))
    if not engines:
        raise TooFewExamplesError(dataset=dataset.source, detail="no image was judged")


def _shortage(engine: EngineFit, missing: Sequence[str]) -> str:
    short = [
        f"{category} ({kind}): {found.fitted.positives} positive and {found.fitted.negatives} negative"
        for (category, kind), found in engine.fits.items()
        if found.before is None and (not missing or category in missing)
    ]
    named = "; ".join(short) or "the engine covers no such category"
    of = f"for {', '.join(missing)}" if missing else "for any category"
    return f"too few different images {of}; each needs at least {MIN_EXAMPLES} positive and negative ones: {named}"


def calibration_file(
    dataset: Dataset,
    predictions: Sequence[Prediction],
    engines: Sequence[EngineFit],
    *,
    name: str,
    version: str,
    fitted_at: datetime,
) -> CalibrationFile:
    """Return the file; raises pydantic's `ValidationError` for a name or version that cannot be one."""
    labels = sorted((each.key.sha256, sorted(each.example.categories)) for each in predictions if each.key is not None)
    digest = hashlib.sha256(json.dumps(labels).encode()).hexdigest()
    return CalibrationFile(
        format=FORMAT,
        name=name,
        version=version,
        fitted_at=fitted_at,
        fitted_on=FittedOn(dataset=dataset.source, images=len(labels), sha256=digest),
        engines=tuple(each.entry() for each in engines),
    )


def calibration_text(file: CalibrationFile) -> str:
    """Return the text of a calibration file."""
    content = yaml.safe_dump(
        file.model_dump(mode="json"), sort_keys=False, default_flow_style=None, allow_unicode=True, width=120
    )
    return f"# Written by modstream calibrate; the setting policy.calibration names this file.\n{content}"
