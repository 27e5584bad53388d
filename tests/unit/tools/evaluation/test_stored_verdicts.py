import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from service.tools.evaluation.archive.writer import open_writer
from service.tools.evaluation.stored import spool as verdict_spool
from service.tools.evaluation.stored.archive_layout import VERSION, VERSION_KEY, partition_of
from service.tools.evaluation.stored.archive_store import FolderStore
from service.tools.evaluation.stored.columns import moment_of, own_categories_of, row_of, verdict_schema
from service.tools.evaluation.stored.errors import (
    ArchiveVersionError,
    NoRoomForVerdictsError,
    NoVerdictsError,
    TooManyCategoriesError,
    VerdictUnreadableError,
)
from service.tools.evaluation.stored.foreign_files import ForeignFileError
from service.tools.evaluation.stored.stored_verdicts import StoredFiles, VerdictLines, VerdictSource, opened_verdicts
from tests.unit.tools.evaluation.stored import a_verdict, write_lines


def write_archive(root: Path, documents: list[dict[str, Any]], *, version: str = VERSION) -> Path:
    for number, document in enumerate(documents):
        row = row_of(document)
        schema = verdict_schema(own_categories_of(row)).with_metadata({VERSION_KEY: version.encode()})
        folder = root / partition_of("verdicts", moment_of(document["moderated_at"]), document["tenant"])
        folder.mkdir(parents=True, exist_ok=True)
        pq.write_table(pa.Table.from_pylist([row], schema=schema), folder / f"{number}.parquet")
    return root


def rows(source: VerdictSource, query: str = "SELECT image_id FROM verdicts ORDER BY ALL", **options: Any) -> list[Any]:
    with opened_verdicts(source, **options) as connection:
        return connection.sql(query).fetchall()


def test_lines_are_read_in_every_form(tmp_path: Path) -> None:
    documents = [a_verdict(0), {"kind": "verdict", "value": a_verdict(1)}, {"kind": "tags", "value": {}}]
    for name in ("verdicts.jsonl", "verdicts.jsonl.gz"):
        path = write_lines(tmp_path / name, documents)
        assert rows(VerdictLines(path)) == [("image-0",), ("image-1",)]


def test_what_a_trial_of_files_prints_is_read(tmp_path: Path) -> None:
    judged = {"image_id": "image-0", "verdict": a_verdict(0), "tags": None, "dead_letter": None}
    failed = {"image_id": "image-1", "verdict": None, "tags": None, "dead_letter": {"reason": "image.not_found"}}
    rate = {"images": 2, "left_out": 0, "seconds": 1.0, "images_per_s": 2.0}
    path = write_lines(tmp_path / "tried.jsonl", [judged, failed, rate])
    assert rows(VerdictLines(path)) == [("image-0",)]


def test_no_verdicts_are_a_view_without_rows(tmp_path: Path) -> None:
    path = write_lines(tmp_path / "none.jsonl", [])
    assert rows(VerdictLines(path), "SELECT count(*), max(score_weapons), max(score_3_own) FROM verdicts",
                categories=["own"]) == [(0, None, None)]  # fmt: skip


def test_a_moment_selects_what_was_judged_since(tmp_path: Path) -> None:
    since = datetime(2026, 3, 1, 12, 2, tzinfo=UTC)
    documents = [a_verdict(number) for number in range(4)]
    lines = VerdictLines(write_lines(tmp_path / "v.jsonl", documents))
    archive = StoredFiles(str(write_archive(tmp_path / "archive", documents)))
    assert rows(lines, since=since) == rows(archive, since=since) == [("image-2",), ("image-3",)]


def test_archive_and_lines_of_the_same_verdicts_are_the_same_rows(tmp_path: Path) -> None:
    documents = [
        a_verdict(0, scores={"weapons": 0.1 + 0.2}),
        a_verdict(1, scores={"own": 0.5}, hints=["own"]),
        a_verdict(2, tenant="../../etc", scores={"weapons": 5e-324}),
    ]
    lines = VerdictLines(write_lines(tmp_path / "v.jsonl", documents))
    archive = StoredFiles(str(write_archive(tmp_path / "archive", documents)))
    everything = "FROM verdicts ORDER BY image_id"
    assert rows(lines, everything) == rows(archive, everything)
    assert rows(archive, "SELECT tenant, score_weapons, hint_own FROM verdicts ORDER BY image_id") == [
        ("shop", 0.30000000000000004, False),
        ("shop", None, True),
        ("../../etc", 5e-324, False),
    ]


def test_a_folder_with_the_characters_of_a_pattern_is_read(tmp_path: Path) -> None:
    archive = write_archive(tmp_path / "a[1]*?", [a_verdict(0)])
    assert rows(StoredFiles(str(archive))) == [("image-0",)]


def test_an_archive_of_another_version_is_refused(tmp_path: Path) -> None:
    archive = write_archive(tmp_path, [a_verdict(0)], version="99")
    with pytest.raises(ArchiveVersionError, match="version 99"):
        rows(StoredFiles(str(archive)))


def test_hidden_files_of_an_archiver_at_work_are_not_read(tmp_path: Path) -> None:
    archive = write_archive(tmp_path, [a_verdict(0)])
    (next(archive.rglob("0.parquet")).parent / ".tmp-1.parquet").write_bytes(b"half")
    assert rows(StoredFiles(str(archive))) == [("image-0",)]


def connect_parquet(path: Path, documents: list[dict[str, Any]], *, as_map: bool) -> None:
    """Write what Kafka Connect's Parquet format makes of the topic: nested, scores as struct or map."""
    kind = pa.map_(pa.string(), pa.float64())
    table = pa.Table.from_pylist(documents)
    if as_map:
        scores = pa.array([list(document["scores"].items()) for document in documents], kind)
        table = table.set_column(table.schema.get_field_index("scores"), "scores", scores)
    path.parent.mkdir(parents=True, exist_ok=True)
    pq.write_table(table, path)


@pytest.mark.parametrize("as_map", [False, True])
def test_parquet_of_kafka_connect_is_read(tmp_path: Path, as_map: bool) -> None:
    documents = [a_verdict(0, scores={"weapons": 0.1}), a_verdict(1, scores={"alcohol": 0.2, "own": 0.3})]
    places = "topics/images.verdicts/partition=0", "topics/images.verdicts/year=2026/month=03/day=01/hour=12"
    for place in places:
        connect_parquet(tmp_path / place / "images.verdicts+0+0.parquet", documents, as_map=as_map)
    lines = VerdictLines(write_lines(tmp_path / "v.jsonl.other", documents * 2))
    everything = "FROM verdicts ORDER BY ALL"
    assert rows(StoredFiles(str(tmp_path)), everything) == rows(lines, everything)


def test_json_of_kafka_connect_is_read(tmp_path: Path) -> None:
    folder = tmp_path / "topics/images.verdicts/partition=0"
    write_lines(folder / "images.verdicts+0+0.json", [a_verdict(0)])
    write_lines(folder / "images.verdicts+0+1.json.gz", [a_verdict(1)])
    assert rows(StoredFiles(str(tmp_path))) == [("image-0",), ("image-1",)]


def test_a_line_that_is_no_verdict_is_named(tmp_path: Path) -> None:
    path = write_lines(tmp_path / "v.jsonl", [a_verdict(0), a_verdict(1, scores={"weapons": 2})])
    with pytest.raises(VerdictUnreadableError, match=r"v\.jsonl line 2 is no verdict: .*weapons"):
        rows(VerdictLines(path))


def test_a_line_that_is_no_json_is_named(tmp_path: Path) -> None:
    path = tmp_path / "v.jsonl"
    path.write_bytes(json.dumps(a_verdict(0)).encode() + b"\n\n{half\n")
    with pytest.raises(VerdictUnreadableError, match=r"v\.jsonl line 3 .* no JSON"):
        rows(VerdictLines(path))


@pytest.mark.parametrize("name", ["v.jsonl.gz", "archive/verdicts/day=2026-03-01/tenant=shop/1.parquet", "c/1.parquet"])
def test_a_damaged_file_is_named(tmp_path: Path, name: str) -> None:
    (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
    (tmp_path / name).write_bytes(b"damaged")
    source = (
        VerdictLines(tmp_path / name)
        if name.endswith(".gz")
        else StoredFiles(str(tmp_path / name.split("/", maxsplit=1)[0]))
    )
    with pytest.raises(VerdictUnreadableError, match=name.rpartition("/")[2]):
        rows(source)


def test_a_folder_without_verdicts_is_an_error(tmp_path: Path) -> None:
    (tmp_path / "notes.txt").write_text("x")
    for place in (tmp_path, tmp_path / "missing"):
        with pytest.raises(NoVerdictsError, match=str(place)):
            rows(StoredFiles(str(place)))


def test_a_missing_file_of_lines_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(VerdictUnreadableError, match="missing"):
        rows(VerdictLines(tmp_path / "missing.jsonl"))


def test_categories_that_are_ids_are_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(verdict_spool, "MAX_OWN_CATEGORIES", 3)
    path = write_lines(tmp_path / "v.jsonl", [a_verdict(n, scores={f"id_{n}x": 0.5}) for n in range(4)])
    with pytest.raises(TooManyCategoriesError, match="4 categories"):
        rows(VerdictLines(path))


def test_an_archive_without_verdicts_is_a_view_without_rows(tmp_path: Path) -> None:
    open_writer(FolderStore(tmp_path))
    assert rows(StoredFiles(str(tmp_path))) == []


def test_a_category_whose_name_ends_in_a_number_is_stored_beside_the_frames_of_another(tmp_path: Path) -> None:
    frames = [{"scores": {"weapons": score, "weapons_2": score / 2}, "asked": []} for score in (0.8, 0.6)]
    path = write_lines(tmp_path / "v.jsonl", [a_verdict(0, scores={"weapons": 0.8, "weapons_2": 0.4}, frames=frames)])
    query = "SELECT score_weapons, score_2_weapons, score_weapons_2, score_2_weapons_2 FROM verdicts"
    assert rows(VerdictLines(path), query, categories=["weapons_2"]) == [(0.8, 0.6, 0.4, 0.3)]


def test_a_full_temporary_folder_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: object, **__: object) -> None:
        raise OSError(28, "No space left on device")

    path = write_lines(tmp_path / "v.jsonl", [a_verdict(0)])
    monkeypatch.setattr("pyarrow.parquet.ParquetWriter.write_table", full)
    with pytest.raises(NoRoomForVerdictsError, match=r"No space left on device; TMPDIR"):
        rows(VerdictLines(path))


def test_a_file_of_many_batches_keeps_every_row(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(verdict_spool, "_BATCH_ROWS", 7)
    monkeypatch.setattr(verdict_spool, "_ROW_GROUP_ROWS", 20)
    documents = [a_verdict(number, scores={f"own_{number // 30}x": 0.5}) for number in range(100)]
    path = write_lines(tmp_path / "v.jsonl", documents)
    query = "SELECT count(*), count(DISTINCT image_id), sum(score_own_2x) FROM verdicts"
    assert rows(VerdictLines(path), query) == [(100, 100, 15.0)]


def test_predictions_of_an_evaluation_are_read(tmp_path: Path) -> None:
    judged = {"version": 1, "prediction": {"example": {"image_id": "image-0"}, "verdict": a_verdict(0)}}
    failed = {"version": 1, "prediction": {"example": {"image_id": "image-1"}, "verdict": None}}
    path = write_lines(tmp_path / "predictions.jsonl", [judged, failed])
    assert rows(VerdictLines(path)) == [("image-0",)]


@pytest.mark.parametrize(
    ("column", "value"),
    [
        ("score_weapons", "high"),
        ("score_weapons", [0.5]),
        ("hint_weapons", "perhaps"),
        ("moderated_at", "yesterday"),
        ("moderated_at", None),
        ("image_id", None),
        ("tenant", None),
        ("decision", "<script>"),
        ("decision", None),
        ("status", "judged"),
    ],
)
def test_what_others_wrote_into_an_archive_is_refused_with_the_column(tmp_path: Path, column: str, value: Any) -> None:
    root = write_archive(tmp_path, [a_verdict(0), a_verdict(1)])
    (path, *_) = sorted(root.rglob("*.parquet"))
    table = pq.read_table(path)
    values = pa.array([value], table.schema.field(column).type if value is None else None)
    pq.write_table(table.set_column(table.schema.get_field_index(column), column, values), path)
    with pytest.raises(ForeignFileError, match=column):
        rows(StoredFiles(str(root)))


def test_a_category_of_others_without_all_its_columns_is_refused(tmp_path: Path) -> None:
    root = write_archive(tmp_path, [a_verdict(0)])
    (path,) = root.rglob("*.parquet")
    pq.write_table(pq.read_table(path).append_column("hint_own", pa.array([True])), path)
    with pytest.raises(ForeignFileError, match="score_own is missing"):
        rows(StoredFiles(str(root)))


def test_a_damaged_file_of_an_archive_is_refused_also_when_its_rows_are_read(tmp_path: Path) -> None:
    root = write_archive(tmp_path, [a_verdict(0)])
    (path,) = root.rglob("*.parquet")
    whole = path.read_bytes()
    footer = int.from_bytes(whole[-8:-4], "little") + 8
    for damaged in (b"PAR1" + bytes(100) + b"PAR1", b"PAR1" + bytes(len(whole) - footer - 4) + whole[-footer:]):
        path.write_bytes(damaged)
        (root / "archive.json").write_text(json.dumps({"version": VERSION, "salt": ""}))
        with pytest.raises(ForeignFileError):
            rows(StoredFiles(str(root)), "SELECT * FROM verdicts")
