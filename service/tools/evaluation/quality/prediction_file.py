"""Predictions as JSON lines: an image a line, with its labels and its verdict; an interrupted run goes on with it."""

import fcntl
import os
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from types import TracebackType
from typing import BinaryIO, Literal, Self

from pydantic import BaseModel, ConfigDict, TypeAdapter, ValidationError

from service.core.errors import FatalError
from service.core.validation_text import placed_text_of
from service.policy.errors import UnusableScoresError
from service.policy.judged import JudgedImage
from service.telemetry.plain_text import escaped_json
from service.tools.evaluation.quality.predictions import Prediction, PredictionKey

_LINE_LIMIT_BYTES = 4 * 1024 * 1024
"""A verdict of the most categories has some ten kilobytes."""


class PredictionFileError(FatalError):
    """A file of predictions cannot be used."""

    reason = "evaluate.invalid_predictions"
    message = "{path}, line {line}: {detail}"


class _Line(BaseModel):
    """One line of the file."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    version: Literal[1] = 1
    prediction: Prediction


_LINES = TypeAdapter(_Line)

_BEGINNING = b'{"version":1,"prediction":{'
"""Of every line."""


def read_predictions(path: Path) -> Iterator[Prediction]:
    """Yield the predictions of a file; raise `PredictionFileError` with the line of what is wrong.

    A last line without an end was being written when its process was killed, and is left out.
    """
    try:
        with path.open("rb") as file:
            number = 0
            while line := file.readline(_LINE_LIMIT_BYTES + 1):
                number += 1
                if not line.endswith(b"\n"):
                    if len(line) > _LINE_LIMIT_BYTES:
                        raise PredictionFileError(path=path, line=number, detail="the line is too long")
                    return
                yield _parsed(line, path, number)
    except OSError as error:
        detail = f"the file cannot be read: {error.strerror}"
        raise PredictionFileError(path=path, line=1, detail=detail) from error


def _parsed(line: bytes, path: Path, number: int) -> Prediction:
    try:
        prediction = _LINES.validate_json(line).prediction
        if prediction.verdict is not None:
            JudgedImage.from_verdict(prediction.verdict)
    except ValidationError as error:
        fault = error.errors(include_input=False)[0]
        detail = f"this is no prediction of this version: {placed_text_of(fault)}"
    except UnusableScoresError as error:
        detail = str(error)
    else:
        return prediction
    raise PredictionFileError(path=path, line=number, detail=detail)


def write_predictions(path: Path, predictions: Iterable[Prediction]) -> None:
    """Write a file of predictions; it appears when it is complete. Raises `OSError`."""
    temporary = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        with temporary.open("wb") as file:
            for each in predictions:
                file.write(_encoded(each))
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)


def _encoded(prediction: Prediction) -> bytes:
    return escaped_json(_LINES.dump_json(_Line(prediction=prediction)).decode()).encode() + b"\n"


class PredictionJournal:
    """A file of predictions that a run appends to; a context manager. One process at a time may hold it."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._file: BinaryIO | None = None
        self.stored: Mapping[PredictionKey, Prediction] = {}
        """The verdicts that the file had when it was opened, by what they depend on."""

    def __enter__(self) -> Self:
        """Open and read the file; a line that was not completed is cut off.

        Raises `PredictionFileError` for a file that holds something else, which stays as it is, and `OSError`.
        """
        self._path.parent.mkdir(parents=True, exist_ok=True)
        self._file = self._path.open("ab+")
        try:
            _lock(self._file, self._path)
            found = [*read_predictions(self._path)]
            _cut_incomplete_line(self._file, self._path)
        except BaseException:
            self._file.close()
            raise
        self.stored = {each.key: each for each in found if each.key is not None and each.verdict is not None}
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Close the file."""
        if self._file is not None:
            self._file.close()
            self._file = None

    def append(self, prediction: Prediction) -> None:
        """Write a line; it survives the end of this process. Raises `OSError`."""
        if self._file is None:
            raise ValueError("the journal is closed")
        self._file.write(_encoded(prediction))
        self._file.flush()


def _lock(file: BinaryIO, path: Path) -> None:
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        detail = "another process writes to it; name another file with --predictions"
        raise PredictionFileError(path=path, line=1, detail=detail) from None


def _cut_incomplete_line(file: BinaryIO, path: Path) -> None:
    """Cut off the end of a file behind its last line; raise `PredictionFileError` if that is nothing of ours."""
    end = file.seek(0, os.SEEK_END)
    start = max(0, end - _LINE_LIMIT_BYTES)
    file.seek(start)
    tail = file.read()
    whole = tail.rfind(b"\n") + 1
    if not whole and not tail.startswith(_BEGINNING[: len(tail)]):
        raise PredictionFileError(path=path, line=1, detail="this is no file of predictions")
    file.truncate(start + whole)
