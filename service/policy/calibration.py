"""The file of the setting `policy.calibration`: from an engine's scores to probabilities that mean the same everywhere.

`modstream calibrate` writes it. Each entry belongs to one engine with one prompt; scores of another would be mapped to
wrong probabilities, so that a service whose engine has no entry does not start.
"""

import hashlib
from collections import Counter
from collections.abc import Mapping, Set
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Annotated, Literal

from pydantic import AwareDatetime, Field, StringConstraints, field_validator

from service.core.documents import Read, parse_document, read_bounded
from service.core.file_kinds import CALIBRATION, other_kind_hint
from service.policy.errors import CalibrationFileError, CalibrationMismatchError
from service.policy.judged import JudgedFrame, JudgedImage, ScoreKind
from service.policy.score_maps import AnyScoreMap, Count, ScoreMap
from service.policy.words import Name, Part, mistake

FORMAT: Literal["modstream-calibration/1"] = "modstream-calibration/1"


class ScoredBy(Part):
    """What determines an engine's scores: two engines that agree in all of it have one calibration."""

    engine: str
    """Kind of the engine, as in verdicts."""
    model: str
    revision: str
    adapter: str | None
    precision: str | None
    prompt_hash: str | None
    """SHA-256 of the prompt; null where the engine takes none."""
    label_source: str | None
    scoring: str | None
    """A verdict's `calibration`: the way from answers to scores, the labels' prior included."""
    preprocessing: str | None

    @property
    def kinds(self) -> tuple[ScoreKind, ...]:
        """The kinds of its scores; the first one is that of categories that were not asked about one by one."""
        return ("classifier",) if self.prompt_hash is None else ("list", "question")

    def differences(self, other: "ScoredBy") -> Mapping[str, tuple[object, object]]:
        """Return the fields that differ, each with this one's value and the other's."""
        own, others = self.model_dump(), other.model_dump()
        return {name: (value, others[name]) for name, value in own.items() if value != others[name]}


class FittedOn(Part):
    """The labelled images of a calibration."""

    dataset: str
    """Its path or name when it was read."""
    images: Count
    sha256: Annotated[str, StringConstraints(pattern=r"^[0-9a-f]{64}$")]
    """Checksum of the images' own checksums and labels: equal data, equal value."""


class CalibratedEngine(ScoredBy):
    """One engine's maps by category and kind of score."""

    categories: Annotated[Mapping[Name, Mapping[ScoreKind, AnyScoreMap]], Field(min_length=1)]

    @cached_property
    def scored_by(self) -> ScoredBy:
        """The engine alone."""
        return ScoredBy(**{name: getattr(self, name) for name in ScoredBy.model_fields})

    def maps_of(self, kind: ScoreKind) -> Mapping[str, ScoreMap]:
        """Return the map of each category that has one for a kind of score."""
        return {name: maps[kind].score_map() for name, maps in self.categories.items() if kind in maps}


class CalibrationFile(Part):
    """A calibration as in its file."""

    format: Literal["modstream-calibration/1"]
    name: Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9._-]{1,64}$")]
    version: Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9._-]{1,64}$")]
    fitted_at: AwareDatetime
    fitted_on: FittedOn
    engines: Annotated[tuple[CalibratedEngine, ...], Field(min_length=1)]

    @field_validator("engines")
    @classmethod
    def _differ(cls, engines: tuple[CalibratedEngine, ...]) -> tuple[CalibratedEngine, ...]:
        counts = Counter(entry.scored_by.model_dump_json() for entry in engines)
        if max(counts.values()) > 1:
            raise mistake("two entries are for the same engine, and only one of them could count")
        return engines


@dataclass(frozen=True, slots=True)
class EngineCalibration:
    """The maps for one engine with one prompt."""

    file: str
    """Name, version and SHA-256 of the file, as verdicts hold it."""
    unasked: Mapping[str, ScoreMap]
    """By category, for the scores of a classifier, or of the list of categories."""
    asked: Mapping[str, ScoreMap]
    """By category, for the answers to questions about one category; empty for classifiers."""

    def applied(self, image: JudgedImage) -> JudgedImage:
        """Return an image with calibrated scores, frame by frame, beside those that its engine gave."""
        return replace(image, frames=tuple(self._applied(frame) for frame in image.frames))

    def _applied(self, frame: JudgedFrame) -> JudgedFrame:
        scores = {
            name: (self.asked if name in frame.asked else self.unasked)[name](score)
            for name, score in frame.scores.items()
        }
        return JudgedFrame(scores, frame.asked, uncalibrated=frame.scores)


@dataclass(frozen=True, slots=True)
class Calibration:
    """A file that was read: its entries and what identifies it."""

    path: Path
    content: CalibrationFile
    sha256: str

    def for_engine(self, scored_by: ScoredBy, covers: Set[str], *, policy: str) -> EngineCalibration:
        """Return the maps for an engine that covers these categories, with a policy's prompt.

        Raises `CalibrationMismatchError` if the file has no entry for the engine, or none for a category.
        """
        entry = next((entry for entry in self.content.engines if entry.scored_by == scored_by), None)
        if entry is None:
            raise self._mismatch(_nearest(self.content.engines, scored_by), policy)
        kinds = scored_by.kinds
        has_all = {name for name, maps in entry.categories.items() if maps.keys() >= set(kinds)}
        if missing := sorted(covers - has_all):
            lacking = f"its entry for this engine lacks maps ({', '.join(kinds)}) for {', '.join(missing)}"
            raise self._mismatch(lacking, policy)
        return EngineCalibration(self.identity, entry.maps_of(kinds[0]), entry.maps_of("question"))

    @property
    def identity(self) -> str:
        """Name, version and SHA-256 of the file."""
        return f"{self.content.name}/{self.content.version} sha256:{self.sha256}"

    def _mismatch(self, detail: str, policy: str) -> CalibrationMismatchError:
        return CalibrationMismatchError(path=self.path, policy=policy, detail=detail)


def read_calibration(path: Path, read: Read = read_bounded, *, known: Calibration | None = None) -> Calibration:
    """Read a calibration file, or return the known one if it is the same; to parse the largest takes 20 s of a CPU.

    Raises `CalibrationFileError` with the line of what is wrong.
    """
    try:
        content = read(path)
    except OSError as refusal:
        detail = f"the file cannot be read: {refusal.strerror}"
        raise CalibrationFileError(path=path, line=1, detail=detail) from refusal
    sha256 = hashlib.sha256(content).hexdigest()
    if known is not None and (known.path, known.sha256) == (path, sha256):
        return known
    document = parse_document(path, content, CalibrationFileError)
    if (hint := other_kind_hint(document.content, CALIBRATION)) is not None:
        raise document.problem(hint)
    return Calibration(path, document.check(CalibrationFile).result(), sha256)


def calibration_identity(path: Path | None) -> str | None:
    """Return what verdicts name as the calibration file of `policy.calibration`; None where the setting is unset.

    Raises `CalibrationFileError`.
    """
    return None if path is None else read_calibration(path).identity


def _nearest(entries: tuple[CalibratedEngine, ...], scored_by: ScoredBy) -> str:
    """Describe how the entry that differs least from an engine differs from it."""
    differences = min((scored_by.differences(entry.scored_by) for entry in entries), key=len)
    return "; ".join(
        f"{name} is {running!r}, and {fitted!r} in the nearest entry" for name, (running, fitted) in differences.items()
    )
