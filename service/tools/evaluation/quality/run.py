"""Runs the engine of the settings over a dataset, and keeps what it says."""

from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from schemas.base import Task
from service.app.data_plane import DataPlane
from service.app.run import data_plane_alone
from service.inference.engine import EngineDescription
from service.media.fetch.files import FileReader
from service.policy.calibration import calibration_identity
from service.policy.policy import Policy
from service.settings.settings import Settings
from service.tools.evaluation.datasets.dataset import Dataset, Example
from service.tools.evaluation.datasets.duplicates import Repeat, without_repeats
from service.tools.evaluation.datasets.image_store import ImageStore
from service.tools.evaluation.datasets.pictures import Gatherer, NoPicture, Picture
from service.tools.evaluation.quality.prediction_file import PredictionJournal, write_predictions
from service.tools.evaluation.quality.predictions import Judge, Prediction, unreadable


class Progress(Protocol):
    """Shows how far a step is."""

    def __call__(self, step: str, images: int) -> AbstractContextManager[Callable[[], None]]:
        """Begin a step of so many images; what is given is called after each."""
        ...


@dataclass(frozen=True, slots=True)
class RunOptions:
    """What to run, and where its results are kept."""

    predictions: Path
    """The file of predictions; a verdict that it has is not asked for again, and it is replaced at the end."""
    images: Path
    """The folder for images that are fetched."""
    split: str | None = None
    """The split to judge; None for all."""
    policy: str | None = None
    """The policy by its name; None for each tenant's own."""
    resume: bool = True
    """Whether verdicts of earlier runs count."""


@dataclass(frozen=True, slots=True)
class Run:
    """What an engine said of a dataset."""

    predictions: Sequence[Prediction]
    """Of every example of the split, without repeats."""
    repeats: Sequence[Repeat]
    engine: EngineDescription
    """For the default policy."""
    stored: int
    """Verdicts that an earlier run had left."""


async def run_engine(settings: Settings, dataset: Dataset, options: RunOptions, progress: Progress) -> Run:
    """Judge every image of a dataset that the file of predictions has no verdict for; raises `FatalError`.

    All splits are compared for pictures that are in two of them; only those of the split are judged.
    """
    # The file is opened first: what is wrong with it shows before an engine loads.
    with PredictionJournal(options.predictions) as journal:
        async with data_plane_alone(settings) as plane:
            return await _run(journal, plane, settings, dataset, options, progress=progress)


async def run_on(
    plane: DataPlane, settings: Settings, dataset: Dataset, options: RunOptions, progress: Progress
) -> Run:
    """Do the same with an engine that has started."""
    with PredictionJournal(options.predictions) as journal:
        return await _run(journal, plane, settings, dataset, options, progress=progress)


async def _run(
    journal: PredictionJournal,
    plane: DataPlane,
    settings: Settings,
    dataset: Dataset,
    options: RunOptions,
    *,
    progress: Progress,
) -> Run:
    found = await _pictures(settings, plane, dataset, options, progress)
    usable, repeats = without_repeats(dataset, (each for each in found if isinstance(each, Picture)))
    wanted = {id(example) for example in dataset.part(options.split).examples}
    pictures = [each for each in usable if id(each.example) in wanted]
    judge = _judge(settings, plane, dataset, options)
    stored = journal.stored if options.resume else {}
    known = [_known(each, stored.get(judge.key_of(each))) for each in pictures]
    to_do = [each for each, before in zip(pictures, known, strict=True) if before is None]
    fresh = await _judged(judge, to_do, journal, progress)
    engine = plane.engine.describe(plane.policies.select(options.policy).instructions)
    missing = [unreadable(each) for each in found if isinstance(each, NoPicture) and id(each.example) in wanted]
    old = [each for each in known if each is not None]
    predictions = _in_order(dataset, [*old, *fresh, *missing])
    write_predictions(options.predictions, predictions)
    return Run(predictions, repeats, engine, stored=len(old))


async def _pictures(
    settings: Settings, plane: DataPlane, dataset: Dataset, options: RunOptions, progress: Progress
) -> Sequence[Picture | NoPicture]:
    files = FileReader(Path("/"), limit_bytes=settings.media.fetch.max_bytes)
    gatherer = Gatherer(plane.fetcher, plane.decoder, plane.memory, files, ImageStore(options.images))
    with progress("Reading", len(dataset.examples)) as on_found:
        return await gatherer.gather(dataset.examples, on_found)


def _judge(settings: Settings, plane: DataPlane, dataset: Dataset, options: RunOptions) -> Judge:
    def policy_of(example: Example) -> Policy:
        return plane.policies.select(options.policy, tenant=example.tenant)

    return Judge(
        plane.moderator,
        settings.topics,
        policy_of,
        lambda policy: plane.engine.describe(policy.instructions),
        tasks_for(dataset),
        in_flight=settings.window.max_records,
        calibration=calibration_identity(settings.policy.calibration),
    )


def tasks_for(dataset: Dataset) -> tuple[Task, ...]:
    """Return what is asked of an engine: tags as well where the dataset has right values for them."""
    return ("moderation", "tags") if any(each.tags for each in dataset.examples) else ("moderation",)


def _known(picture: Picture, before: Prediction | None) -> Prediction | None:
    """Return a stored verdict with the labels of today."""
    if before is None:
        return None
    return Prediction(
        picture.example, picture.path, before.key, verdict=before.verdict, tags=before.tags, timing=before.timing
    )


async def _judged(
    judge: Judge, pictures: Sequence[Picture], journal: PredictionJournal, progress: Progress
) -> Sequence[Prediction]:
    found: list[Prediction] = []
    with progress("Judging", len(pictures)) as on_done:

        def keep(prediction: Prediction) -> None:
            found.append(prediction)
            if prediction.verdict is not None:
                journal.append(prediction)
            on_done()

        await judge.judge(pictures, keep)
    return found


def _in_order(dataset: Dataset, predictions: Sequence[Prediction]) -> Sequence[Prediction]:
    by_example = {id(each.example): each for each in predictions}
    return [by_example[id(example)] for example in dataset.examples if id(example) in by_example]
