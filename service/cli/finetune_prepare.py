"""Prepares training data for the command: reads, runs with progress, prints counts."""

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import typer
from rich.table import Table

from service.cli.evaluate_run import HOME, shown_progress
from service.cli.exits import ExitCode
from service.cli.finetune_reviews_table import print_reviews
from service.cli.options import error_console, fail, output_console, plain, warn
from service.policy.policy import Policy
from service.policy.policy_file import check_policy
from service.settings.settings import Settings
from service.telemetry.logs import configure_logging
from service.tools.evaluation.datasets.dataset import Dataset, DatasetError, DatasetOptions
from service.tools.evaluation.datasets.image_store import ImageStore
from service.tools.evaluation.datasets.label_map import read_label_map
from service.tools.evaluation.datasets.reading import read_dataset
from service.tools.evaluation.quality.prediction_file import read_predictions
from service.tools.finetuning.earlier_splits import earlier_splits
from service.tools.finetuning.examples import SPLITS
from service.tools.finetuning.labelled import MAX_IMAGES, Labelled
from service.tools.finetuning.prepare import Prepared, PrepareOptions, prepare, unknown_splits
from service.tools.finetuning.review_rows import is_reviews
from service.tools.finetuning.reviews import read_reviews

_MISSING_SHOWN = 10
_LARGE_GROUP = 0.2
"""Share of the images; groups that large leave splits uneven."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """What the options of the command say."""

    dataset: Path
    policy: Path
    out: Path
    labels: Sequence[str]
    map_file: Path | None
    verdicts: Path | None
    min_images: int
    group_by: str | None
    splits_of: Path | None
    without_reviewers: Sequence[str]
    replaces: bool
    seed: int


def prepared(settings: Settings, asked: Asked) -> Prepared:
    """Write the prepared data; raises `FatalError`."""
    configure_logging(settings.telemetry)
    if not asked.policy.is_file():
        raise fail(f"--policy {asked.policy}: there is no such file", code=ExitCode.USAGE)
    policy = check_policy(asked.policy).result()
    source = _labelled(asked, policy)
    _check_column(source, asked.group_by)
    options = PrepareOptions(
        out=asked.out,
        fetched=HOME / "images",
        seed=asked.seed,
        min_images=asked.min_images,
        group_by=asked.group_by,
        earlier=earlier_splits(asked.splits_of) if asked.splits_of else {},
        replaces=asked.replaces,
    )
    try:
        return asyncio.run(prepare(settings, policy, source, options, shown_progress))
    except (KeyboardInterrupt, asyncio.CancelledError):
        error_console().print("stopped: nothing in the folder counts until the command ends", highlight=False)
        raise typer.Exit(ExitCode.INTERRUPTED) from None


def _labelled(asked: Asked, policy: Policy) -> Labelled:
    categories = frozenset(policy.names)
    label_map = read_label_map(asked.labels, asked.map_file, categories=categories)
    options, store = DatasetOptions(categories, label_map, MAX_IMAGES), ImageStore(HOME / "images")
    if is_reviews(asked.dataset):
        without = frozenset(asked.without_reviewers)
        with shown_progress("Reading reviews", None) as on_row:
            reviews = read_reviews(asked.dataset, options, store, without_reviewers=without, on_row=on_row)
        print_reviews(reviews.report)
        scores = {**reviews.labelled.scores, **_scores(asked.verdicts)}
        return replace(reviews.labelled, scores=scores)
    if asked.without_reviewers:
        raise DatasetError(place=asked.dataset, detail="--without-reviewer is about reviews, and these are labels")
    dataset = read_dataset(asked.dataset, options, store)
    _warn(dataset, policy)
    return Labelled(dataset, _scores(asked.verdicts))


def _warn(dataset: Dataset, policy: Policy) -> None:
    named = frozenset[str]().union(*(each.categories for each in dataset.examples))
    if without_rule := sorted(named - policy.categories.keys()):
        warn(f"the policy has no rule for {', '.join(without_rule)}: nothing is asked about that")
    if names := unknown_splits(dataset.examples):
        warn(f"splits of the dataset named {', '.join(names)} mean nothing here: their images are divided anew")


def _scores(path: Path | None) -> Mapping[str, Mapping[str, float]]:
    if path is None:
        return {}
    return {
        each.key.sha256: each.verdict.scores
        for each in read_predictions(path)
        if each.key is not None and each.verdict is not None
    }


def _check_column(source: Labelled, column: str | None) -> None:
    if column is not None and not any(column in each.columns for each in source.dataset.examples):
        known = ", ".join(sorted({name for each in source.dataset.examples for name in each.columns})) or "none"
        detail = f"no row has a value in the column {column!r} of --group-by; columns without a meaning are: {known}"
        raise DatasetError(place=source.dataset.source, detail=detail)


def print_prepared(found: Prepared, out: Path) -> None:
    """Print what was written, and what was not and why."""
    manifest, console = found.manifest, output_console()
    table = Table("Images that show", *SPLITS, box=None)
    for name, counts in manifest.categories.items():
        table.add_row(plain(name), *(f"{counts[split]:,}" for split in SPLITS))
    table.add_row("all images", *(f"{manifest.images[split]:,}" for split in SPLITS))
    table.add_row("questions", *(f"{manifest.examples[split]:,}" for split in SPLITS))
    console.print(table)
    images = sum(manifest.images.values())
    console.print(f"{images:,} images in {found.groups:,} groups of near-duplicates")
    for each in found.missing[:_MISSING_SHOWN]:
        warn(f"{each.example.place}: left out [{each.reason}]: {each.detail}")
    for reason, count in manifest.left_out.items():
        warn(f"{count:,} images are left out: {reason}")
    if found.largest_group > _LARGE_GROUP * images:
        warn(f"{found.largest_group:,} images count as near-duplicates of each other, and share a split")
    console.print(f"{plain(str(out))}: data hash {manifest.data_hash[:16]}, prompt hash {manifest.prompt_hash[:16]}")
    console.print(f"  train on it: modstream finetune train {plain(str(out))} --base MODEL --out ADAPTER")
    console.print(f"  measure on what is held out: modstream evaluate {plain(str(out))} --split held_out -c SETTINGS")
    console.print("  SETTINGS is a file whose policy.path and policy.default name this policy")
