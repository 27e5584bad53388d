"""A synthetic archive of verdicts whose true labels are known."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

import duckdb
import numpy as np
import orjson
import pyarrow as pa
from numpy.typing import NDArray

from service.tools.evaluation.stored.columns import verdict_schema

_START = datetime(2026, 3, 1, tzinfo=UTC)
_THRESHOLD = 0.5


@dataclass(frozen=True, slots=True)
class SyntheticCategory:
    """How often a category is shown, and how well its score separates."""

    prevalence: float
    separation: float
    """Between the means of the scores' logits of images that show it and of others, which deviate by 1.2."""


@dataclass(frozen=True)
class SyntheticArchive:
    """Verdicts of which one threshold of 0.5 sends to review, with the truth about every image."""

    verdicts: pa.Table
    shown: Mapping[str, NDArray[np.bool_]]
    """By category, for each image."""
    flagged: Mapping[str, NDArray[np.bool_]]

    def connection(self) -> duckdb.DuckDBPyConnection:
        """Return a connection with the view `verdicts`."""
        connection = duckdb.connect()
        connection.register("verdicts", self.verdicts)
        return connection

    def labels_of(self, image_id: str) -> frozenset[str]:
        """Return the true labels of an image."""
        place = int(image_id.rpartition("-")[2])
        return frozenset(name for name, shown in self.shown.items() if shown[place])


def synthetic_archive(seed: int, images: int, categories: Mapping[str, SyntheticCategory]) -> SyntheticArchive:
    """Make an archive of two tenants."""
    generator = np.random.default_rng(seed)
    shown = {name: generator.random(images) < each.prevalence for name, each in categories.items()}
    logits = {name: generator.normal(-4.0 + each.separation * shown[name], 1.2) for name, each in categories.items()}
    scores = {name: 1.0 / (1.0 + np.exp(-each)) for name, each in logits.items()}
    flagged = {name: score >= _THRESHOLD for name, score in scores.items()}
    columns = _columns(scores, flagged) | {"tenant": generator.choice(["shop", "chat"], images)}
    schema = verdict_schema()
    arrays = {
        field.name: pa.array(columns[field.name], field.type) if field.name in columns else pa.nulls(images, field.type)
        for field in schema
    }
    return SyntheticArchive(pa.table(arrays, schema=schema), shown, flagged)


def _columns(scores: Mapping[str, NDArray[np.float64]], flagged: Mapping[str, NDArray[np.bool_]]) -> dict[str, Any]:
    names = list(scores)
    highest = np.argmax(np.stack([scores[name] for name in names]), axis=0)
    is_flagged = np.any(np.stack([flagged[name] for name in names]), axis=0)
    reasons = [
        [{"category": name, "decision": "review"} for name in names if flagged[name][place]]
        for place in range(is_flagged.size)
    ]
    return {
        "image_id": [f"image-{place}" for place in range(is_flagged.size)],
        "event_id": [str(place) for place in range(is_flagged.size)],
        "moderated_at": [_START + timedelta(seconds=place) for place in range(is_flagged.size)],
        "status": ["moderated"] * is_flagged.size,
        "decision": np.where(is_flagged, "review", "allow"),
        "deciding_category": [names[best] if hit else None for best, hit in zip(highest, is_flagged, strict=True)],
        "reasons": [orjson.dumps(each).decode() for each in reasons],
        **{f"score_{name}": score for name, score in scores.items()},
    }
