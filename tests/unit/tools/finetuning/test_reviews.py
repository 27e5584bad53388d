"""Decisions of reviewers become a dataset, whatever form they come in, and whatever is wrong with some rows."""

import json
import tracemalloc
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from service.tools.evaluation.datasets.dataset import DatasetError, DatasetOptions, Example
from service.tools.evaluation.datasets.image_store import ImageStore
from service.tools.finetuning import review_store
from service.tools.finetuning.review_rows import is_reviews
from service.tools.finetuning.review_store import ReviewsError
from service.tools.finetuning.reviews import Reviews, read_reviews
from tests.unit.tools.finetuning.labelled_drawings import draw_labelled, review, write_reviews

OPTIONS = DatasetOptions(frozenset({"weapons", "alcohol"}), {"guns": ("weapons",), "fine": ("none",)})
WEAPONS = frozenset({"weapons"})


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("reviewed")
    draw_labelled(path, 4)
    return path


def read(folder: Path, rows: Sequence[object], *without: str) -> Reviews:
    path = write_reviews(folder / "reviews.jsonl", rows)
    return read_reviews(path, OPTIONS, ImageStore(folder / "store"), without_reviewers=frozenset(without))


def only(reviews: Reviews) -> Example:
    (example,) = reviews.labelled.dataset.examples
    return example


def test_the_majority_decides_and_a_tie_stays_unknown(folder: Path) -> None:
    answers = [("a", "yes", "no"), ("b", "yes", "yes"), ("c", "no", "unsure")]
    rows = [review(folder, "0.png", {"weapons": x, "alcohol": y}, reviewer) for reviewer, x, y in answers]
    found = read(folder, rows)
    example = only(found)
    assert (example.categories, example.labelled) == (WEAPONS, WEAPONS)
    assert example.location == folder / "0.png"
    assert found.report.ties == 1
    assert {name: record.images for name, record in found.report.by_reviewer.items()} == {"a": 1, "b": 1, "c": 1}


def test_a_person_s_later_decision_replaces_the_earlier_one_in_any_order(folder: Path) -> None:
    early = review(folder, "0.png", {"weapons": "yes"}, decided_at="2026-03-01T12:00:00Z")
    late = review(folder, "0.png", {"weapons": "no"}, decided_at="2026-03-02T12:00:00Z")
    for rows in ([early, late], [late, early], [late, late, early]):
        assert only(read(folder, rows)).labelled == WEAPONS
        assert only(read(folder, rows)).categories == frozenset()


def test_images_with_one_id_are_distinguished_by_their_hashes(folder: Path) -> None:
    rows = [review(folder, f"{number}.png", {"weapons": "yes"}, image_id="same") for number in range(2)]
    assert len(read(folder, rows).labelled.dataset.examples) == 2


def test_an_image_that_is_left_undecided_is_counted(folder: Path) -> None:
    rows = [review(folder, "0.png", {"weapons": "unsure"}), review(folder, "1.png", {"weapons": "no"})]
    assert read(folder, rows).labelled.left_out == {"finetune.undecided": 1}


def test_a_reviewer_can_be_left_out(folder: Path) -> None:
    rows = [review(folder, "0.png", {"weapons": "yes"}, "bad"), review(folder, "0.png", {"weapons": "no"}, "good")]
    assert read(folder, rows).labelled.dataset.examples == []
    assert only(read(folder, rows, "bad")).labelled == WEAPONS
    with pytest.raises(ReviewsError, match="no row is of the reviewer 'unknown'; known are bad, good"):
        read(folder, rows, "unknown")


def test_labels_are_mapped_and_unknown_ones_counted(folder: Path) -> None:
    found = read(folder, [review(folder, "0.png", {"guns": "yes", "fine": "no", "nudity": "no"})])
    assert only(found).categories == {"weapons"}
    assert found.report.unknown == {"nudity": 1}


def test_scores_of_the_verdict_come_along(folder: Path) -> None:
    verdict = {"topic": "images.verdicts", "partition": 0, "offset": 1, "scores": {"alcohol": 0.9}}
    row = review(folder, "0.png", {"weapons": "yes", "alcohol": "no"}, verdict=verdict)
    assert read(folder, [row]).labelled.scores == {row["sha256"]: {"alcohol": 0.9}}


@pytest.mark.parametrize(
    ("row", "said"),
    [
        ("no JSON", "an object in JSON was expected"),
        ("[" * 100_000, "an object in JSON was expected"),
        ('{"image": "0.png"}', "image_id: Field required"),
        (" " * 300_000 + "{}", "the line has more than 262,144 bytes"),
        ("../../etc/passwd", "leads out of"),
        ("/etc/passwd", "leads out of"),
        ("link.png", "leads out of"),
        ("a\0b", "no file can have the name"),
    ],
    ids=["text", "deep", "incomplete", "long", "above", "absolute", "link", "nul"],
)
def test_a_row_that_is_no_review_is_reported_with_its_line(folder: Path, row: str, said: str) -> None:
    good = review(folder, "0.png", {"weapons": "yes"})
    if "/" in row or row in {"link.png", "a\0b"}:
        (folder / "link.png").unlink(missing_ok=True)
        (folder / "link.png").symlink_to("/etc/passwd")
        row = json.dumps(good | {"image": row})
    report = read(folder, [*[good] * 10, row, good]).report
    (bad,) = report.first_bad
    assert bad.place.endswith("reviews.jsonl, line 11")
    assert said in bad.detail
    assert (report.rows, report.bad_rows) == (12, 1)


def test_a_file_of_something_else_ends_with_the_first_row_s_fault(folder: Path) -> None:
    with pytest.raises(ReviewsError, match=r"line 1: .*3 of 4 rows are no reviews"):
        read(folder, [*['{"a": 1}'] * 3, review(folder, "0.png", {"weapons": "yes"})])
    with pytest.raises(ReviewsError, match="it has no rows"):
        read(folder, [])


def test_ids_of_reviews_are_no_pseudonyms(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(review_store, "MAX_REVIEWERS", 3)
    rows = [review(folder, "0.png", {"weapons": "yes"}, f"review-{number}") for number in range(4)]
    with pytest.raises(ReviewsError, match=r"line 4: more than 3 reviewers"):
        read(folder, rows)


def test_parquet_is_read_with_nested_and_with_flat_columns(folder: Path) -> None:
    rows = [review(folder, "0.png", {"weapons": "yes"}), review(folder, "1.png", {"alcohol": "no"})]
    nested = pa.Table.from_pylist(rows)
    flat = pa.Table.from_pylist(
        [
            {name: value for name, value in row.items() if not isinstance(value, dict)}
            | {f"policy.{name}": value for name, value in {"name": "shapes", "version": "1", "hash": "h"}.items()}
            | {"decisions.weapons": "yes" if number == 0 else None, "decisions.alcohol": "no" if number else None}
            | {"decided_at": datetime(2026, 3, 1, 12, tzinfo=UTC)}
            for number, row in enumerate(rows)
        ]
    )
    maps = pa.schema([field for field in nested.schema if field.name != "decisions"]).append(
        pa.field("decisions", pa.map_(pa.string(), pa.string()))
    )
    mapped = pa.Table.from_pylist([row | {"decisions": [*dict(row["decisions"]).items()]} for row in rows], maps)  # type: ignore[call-overload]  # a row's decisions are a dict
    for table in (nested, flat, mapped):
        path = folder / "reviews.parquet"
        pq.write_table(table, path)
        assert is_reviews(path)
        found = read_reviews(path, OPTIONS, ImageStore(folder / "store"))
        labels = [(each.categories, each.labelled) for each in found.labelled.dataset.examples]
        assert labels == [(WEAPONS, WEAPONS), (frozenset(), frozenset({"alcohol"}))], found.report


def test_reviews_are_recognised_by_their_first_row(folder: Path) -> None:
    assert not is_reviews(folder / "labels.jsonl")
    assert not is_reviews(folder)
    assert is_reviews(write_reviews(folder / "other.jsonl", [review(folder, "0.png", {"weapons": "no"})]))
    (folder / "broken.parquet").write_bytes(b"PAR1")
    assert not is_reviews(folder / "broken.parquet")
    with pytest.raises(DatasetError):
        read_reviews(folder / "broken.parquet", OPTIONS, ImageStore(folder))


def test_memory_does_not_grow_with_the_reviews_of_an_image(folder: Path) -> None:
    """A file of repeated events, as a topic read twice has them, takes what one image takes."""
    row = json.dumps(review(folder, "0.png", {"weapons": "yes"}))
    path, peaks = folder / "many.jsonl", []
    for count in (10, 1_000):
        path.write_text(f"{row}\n" * count)
        tracemalloc.start()
        try:
            read_reviews(path, OPTIONS, ImageStore(folder))
            peaks.append(tracemalloc.get_traced_memory()[1])
        finally:
            tracemalloc.stop()
    assert peaks[1] < peaks[0] + 128 * 1024
