"""Verdicts as the topic holds them, for tests of what reads and stores them."""

import gzip
import json
from collections.abc import Iterable
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

from schemas.example_files import read_examples
from schemas.registry import VERDICT_V1

BASE: dict[str, Any] = read_examples(VERDICT_V1)["full"]


def a_verdict(number: int = 0, **fields: Any) -> dict[str, Any]:
    """Return the JSON of a verdict; each number has a source and an id of its own."""
    moment = datetime.fromisoformat("2026-03-01T12:00:00+00:00") + timedelta(minutes=number)
    document = {
        **BASE,
        "image_id": f"image-{number}",
        "tenant": "shop",
        "moderated_at": moment.isoformat(),
        "source": {**BASE["source"], "offset": number},
    }
    return document | fields


def write_lines(path: Path, documents: Iterable[object]) -> Path:
    """Write JSON lines, compressed where the name says so."""
    text = "".join(json.dumps(document) + "\n" for document in documents).encode()
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(gzip.compress(text) if path.suffix == ".gz" else text)
    return path
