"""Decisions a second on stored verdicts: row by row in Python, and by a policy's SQL in DuckDB.

The default policy decides about synthetic verdicts of all categories. DuckDB counts the decision matrix, which is a
backtest's pass over all rows, on two threads: over a table in memory, over one Parquet file, and over an archive as
`modstream backtest` opens it. Reading alone shows how much of a pass is not deciding.
"""

import random
import tempfile
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from pathlib import Path

import duckdb
import pyarrow as pa
import pyarrow.parquet as pq

from benchmarks.runner import Comparison, Contender
from service.policy.judged import JudgedFrame, JudgedImage, decide_image
from service.policy.loader import load_policies
from service.policy.policy import Policy
from service.policy.taxonomy import NAMES
from service.settings.settings import PolicySettings
from service.tools.evaluation.backtest.backtest import BacktestQuestion, backtest
from service.tools.evaluation.backtest.decided_verdicts import decided
from service.tools.evaluation.stored.archive_layout import VERSION, VERSION_KEY
from service.tools.evaluation.stored.columns import verdict_schema
from service.tools.evaluation.stored.stored_verdicts import StoredFiles, opened_verdicts

ROWS = 2_000_000
# A tenth of a second for Python, and enough for a steady mean.
PYTHON_ROWS = 20_000
THREADS = 2
ROUNDS = 5
ROW_GROUP_ROWS = 131_072
# DuckDB against Python, row by row: measured at 100 × on a machine with five times as much work as cores.
PROMISED = 50.0
# Scores of harmless images: most are next to nothing, and a few percent reach a threshold.
SKEW = 12


@contextmanager
def comparisons() -> Iterator[Sequence[Comparison]]:
    """Compare a policy in Python with the same policy in DuckDB, over the same kind of verdicts."""
    policy = load_policies(PolicySettings()).default
    with tempfile.TemporaryDirectory(prefix="modstream-decisions-") as name:
        archive = Path(name)
        path = archive / "verdicts" / "day=2026-03-01" / "tenant=shop" / "000000000001.parquet"
        path.parent.mkdir(parents=True)
        _write(path)
        with duckdb.connect(config={"threads": THREADS}) as connection:
            connection.read_parquet(str(path), hive_partitioning=False).create("stored")
            yield _comparisons(connection, policy, path, archive)


def _comparisons(
    connection: duckdb.DuckDBPyConnection, policy: Policy, path: Path, archive: Path
) -> Sequence[Comparison]:
    in_python = Contender("Python, verdict by verdict", _by_python(policy))
    memory, file = connection.table("stored"), connection.read_parquet(str(path), hive_partitioning=False)
    archived = partial(_through_archive, archive)
    return (
        Comparison(
            f"decision matrix of {ROWS:,} verdicts, DuckDB on {THREADS} threads",
            (
                in_python,
                Contender("DuckDB, Parquet: scores read, nothing decided", partial(_scores_alone, file)),
                Contender("DuckDB, Parquet", partial(_matrix, file, policy)),
                Contender("DuckDB, memory: scores read, nothing decided", partial(_scores_alone, memory)),
                Contender("DuckDB, memory", partial(_matrix, memory, policy)),
            ),
            unit="verdicts/s",
            target_ratio=PROMISED,
            rounds=ROUNDS,
        ),
        Comparison(
            "through the archive, opening included",
            (
                in_python,
                Contender(
                    "decision matrix", partial(archived, lambda opened: _matrix(opened.view("verdicts"), policy))
                ),
                Contender("whole backtest, with examples", partial(archived, lambda opened: _whole(opened, policy))),
            ),
            unit="verdicts/s",
            rounds=ROUNDS,
            quick=False,
        ),
    )


def _write(path: Path) -> None:
    """Write verdicts as the archive does: every column, and scores that compress as badly as a model's do."""
    schema = verdict_schema()
    columns = {
        "image_id": "'image-' || i",
        "tenant": "'shop-' || i % 50",
        "moderated_at": "TIMESTAMPTZ '2026-03-01 00:00:00+00' + to_milliseconds(i)",
        "status": "'moderated'",
        "decision": "CASE WHEN random() < 0.03 THEN 'review' ELSE 'allow' END",
        "source_topic": "'images.uploaded'",
        "source_partition": "i % 12",
        "source_offset": "i",
        **{f"score_{name}": f"pow(random(), {SKEW})" for name in NAMES},
        **{f"{flag}_{name}": "false" for flag in ("asked", "hint") for name in NAMES},
    }
    with duckdb.connect(config={"threads": THREADS}) as connection:
        connection.execute("SELECT setseed(0.5)").fetchall()
        numbers = connection.table_function("range", [ROWS]).project("range AS i")
        rows = numbers.project(", ".join(f'{columns.get(name, "NULL")} AS "{name}"' for name in schema.names))
        with pq.ParquetWriter(path, schema.with_metadata({VERSION_KEY: VERSION.encode()}), compression="zstd") as file:
            for batch in rows.to_arrow_reader(ROW_GROUP_ROWS):
                file.write_table(pa.Table.from_batches([batch]).cast(schema))


def _by_python(policy: Policy) -> Callable[[], int]:
    draw = random.Random(1)  # noqa: S311 - scores of a benchmark, and no key
    images = [JudgedImage((JudgedFrame({name: draw.random() ** SKEW for name in NAMES}),)) for _ in range(PYTHON_ROWS)]

    def run() -> int:
        return Counter(decide_image(policy, image).result.decision for image in images).total()

    return run


def _matrix(rows: duckdb.DuckDBPyRelation, policy: Policy) -> int:
    cells = decided(rows, policy).rows.aggregate("before, after, count(*)", "before, after").fetchall()
    return sum(count for *_, count in cells)


def _scores_alone(rows: duckdb.DuckDBPyRelation) -> int:
    """Read the scores of all verdicts, and decide nothing."""
    sums = ", ".join(f'sum("score_{name}")' for name in NAMES)
    ((count, *_),) = rows.aggregate(f"count(*), {sums}").fetchall()
    return int(count)


def _through_archive(archive: Path, work: Callable[[duckdb.DuckDBPyConnection], int]) -> int:
    with opened_verdicts(StoredFiles(str(archive))) as connection:
        connection.execute(f"SET threads = {THREADS}")
        return work(connection)


def _whole(connection: duckdb.DuckDBPyConnection, policy: Policy) -> int:
    return backtest(connection, BacktestQuestion(policy)).images
