"""The state of a training on disk: a killed process goes on from it and ends with the same weights."""

import fcntl
import io
import os
import pickle
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import torch

from service.tools.finetuning.training_errors import OutputFolderError

FILE = "checkpoint.pt"
_LOCK = ".lock"


@dataclass(frozen=True, slots=True)
class Evaluated:
    """What the validation said after a step."""

    step: int
    loss: float
    right: Mapping[str, float]


@dataclass(slots=True)
class TrainingState:
    """Everything that the rest of a training depends on. Chance depends on seed and step alone."""

    identity: str
    """Of data, model and settings; a checkpoint of another training is refused."""
    step: int = 0
    """Steps that are done."""
    seconds: float = 0.0
    """Spent in all processes."""
    weights: dict[str, Any] = field(default_factory=dict)
    optimizer: dict[str, Any] = field(default_factory=dict)
    best: Evaluated | None = None
    best_weights: dict[str, Any] = field(default_factory=dict)
    history: list[Evaluated] = field(default_factory=list)
    """All evaluations, the oldest first."""


class CheckpointStore:
    """Keeps one state in a folder, always a whole one."""

    def __init__(self, folder: Path) -> None:
        self._path = folder / FILE
        # Of one name, as one process at a time works in the folder: what a killed one left is written over.
        self._partial = folder / f".{FILE}.partial"

    def save(self, state: TrainingState) -> None:
        """Replace the state on disk; if that fails, the one of before is whole, and `OutputFolderError` is raised."""
        content = io.BytesIO()
        torch.save(_plain(state), content)  # to memory: what torch says of a full disk names none
        try:
            with self._partial.open("wb") as file:
                file.write(content.getbuffer())
                file.flush()
                os.fsync(file.fileno())
            self._partial.replace(self._path)
        except OSError as error:
            with suppress(OSError):
                self._partial.unlink(missing_ok=True)
            detail = f"the checkpoint of step {state.step} cannot be written ({_cause(error)}); "
            kept = "the one of before is whole, and the same command goes on from it" if self._path.exists() else ""
            detail += kept or "there is none of before: make room, and start again"
            raise OutputFolderError(folder=self._path.parent, detail=detail) from error

    def load(self, identity: str, device: str) -> TrainingState | None:
        """Return the state on disk; None if there is none. Raises `OutputFolderError` for one of another training."""
        if not self._path.exists():
            return None
        try:
            content = torch.load(self._path, map_location=device, weights_only=True)
            state = _state(content)
        except (OSError, RuntimeError, pickle.UnpicklingError, EOFError, KeyError, TypeError, ValueError) as error:
            detail = f"{FILE} cannot be read ({_cause(error)}): remove it to start again"
            raise OutputFolderError(folder=self._path.parent, detail=detail) from error
        if state.identity != identity:
            detail = (
                f"{FILE} is of a training with other data, another model or other options: repeat that command, name "
                "another folder with --out, or remove the file"
            )
            raise OutputFolderError(folder=self._path.parent, detail=detail)
        return state

    def remove(self) -> None:
        """Remove the state: the training is over."""
        for path in (self._path, self._partial):
            path.unlink(missing_ok=True)


@contextmanager
def exclusive(folder: Path) -> Iterator[None]:
    """Make a folder, and keep every other training out of it; raises `OutputFolderError`."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
        file = (folder / _LOCK).open("w")
    except OSError as error:
        raise OutputFolderError(folder=folder, detail=f"it cannot be written: {error.strerror}") from error
    with file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            detail = "another process works in it: wait for it, or name another folder with --out"
            raise OutputFolderError(folder=folder, detail=detail) from None
        yield


def _plain(state: TrainingState) -> dict[str, Any]:
    """Return what `torch.load` reads without running code: tensors, texts, numbers, lists and dictionaries."""
    names = ("identity", "step", "seconds", "weights", "optimizer", "best_weights")
    history = [{**asdict(each), "right": dict(each.right)} for each in state.history]
    return {name: getattr(state, name) for name in names} | {"history": history}


def _state(content: dict[str, Any]) -> TrainingState:
    history = [Evaluated(**each) for each in content.pop("history")]
    best = min(history, key=lambda each: each.loss, default=None)
    return TrainingState(**content, history=history, best=best)


def _cause(error: Exception) -> str:
    if isinstance(error, OSError) and error.strerror:
        return error.strerror
    return str(error).partition("\n")[0][:200]
