"""The training of an adapter: steps, validation, checkpoints, and the best weights at the end."""

import math
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch

from service.tools.finetuning.encoding import EncodedImage
from service.tools.finetuning.training.answers import Score, Scores, loss_sum, read_answers
from service.tools.finetuning.training.checkpoints import CheckpointStore, Evaluated, TrainingState
from service.tools.finetuning.training.lora import set_trained_weights, trained_weights
from service.tools.finetuning.training.packing import Packer, Pass
from service.tools.finetuning.training_errors import TrainingDivergedError, TrainingMemoryError
from service.tools.finetuning.training_options import TrainingOptions

_WARM_UP = 0.05
"""Share of the steps in which the learning rate rises; it falls along a cosine after them."""
_LOWEST_RATE = 0.1
"""Share of the highest learning rate that is left at the last step."""
_CLIP_NORM = 1.0
_WEIGHT_DECAY = 0.01


class InterruptedTrainingError(Exception):
    """The training was asked to stop, and has kept a checkpoint."""


@dataclass(frozen=True, slots=True)
class Progress:
    """How far a training is."""

    step: int
    steps: int
    loss: float
    """Of the last step."""
    validation: Evaluated | None
    """The newest; None before the first."""
    best: Evaluated | None
    seconds_left: float
    """At most: until the last step, by the pace of this process."""


@dataclass(frozen=True, slots=True)
class Trained:
    """What came of a training."""

    best: Evaluated
    """Its weights are set in the model."""
    before: Evaluated
    """Of the model without the adapter."""
    steps: int
    seconds: float
    history: Sequence[Evaluated]
    stopped_early: bool


@dataclass(frozen=True)
class Trainer:
    """Trains the adapter that was added to a model."""

    model: Any
    """A `Qwen3VLForConditionalGeneration` whose trained tensors require a gradient."""
    device: str
    packer: Packer
    options: TrainingOptions
    store: CheckpointStore
    identity: str
    clock: Callable[[], float] = time.monotonic

    def train(
        self,
        images: Sequence[EncodedImage],
        validation: Sequence[EncodedImage],
        *,
        on_progress: Callable[[Progress], None] = lambda _: None,
        should_stop: Callable[[], bool] = lambda: False,
    ) -> Trained:
        """Train from the last checkpoint on, or from the start, and set the best weights in the model.

        Raises `InterruptedTrainingError` after `should_stop`, `TrainingMemoryError`, `TrainingDivergedError` and
        `OutputFolderError`; the checkpoint is whole after each.
        """
        try:
            return _Run(self, images, validation, on_progress).to_the_end(should_stop)
        except torch.OutOfMemoryError as error:
            raise TrainingMemoryError(device=_device_name(self.device), detail=_first_line(error)) from error

    def score(self, images: Sequence[EncodedImage]) -> Score:
        """Return how the model answers the questions about images."""
        was_training = self.model.training
        self.model.eval()
        scores = Scores()
        with torch.no_grad():
            for packed in self.packer.passes(images):
                on_device = packed.to(self.device)
                scores.add(read_answers(self.model, on_device), on_device)
        self.model.train(was_training)
        return scores.total()


class _Run:
    """One process's part of a training."""

    def __init__(
        self,
        trainer: Trainer,
        images: Sequence[EncodedImage],
        validation: Sequence[EncodedImage],
        on_progress: Callable[[Progress], None],
    ) -> None:
        self._trainer = trainer
        self._options = trainer.options
        self._images = images
        self._validation = validation
        self._on_progress = on_progress
        self._steps_an_epoch = math.ceil(len(images) / self._options.images_a_step)
        self._steps = self._steps_an_epoch * self._options.epochs
        self._every = max(1, self._steps_an_epoch // self._options.validations_an_epoch)
        self._weights = trained_weights(trainer.model)
        self._optimizer = torch.optim.AdamW(
            self._weights.values(), lr=self._options.learning_rate, weight_decay=_WEIGHT_DECAY, betas=(0.9, 0.98)
        )
        self._state = self._begun()
        self._saved_s = trainer.clock()

    def to_the_end(self, should_stop: Callable[[], bool]) -> Trained:
        state, clock = self._state, self._trainer.clock
        begun_s, begun_step, earlier_s = clock(), state.step, state.seconds
        self._trainer.model.train()
        stopped_early = self._is_hopeless()
        while state.step < self._steps and not stopped_early:
            loss = self._learn(state.step)
            state.step += 1
            state.seconds = earlier_s + clock() - begun_s
            is_due = state.step % self._every == 0 or state.step == self._steps
            if is_due:
                self._validate()
                stopped_early = self._is_hopeless()
            stops = should_stop()
            if is_due or stops or clock() - self._saved_s >= self._options.checkpoint_every_s:
                self._save()
            pace_s = (clock() - begun_s) / (state.step - begun_step)
            left_s = pace_s * (self._steps - state.step)
            newest = state.history[-1]
            self._on_progress(Progress(state.step, self._steps, loss, newest, state.best, left_s))
            if stops and state.step < self._steps and not stopped_early:
                raise InterruptedTrainingError
        set_trained_weights(self._trainer.model, state.best_weights)
        best = state.best or state.history[0]
        return Trained(best, state.history[0], state.step, state.seconds, tuple(state.history), stopped_early)

    def _begun(self) -> TrainingState:
        """Return the state on disk, set in model and optimizer; or that of the start, with the first validation."""
        trainer = self._trainer
        state = trainer.store.load(trainer.identity, trainer.device)
        if state is not None:
            set_trained_weights(trainer.model, state.weights)
            self._optimizer.load_state_dict(state.optimizer)
            return state
        state = self._state = TrainingState(trainer.identity)
        self._validate()
        return state

    def _learn(self, step: int) -> float:
        """Take one step; return its loss."""
        options, trainer = self._options, self._trainer
        # Of dropout. Chance that follows from the step needs no state, and a resumed training meets the same.
        torch.manual_seed(options.seed * 1_000_003 + step)
        for group in self._optimizer.param_groups:
            group["lr"] = self._rate(step)
        images = self._images_of(step)
        weight = sum(question.weight for image in images for question in image.questions)
        total = 0.0
        for packed in trainer.packer.passes(images):
            on_device: Pass = packed.to(trainer.device)
            loss = loss_sum(read_answers(trainer.model, on_device), on_device) / weight
            loss.backward()
            total += float(loss.detach())
        if not math.isfinite(total):
            raise TrainingDivergedError(step=step + 1, rate=options.learning_rate, checkpoint=self._state.step)
        torch.nn.utils.clip_grad_norm_(self._weights.values(), _CLIP_NORM)
        self._optimizer.step()
        self._optimizer.zero_grad(set_to_none=True)
        return total

    def _images_of(self, step: int) -> Sequence[EncodedImage]:
        epoch, place = divmod(step, self._steps_an_epoch)
        order = np.random.default_rng([self._options.seed, epoch]).permutation(len(self._images))
        size = self._options.images_a_step
        return [self._images[number] for number in order[place * size : (place + 1) * size]]

    def _rate(self, step: int) -> float:
        highest, warm_up = self._options.learning_rate, max(1, round(_WARM_UP * self._steps))
        if step < warm_up:
            return highest * (step + 1) / warm_up
        through = (step - warm_up) / max(1, self._steps - warm_up)
        return highest * (_LOWEST_RATE + (1 - _LOWEST_RATE) * (1 + math.cos(math.pi * through)) / 2)

    def _validate(self) -> None:
        state = self._state
        score = self._trainer.score(self._validation)
        found = Evaluated(state.step, score.loss, score.right)
        state.history.append(found)
        if state.best is None or found.loss < state.best.loss:
            state.best = found
            state.best_weights = {name: weight.detach().clone() for name, weight in self._weights.items()}

    def _is_hopeless(self) -> bool:
        """Return whether the last validations, as many as the patience, brought nothing better."""
        state = self._state
        newest = [each.step for each in state.history]
        return state.best is not None and len(newest) - 1 - newest.index(state.best.step) >= self._options.patience

    def _save(self) -> None:
        state = self._state
        state.weights = {name: weight.detach() for name, weight in self._weights.items()}
        state.optimizer = self._optimizer.state_dict()
        self._trainer.store.save(state)
        self._saved_s = self._trainer.clock()


def _device_name(device: str) -> str:
    return str(torch.cuda.get_device_name(device)) if device.startswith("cuda") else device


def _first_line(error: Exception) -> str:
    return str(error).partition("\n")[0].partition(". ")[0]
