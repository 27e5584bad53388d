"""Trains an adapter for the command: its options, the progress, and Ctrl-C."""

import signal
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from types import FrameType

import typer

from service.cli.exits import ExitCode
from service.cli.finetune_train import check_name
from service.cli.options import error_console, output_console, plain
from service.inference.adapter_card import AdapterCard, ServedModel
from service.inference.vllm.arguments import wanted_revision
from service.inference.vllm.model_files import model_name
from service.settings.settings import Settings
from service.tools.finetuning.examples import open_prepared
from service.tools.finetuning.memory_plan import TrainingPlan, TrainingWork, plan_training
from service.tools.finetuning.training.base_model import cuda_card
from service.tools.finetuning.training.session import Hooks, TrainingRequest, train_adapter
from service.tools.finetuning.training.trainer import InterruptedTrainingError, Progress
from service.tools.finetuning.training_options import Quantize, TrainingOptions
from service.tools.planning.gpus import GpuNameError, find_gpu
from service.tools.planning.models import ModelNameError, find_model

_TOKENS, _TOKENS_ON_CPU = 8192, 2048
"""In memory at a time where no plan says it; on a CPU long sequences only make attention slower."""

_LINE_EVERY_S = 15.0
"""Between lines of progress where there is no terminal."""


@dataclass(frozen=True, slots=True)
class TrainAsked:
    """What the options of the command say."""

    prepared: Path
    base: str | None
    """None for the model of the settings."""
    revision: str | None
    out: Path
    name: str | None
    serve_on: Sequence[str]
    quantize: str
    tokens_a_pass: int | None
    """None for what suits the card."""
    learning: Mapping[str, object]
    """Fields of `TrainingOptions`."""


def trained(settings: Settings, asked: TrainAsked) -> AdapterCard:
    """Train, show the progress, and print what came of it; raises `FatalError`."""
    name = asked.name or asked.out.resolve().name
    check_name(name)
    data = open_prepared(asked.prepared)
    vllm = settings.engine.vllm
    base = asked.base or vllm.model
    revision = asked.revision if asked.base else asked.revision or wanted_revision(vllm)
    options = TrainingOptions(
        **{  # type: ignore[arg-type]  # the command's options have the fields' types
            **asked.learning,
            **_fitting(asked, base),
            "min_vision_tokens": vllm.min_vision_tokens,
            "max_vision_tokens": vllm.max_vision_tokens,
        }
    )
    served = tuple(_served(text) for text in asked.serve_on)
    request = TrainingRequest(base, revision, asked.out, name, options, served)
    console = error_console()
    with _stop_asked() as stop, _Reporter() as reporter:
        try:
            card = train_adapter(data, request, Hooks(reporter.stage, reporter.show, stop))
        except InterruptedTrainingError:
            console.print(f"stopped: the same command goes on from the checkpoint in {asked.out}", highlight=False)
            raise typer.Exit(ExitCode.INTERRUPTED) from None
    _print(card, asked)
    return card


def _served(text: str) -> ServedModel:
    model, _, revision = text.partition("@")
    return ServedModel(model=model_name(model), revision=revision or None)


def _fitting(asked: TrainAsked, base: str) -> Mapping[str, object]:
    """Return how weights are kept and how much is computed at a time: as asked, or as the plan for this card says."""
    card = cuda_card()
    plan = _plan(card, base) if card is not None else None
    chosen: Quantize = plan.quantize if plan is not None else "none"
    tokens = plan.tokens_a_pass if plan is not None else _TOKENS_ON_CPU if card is None else _TOKENS
    quantize = chosen if asked.quantize == "auto" else asked.quantize
    return {"quantize": quantize, "tokens_a_pass": asked.tokens_a_pass or tokens}


def _plan(card: str, base: str) -> TrainingPlan | None:
    """Return the plan for a card and a model; None if one of them is unknown, or nothing fits."""
    try:
        return plan_training(find_gpu(card), find_model(base), TrainingWork())
    except (GpuNameError, ModelNameError):
        return None


@contextmanager
def _stop_asked() -> Iterator["_Stop"]:
    """Let the first SIGINT or SIGTERM ask for an end after the present step; the second SIGINT ends at once."""
    stop = _Stop()
    before = {number: signal.signal(number, stop.ask) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield stop
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


class _Stop:
    def __init__(self) -> None:
        self._asked = False

    def __call__(self) -> bool:
        return self._asked

    def ask(self, _number: int, _frame: FrameType | None) -> None:
        if self._asked:
            raise KeyboardInterrupt
        self._asked = True
        sys.stderr.write("\nstopping after this step; Ctrl-C again ends at once\n")


class _Reporter:
    """Shows progress on standard error: one line that changes on a terminal, else a line now and then."""

    def __init__(self) -> None:
        self._console = error_console()
        self._is_terminal = self._console.is_terminal
        self._shown_s = 0.0
        self._validated = -1

    def __enter__(self) -> "_Reporter":
        return self

    def __exit__(self, *_: object) -> None:
        if self._is_terminal:
            sys.stderr.write("\n")

    def stage(self, text: str) -> None:
        """Show what begins."""
        self._console.print(f"{text} …", highlight=False, markup=False)

    def show(self, progress: Progress) -> None:
        """Show a step; every validation has a line of its own."""
        now_s = time.monotonic()
        newest = progress.validation.step if progress.validation else -1
        if newest != self._validated or progress.step == progress.steps:
            self._validated = newest
            self._console.print(("\n" if self._is_terminal else "") + _line(progress), highlight=False, markup=False)
        elif self._is_terminal:
            sys.stderr.write(f"\r{_line(progress)}\x1b[K")
            sys.stderr.flush()
        elif now_s - self._shown_s >= _LINE_EVERY_S:
            self._console.print(_line(progress), highlight=False, markup=False)
        else:
            return
        self._shown_s = now_s


def _line(progress: Progress) -> str:
    parts = [f"step {progress.step:,}/{progress.steps:,}", f"loss {progress.loss:.4f}"]
    if (found := progress.validation) is not None:
        right = " ".join(f"{kind} {share:.3f}" for kind, share in sorted(found.right.items()))
        parts.append(f"validation {found.loss:.4f} ({right})")
    if progress.best is not None:
        parts.append(f"best {progress.best.loss:.4f} at step {progress.best.step:,}")
    return ", ".join([*parts, f"{_duration(progress.seconds_left)} left"])


def _duration(seconds: float) -> str:
    hours, rest = divmod(round(seconds), 3600)
    return f"{hours}:{rest // 60:02}:{rest % 60:02}"


def _print(card: AdapterCard, asked: TrainAsked) -> None:
    facts, folder = card.training, plain(str(asked.out))
    console = output_console()
    console.print(
        f"{folder}: the adapter {card.name} for {card.base.text}; validation loss {facts.validation_loss_before:.4f}"
        f" → {facts.validation_loss:.4f} at step {facts.best_step:,} of {facts.steps:,}"
    )
    console.print("Measure it before you use it:")
    console.print(
        f"  modstream finetune evaluate {folder} {plain(str(asked.prepared))} --policy FILE -c modstream.yaml"
    )
