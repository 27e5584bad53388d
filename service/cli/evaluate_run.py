"""Evaluates an engine on a dataset for the command: the settings, the run with its progress, the figures."""

import asyncio
import hashlib
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import typer
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn

from service.cli.exits import ExitCode
from service.cli.options import error_console, fail
from service.cli.served_policies import check_policies_or_exit
from service.policy.loader import Policies, load_policies
from service.settings.load import LoadedSettings
from service.settings.settings import Settings
from service.telemetry.logs import configure_logging
from service.tools.evaluation.datasets.dataset import Dataset, DatasetOptions
from service.tools.evaluation.datasets.image_store import ImageStore
from service.tools.evaluation.datasets.label_map import read_label_map
from service.tools.evaluation.datasets.reading import read_dataset
from service.tools.evaluation.quality.evaluation import Evaluation, Question, evaluate
from service.tools.evaluation.quality.requirements import Requirement, RequirementError, parse_requirement
from service.tools.evaluation.quality.run import Run, RunOptions, run_engine

HOME = Path(".evaluation")
"""Where fetched images and predictions are kept if no option says otherwise; relative to the working directory."""

_DIGEST_CHARACTERS = 8


@dataclass(frozen=True, slots=True)
class Asked:
    """What the options of the command say."""

    dataset: Path
    labels: Sequence[str]
    map_file: Path | None
    split: str | None
    policy: str | None
    requirements: Sequence[str]


@dataclass(frozen=True, slots=True)
class Checked:
    """The same, checked against the settings."""

    settings: Settings
    policies: Policies
    dataset: Dataset
    split: str | None
    policy: str | None
    requirements: Sequence[Requirement]


@dataclass(frozen=True, slots=True)
class Result:
    """An evaluation, and how it came about."""

    evaluation: Evaluation
    question: Question
    run: Run
    dataset: Dataset
    file: Path
    """The predictions."""


def read_question(loaded: LoadedSettings, asked: Asked) -> Checked:
    """Read and check what the command is about, before an engine starts; raises `FatalError`."""
    check_policies_or_exit(loaded)
    settings = loaded.settings
    policies = load_policies(settings.policy)
    policies.select(asked.policy)
    categories = frozenset(name for each in policies.by_name.values() for name in each.names)
    requirements = _requirements(asked.requirements, categories)
    label_map = read_label_map(asked.labels, asked.map_file, categories=categories)
    dataset = read_dataset(asked.dataset, DatasetOptions(categories, label_map), ImageStore(HOME / "images"))
    dataset.part(asked.split)
    return Checked(settings, policies, dataset, asked.split, asked.policy, requirements)


def _requirements(texts: Sequence[str], categories: frozenset[str]) -> Sequence[Requirement]:
    try:
        return [parse_requirement(text, categories) for text in texts]
    except RequirementError as error:
        raise fail(str(error), code=ExitCode.USAGE) from None


def evaluated(question: Checked, file: Path | None, *, resume: bool) -> Result:
    """Judge the dataset and return all figures; raises `FatalError`."""
    run, file = judged(question, file, resume=resume)
    policy = question.policies.select(question.policy)
    whole = Question(
        question.dataset.part(question.split),
        f"{run.engine.kind} {run.engine.model_name}",
        policy,
        lambda example: question.policies.select(question.policy, tenant=example.tenant),
        repeated=len(run.repeats),
    )
    return Result(evaluate(whole, run.predictions), whole, run, question.dataset, file)


def judged(question: Checked, file: Path | None, *, resume: bool) -> tuple[Run, Path]:
    """Judge the dataset; return what the engine says and the file of it. Raises `FatalError`."""
    settings = question.settings
    configure_logging(settings.telemetry)
    file = file or _default_file(question)
    options = RunOptions(file, HOME / "images", split=question.split, policy=question.policy, resume=resume)
    try:
        return asyncio.run(run_engine(settings, question.dataset, options, shown_progress)), file
    except (KeyboardInterrupt, asyncio.CancelledError):
        error_console().print(f"stopped: the same command goes on with the verdicts in {file}", highlight=False)
        raise typer.Exit(ExitCode.INTERRUPTED) from None


def _default_file(question: Checked) -> Path:
    """Return a file for what is judged: the dataset and its split, and the engine with its settings and policies."""
    settings = question.settings
    asked = f"{Path(question.dataset.source).resolve()}\n{question.split}\n{question.policy}"
    of_engine = f"{settings.engine.model_dump_json()}\n{settings.policy.model_dump_json()}"
    digest = hashlib.sha256(f"{asked}\n{of_engine}".encode()).hexdigest()[:_DIGEST_CHARACTERS]
    return HOME / f"{Path(question.dataset.source).stem}-{settings.engine.kind}-{digest}.jsonl"


@contextmanager
def shown_progress(step: str, images: int | None) -> Iterator[Callable[[], None]]:
    """Show a progress bar on standard error that vanishes at the end; nothing where it is no terminal.

    `images` is how many there are; None if that is not known.
    """
    console = error_console()
    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
        TimeRemainingColumn(),
    )
    with Progress(*columns, console=console, transient=True, disable=not console.is_terminal) as progress:
        task = progress.add_task(step, total=images)
        yield lambda: progress.advance(task)
