"""Decisions of reviewers as a dataset: one answer by image and category, by majority."""

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from schemas.review_decided import Answer
from service.tools.evaluation.datasets.dataset import NONE, Dataset, DatasetOptions, Example
from service.tools.evaluation.datasets.image_store import ImageStore
from service.tools.finetuning.labelled import MAX_IMAGES, Labelled, TooManyImagesError
from service.tools.finetuning.majority import ReviewerRecord, ReviewerRecords, majority
from service.tools.finetuning.review_rows import BadRow, review_rows
from service.tools.finetuning.review_store import ReviewedImage, ReviewsError, ReviewStore, Vote

UNDECIDED = "finetune.undecided"
"""Reviewers are unsure about an image, or contradict each other in equal numbers."""

_BAD_ROWS_SHOWN = 20
_MAX_BAD_SHARE = 0.1
"""A file with more rows that are no reviews is another file, or its writer has a defect."""


@dataclass(slots=True)
class ReviewReport:
    """What was read, and what was left out."""

    rows: int = 0
    bad_rows: int = 0
    first_bad: list[BadRow] = field(default_factory=list)
    ties: int = 0
    """Decisions that are left out because as many people said yes as no."""
    unknown: Counter[str] = field(default_factory=Counter)
    """Decisions about categories that the policy does not have, by category."""
    policies: Counter[str] = field(default_factory=Counter)
    """Rows by the policy that people applied, `name/version`."""
    by_reviewer: Mapping[str, ReviewerRecord] = field(default_factory=dict)
    concerns: Sequence[str] = ()
    """Sentences on reviewers who decide too much, or otherwise than others."""

    def bad(self, row: BadRow) -> None:
        """Count a row that is no review."""
        self.bad_rows += 1
        if len(self.first_bad) < _BAD_ROWS_SHOWN:
            self.first_bad.append(row)


@dataclass(frozen=True, slots=True)
class Reviews:
    """Reviewed images, and the report on how they came about."""

    labelled: Labelled
    report: ReviewReport


def read_reviews(
    path: Path,
    options: DatasetOptions,
    store: ImageStore,
    *,
    without_reviewers: frozenset[str] = frozenset(),
    on_row: Callable[[], None] = lambda: None,
) -> Reviews:
    """Return the reviewed images of a file of JSON lines or Parquet.

    Of several decisions of a person about an image file the latest counts; of several people the majority. Raises
    `ReviewsError` if more than a tenth of the rows are no reviews, `TooManyImagesError`, and `DatasetError`.
    """
    report = ReviewReport()
    with ReviewStore() as stored:
        for row in review_rows(path, store):
            report.rows += 1
            on_row()
            if isinstance(row, BadRow):
                report.bad(row)
            else:
                report.policies[f"{row.review.policy.name}/{row.review.policy.version}"] += 1
                stored.add(row)
        _check(path, report, stored.images)
        return _reviews(path, options, stored, report, without_reviewers)


def _check(path: Path, report: ReviewReport, images: int) -> None:
    if report.first_bad and (not images or report.bad_rows > _MAX_BAD_SHARE * report.rows):
        first = report.first_bad[0]
        counts = f"{report.bad_rows:,} of {report.rows:,} rows are no reviews"
        raise ReviewsError(place=first.place, detail=f"{first.detail}; {counts}")
    if not images:
        raise ReviewsError(place=path, detail="it has no rows")
    if images > MAX_IMAGES:
        raise TooManyImagesError(place=path, count=images, limit=MAX_IMAGES)


def _reviews(
    path: Path, options: DatasetOptions, stored: ReviewStore, report: ReviewReport, without: frozenset[str]
) -> Reviews:
    records, undecided = ReviewerRecords(), 0
    examples: list[Example] = []
    scores: dict[str, Mapping[str, float]] = {}
    for image in stored.reviewed(without):
        votes = [Vote(vote.reviewer, _known(vote.answers, options, report)) for vote in image.votes]
        records.add(votes)
        outcome = majority(votes)
        report.ties += len(outcome.ties)
        if outcome.yes or outcome.no:
            examples.append(_example(image, outcome.yes, outcome.no))
            scores[image.sha256] = image.scores
        else:
            undecided += 1
    report.by_reviewer, report.concerns = records.by_reviewer, records.concerns()
    _check_reviewers(path, without, stored)
    dataset = Dataset(str(path), examples, categories=options.categories)
    return Reviews(Labelled(dataset, scores, {UNDECIDED: undecided} if undecided else {}), report)


def _check_reviewers(path: Path, without: frozenset[str], stored: ReviewStore) -> None:
    if unknown := sorted(without - stored.reviewers):
        detail = f"no row is of the reviewer {unknown[0]!r}; known are {', '.join(sorted(stored.reviewers)[:20])}"
        raise ReviewsError(place=path, detail=detail)


def _known(answers: Mapping[str, Answer], options: DatasetOptions, report: ReviewReport) -> Mapping[str, Answer]:
    """Return the answers about categories of the policy, which `--map` may have translated."""
    found: dict[str, Answer] = {}
    for name, answer in answers.items():
        meant = options.label_map.get(name, (name,) if name in options.categories else ())
        known = [each for each in meant if each != NONE]
        if not known and name not in options.label_map:
            report.unknown[name] += 1
        # Of several labels for one category, a yes to any of them is a yes.
        found |= {each: answer for each in known if found.get(each) != "yes"}
    return found


def _example(image: ReviewedImage, yes: frozenset[str], no: frozenset[str]) -> Example:
    return replace(
        Example(image.image_id, image.place, image.location, yes),
        labelled=yes | no,
        tenant=image.tenant,
        caption=image.caption,
        sha256=image.sha256,
    )
