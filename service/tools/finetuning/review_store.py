"""Reviews by image, on disk while they are read: a million of them take no memory."""

import json
import sqlite3
import tempfile
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Self

from schemas.review_decided import Answer
from service.core.errors import FatalError
from service.tools.evaluation.datasets.dataset import Location
from service.tools.finetuning.review_rows import ReviewRow

MAX_REVIEWERS = 10_000
"""More pseudonyms than that are no pseudonyms of people, but ids of reviews."""

_CACHE_KIB = 32 * 1024


class ReviewsError(FatalError):
    """Decisions of reviewers cannot be used as they are."""

    reason = "finetune.invalid_reviews"
    message = "{place}: {detail}"


@dataclass(frozen=True, slots=True)
class Vote:
    """What one person decided about one image."""

    reviewer: str
    answers: Mapping[str, Answer]


@dataclass(frozen=True, slots=True)
class ReviewedImage:
    """An image, as its first row has it, with the votes of all who looked at it."""

    sha256: str
    image_id: str
    place: str
    location: Location
    tenant: str
    caption: str | None
    scores: Mapping[str, float]
    votes: tuple[Vote, ...]


class ReviewStore:
    """Keeps one vote of each person about each image file, the latest; a context manager."""

    def __init__(self) -> None:
        self._folder = tempfile.TemporaryDirectory(prefix="modstream-reviews-")
        self._base = sqlite3.connect(Path(self._folder.name, "reviews"))
        self._reviewers: dict[str, int] = {}
        self._base.executescript(
            f"""
            PRAGMA journal_mode = OFF; PRAGMA synchronous = OFF; PRAGMA cache_size = -{_CACHE_KIB};
            CREATE TABLE images (id INTEGER PRIMARY KEY, sha256 TEXT NOT NULL UNIQUE, facts TEXT NOT NULL);
            CREATE TABLE votes (
                image INTEGER NOT NULL, reviewer INTEGER NOT NULL, at REAL NOT NULL, answers TEXT NOT NULL,
                PRIMARY KEY (image, reviewer)
            ) WITHOUT ROWID;
            """
        )

    def __enter__(self) -> Self:
        """Return the store."""
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Delete what is stored."""
        self._base.close()
        self._folder.cleanup()

    def add(self, row: ReviewRow) -> None:
        """Add a review; raise `ReviewsError` for too many reviewers."""
        review = row.review
        number = self._reviewers.setdefault(review.reviewer, len(self._reviewers))
        if number >= MAX_REVIEWERS:
            detail = f"more than {MAX_REVIEWERS:,} reviewers: the column reviewer needs one pseudonym a person"
            raise ReviewsError(place=row.place, detail=detail)
        self._base.execute(
            "INSERT INTO images (sha256, facts) VALUES (?, ?) ON CONFLICT DO NOTHING", (review.sha256, _facts(row))
        )
        self._base.execute(
            "INSERT INTO votes SELECT id, ?, ?, ? FROM images WHERE sha256 = ? "
            "ON CONFLICT DO UPDATE SET at = excluded.at, answers = excluded.answers WHERE excluded.at >= at",
            (number, review.decided_at.timestamp(), json.dumps(review.decisions), review.sha256),
        )

    @property
    def reviewers(self) -> frozenset[str]:
        """The pseudonyms of all reviewers."""
        return frozenset(self._reviewers)

    @property
    def images(self) -> int:
        """The number of different image files."""
        ((count,),) = self._base.execute("SELECT count(*) FROM images")
        return int(count)

    def reviewed(self, without: frozenset[str]) -> Iterator[ReviewedImage]:
        """Yield every image in the order of the rows, without the votes of some reviewers; some may have no vote."""
        names = {number: name for name, number in self._reviewers.items()}
        rows = self._base.execute(
            "SELECT id, sha256, facts, reviewer, answers FROM images JOIN votes ON image = id ORDER BY id, reviewer"
        )
        current: tuple[int, str, str] | None = None
        votes: list[Vote] = []
        for number, sha256, facts, reviewer, answers in rows:
            if current is not None and current[0] != number:
                yield _image(current[1], current[2], votes)
                votes = []
            current = (number, sha256, facts)
            if names[reviewer] not in without:
                votes.append(Vote(names[reviewer], json.loads(answers)))
        if current is not None:
            yield _image(current[1], current[2], votes)


def _facts(row: ReviewRow) -> str:
    review = row.review
    scores = dict(review.verdict.scores) if review.verdict else {}
    is_file = isinstance(row.location, Path)
    return json.dumps([review.image_id, row.place, is_file, str(row.location), review.tenant, review.caption, scores])


def _image(sha256: str, facts: str, votes: list[Vote]) -> ReviewedImage:
    image_id, place, is_file, location, tenant, caption, scores = json.loads(facts)
    where = Path(location) if is_file else location
    return ReviewedImage(sha256, image_id, place, where, tenant, caption, scores, tuple(votes))
