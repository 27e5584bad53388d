"""Results of backtests for tests."""

from datetime import UTC, datetime, timedelta
from typing import Any

from schemas.base import Decision
from service.tools.evaluation.backtest.result import (
    DECISIONS,
    BacktestResult,
    Cell,
    GroupChange,
    ImageChange,
    NearThreshold,
    ScoreDistribution,
    StoredPolicy,
    Unanswered,
)

MONDAY = datetime(2026, 11, 23, tzinfo=UTC)


def change(
    image_id: str = "image-1", before: Decision = "allow", after: Decision = "review", **other: Any
) -> ImageChange:
    """Return one image with its decisions."""
    values: dict[str, Any] = {
        "tenant": "shop",
        "moderated_at": MONDAY,
        "category_before": None,
        "category_after": "weapons",
        "scores": {"weapons": 0.41, "violence_graphic": 0.02},
        "sha256": "0" * 64,
        "source_topic": "images.uploaded",
        "source_partition": 0,
        "source_offset": 1,
    }
    return ImageChange(image_id, before=before, after=after, **(values | other))


def result(counts: dict[tuple[Decision, Decision], int] | None = None, **other: Any) -> BacktestResult:
    """Return a result of a week; `counts` of the matrix that are left out are 0."""
    counts = {("allow", "allow"): 900, ("allow", "review"): 60, ("block", "review"): 4} if counts is None else counts
    matrix = tuple(
        Cell(
            before,
            after,
            number := counts.get((before, after), 0),
            (change(f"{before}-{after}", before, after),) if number and before != after else (),
        )
        for before in DECISIONS
        for after in DECISIONS
    )
    values: dict[str, Any] = {
        "policy_name": "shop",
        "policy_version": "4",
        "policy_hash": "sha256:1234",
        "baseline": "stored decisions",
        "images": sum(counts.values()),
        "not_moderated": 3,
        "first_at": MONDAY,
        "last_at": MONDAY + timedelta(days=7),
        "stored_policies": (StoredPolicy("shop", "3", "sha256:0123", sum(counts.values())),),
        "matrix": matrix,
        "categories": (GroupChange("weapons", 64, 60, 4, 0, 64, 4, 0), GroupChange(None, 2, 1, 1)),
        "tenants": (GroupChange("shop", 900, 60, 4, 0, 64, 4, 0),),
        "near": (NearThreshold(change(), "weapons", "review", 0.4, 0.4001),),
        "distributions": (
            ScoreDistribution("weapons", (0.0, 0.5, 1.0), (900, 64), {"review": 0.5, "block": 0.8}, {"review": 0.4}),
        ),
        "unanswered": (Unanswered("category.new", "gambling", "No stored image has a score for gambling", 964),),
        "again": None,
        "review_seconds": 30.0,
    }
    return BacktestResult(**(values | other))
