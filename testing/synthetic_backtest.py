"""A synthetic archive of a week, seeded, with the policy that decided it, a new policy, and its images.

Scores are drawn, decisions are those that the old policy makes of them, and the images are the demo's photographs.
"""

import hashlib
import json
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import duckdb
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

import service.tools.demo
from service.inference.vision.image_input import preprocessing
from service.inference.vision.prompt import prompter
from service.policy.policy import Policy
from service.policy.policy_file import check_policy
from service.tools.evaluation.backtest.policy_sql import deciding_category, decision, sql
from service.tools.evaluation.stored.archive_layout import VERSION, VERSION_KEY, partition_of
from service.tools.evaluation.stored.columns import verdict_schema

MONDAY = datetime(2026, 11, 16, tzinfo=UTC)
_WEEK_S = 7 * 24 * 3600

_PHOTOGRAPHS = Path(service.tools.demo.__file__).parent / "photographs"

OLD = """\
name: shop
version: "3"
description: What a general marketplace wants.
categories:
  child_safety: {review: 0.1, block: 0.8}
  weapons: {review: 0.5, block: 0.9}
  violence: {review: 0.4, block: 0.8}
  sexual_explicit: {review: 0.35, block: 0.75}
  alcohol: {label: 0.3, review: 0.8}
"""

NEW = """\
name: shop
version: "4"
description: Weapons are reviewed earlier, alcohol no longer, and less of what is explicit is blocked at once.
categories:
  child_safety: {review: 0.1, block: 0.8}
  weapons: {review: 0.4, block: 0.9}
  violence: {review: 0.4, block: 0.8}
  sexual_explicit: {review: 0.35, block: 0.8}
  alcohol: {label: 0.3}
  gambling: {review: 0.5}
"""

_LOGITS = {
    "child_safety": (-8.0, 1.2),
    "weapons": (-5.2, 1.9),
    "violence": (-6.0, 1.8),
    "sexual_explicit": (-5.6, 2.0),
    "alcohol": (-4.8, 2.1),
}
"""Mean and deviation of scores on the scale of logits."""

_TENANTS = {"marketplace": 0.62, "classifieds": 0.24, "chat": 0.11, "stickers": 0.03}


@dataclass(frozen=True, slots=True)
class SyntheticBacktest:
    """Files of a backtest."""

    archive: Path
    old: Path
    new: Path
    events: Path
    """Upload events of all images, for `--images`."""
    photographs: Path
    """What `media.fetch.file_root` has to be."""


def synthetic_backtest(folder: Path, *, images: int, seed: int = 7) -> SyntheticBacktest:
    """Write everything below a folder."""
    found = SyntheticBacktest(
        folder / "archive", folder / "old.yaml", folder / "new.yaml", folder / "events.jsonl", _PHOTOGRAPHS
    )
    found.old.write_text(OLD)
    found.new.write_text(NEW)
    policy = check_policy(found.old).found
    assert policy is not None
    table = _decided(_scores(images, seed, policy), policy)
    _write(table, found.archive)
    names = [path.name for path in _photographs()]
    with found.events.open("w") as file:
        for number, tenant in enumerate(table.column("tenant").to_pylist()):
            image = {"url": (_PHOTOGRAPHS / names[number % len(names)]).as_uri()}
            file.write(json.dumps({"image_id": _image_id(number), "tenant": tenant, "image": image}) + "\n")
    return found


def _photographs() -> list[Path]:
    return sorted(_PHOTOGRAPHS.glob("*.jpg"))


def _image_id(number: int) -> str:
    return f"upload-{hashlib.sha256(str(number).encode()).hexdigest()[:10]}"


def _scores(images: int, seed: int, policy: Policy) -> pa.Table:
    """Return rows as an archive has them, of which decisions are still missing."""
    generator = np.random.default_rng(seed)
    seconds = np.sort(generator.integers(0, _WEEK_S, images))
    seconds[[0, -1]] = 0, _WEEK_S
    hashes = [hashlib.sha256(path.read_bytes()).hexdigest() for path in _photographs()]
    columns: dict[str, Any] = {
        "image_id": [_image_id(number) for number in range(images)],
        "tenant": generator.choice(list(_TENANTS), images, p=list(_TENANTS.values())),
        "moderated_at": [MONDAY + timedelta(seconds=int(second)) for second in seconds],
        "status": np.where(generator.random(images) < 0.0004, "not_moderated", "moderated"),
        "sha256": [hashes[number % len(hashes)] for number in range(images)],
        "source_topic": ["images.uploaded"] * images,
        "source_partition": np.arange(images) % 12,
        "source_offset": np.arange(images) // 12,
        "engine": ["vllm"] * images,
        "prompt_hash": [prompter(policy.instructions).hash] * images,
        "preprocessing": [preprocessing(policy.vision_tokens)] * images,
    }
    for name, (mean, deviation) in _LOGITS.items():
        scores = 1.0 / (1.0 + np.exp(-generator.normal(mean, deviation, images)))
        columns[f"score_{name}"] = np.where(columns["status"] == "moderated", scores, np.nan)
    total = sum(columns[f"score_{name}"] for name in _LOGITS)
    columns |= {f"asked_{name}": total >= policy.instructions.follow_up_threshold for name in _LOGITS}
    schema = verdict_schema()
    arrays = [
        pa.array(columns[field.name], field.type, from_pandas=True) if field.name in columns else _empty(field, images)
        for field in schema
    ]
    return pa.table(arrays, schema=schema)


def _empty(field: pa.Field, rows: int) -> pa.Array:
    return pa.array([False] * rows) if field.type == pa.bool_() else pa.nulls(rows, field.type)


def _decided(table: pa.Table, policy: Policy) -> pa.Table:
    """Return the rows with the decisions of a policy."""
    with duckdb.connect() as connection:
        connection.execute("SET TimeZone = 'UTC'")
        connection.register("scores", table)
        found = connection.sql(
            f"SELECT * REPLACE ({sql(decision(policy), 'duckdb')} AS decision, "  # noqa: S608 - made of a policy
            f"{sql(deciding_category(policy), 'duckdb')} AS deciding_category, '{policy.name}' AS policy_name, "
            f"'{policy.version}' AS policy_version, '{policy.hash}' AS policy_hash) FROM scores"
        )
        return found.to_arrow_table().cast(table.schema)


def _write(table: pa.Table, folder: Path) -> None:
    described = table.replace_schema_metadata({VERSION_KEY: VERSION})
    path = folder / partition_of("verdicts", MONDAY, "all") / "synthetic.parquet"
    path.parent.mkdir(parents=True)
    pq.write_table(described, path)
