import csv
import io
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from service.tools.evaluation.sampling.errors import LabelsInvalidError
from service.tools.evaluation.sampling.label_sheet import COLUMNS, SampledImage, quoted, sheet_text, unquoted
from service.tools.evaluation.sampling.labelled_sheet import LabelledImage, read_sheet

IDS = ("plain", "=1+1", "'=quoted", "a,b;c", '"x"', "-5", "\uff1d1", "ümläut")

Rows = list[dict[str, str]]


def sampled(ids: tuple[str, ...] = IDS, score: float | None = 0.0123456789012) -> list[SampledImage]:
    return [
        SampledImage(
            row, len(ids), 5000, image_id, "@shop", "00ff", "images.uploaded:3:17", "2026-03-01T00:00:00Z", "review",
            "weapons", score, "weapons rival_brand", "flagged 0-1 weapons", 2000, len(ids),
        )
        for row, image_id in enumerate(ids, start=1)
    ]  # fmt: skip


def rows_of(text: str) -> Rows:
    return list(csv.DictReader(io.StringIO(text, newline="")))


def labelled_text(edit: Callable[[Rows], object] = lambda rows: None, *, delimiter: str = ",") -> str:
    rows = rows_of(sheet_text(sampled()))
    for each in rows:
        each["labels"] = "none"
    edit(rows)
    out = io.StringIO()
    writer = csv.DictWriter(out, list(rows[0]) if rows else list(COLUMNS), delimiter=delimiter)
    writer.writeheader()
    writer.writerows(rows)
    return out.getvalue()


@pytest.fixture
def read(tmp_path: Path) -> Callable[..., list[LabelledImage]]:
    def read_text(text: str | bytes, *categories: str) -> list[LabelledImage]:
        path = tmp_path / "labelled.csv"
        path.write_bytes(text if isinstance(text, bytes) else text.encode())
        return read_sheet(path, categories)

    return read_text


Read = Callable[..., list[LabelledImage]]


def test_what_was_written_is_read_back(read: Read) -> None:
    images = [each.image for each in read(labelled_text())]
    assert [replace(image, score=None) for image in images] == sampled(score=None)
    assert {image.score for image in images} == {0.0123456789}


def test_no_cell_is_a_formula() -> None:
    cells = [cell for row in csv.reader(io.StringIO(sheet_text(sampled()))) for cell in row]
    assert [
        cell
        for cell in cells
        if cell.startswith(("=", "+", "-", "@", "\t", "\r", "\uff1d", "\uff0b", "\uff0d", "\uff20"))
    ] == []


@pytest.mark.parametrize("text", ["", "'", "''=", "=", "a", "\t=", "\uff20x"])
def test_quoting_takes_nothing_away(text: str) -> None:
    assert unquoted(quoted(text)) == text


@pytest.mark.parametrize("delimiter", [",", ";", "\t"])
def test_spreadsheets_may_separate_cells_as_they_like(read: Read, delimiter: str) -> None:
    assert len(read("\ufeff" + labelled_text(delimiter=delimiter))) == len(IDS)


def test_rows_may_be_sorted_and_columns_added(read: Read) -> None:
    def edit(rows: Rows) -> None:
        rows.reverse()
        for each in rows:
            each["my column"] = "x"

    assert len(read(labelled_text(edit))) == len(IDS)


def test_a_number_may_be_written_in_another_way(read: Read) -> None:
    assert len(read(labelled_text(lambda rows: rows[0].update(score="1.23456789E-2")))) == len(IDS)


@pytest.mark.parametrize(
    ("cell", "labels"),
    [
        ("none", set()),
        ("None ", set()),
        ("weapons", {"weapons"}),
        ("weapons; Violence", {"weapons", "violence"}),
        ("weapons,violence alcohol", {"weapons", "violence", "alcohol"}),
        ("rival_brand", {"rival_brand"}),
        ("mine", {"mine"}),
        ("", None),
        ("skip", None),
    ],
)
def test_labels_are_categories_none_or_nothing(read: Read, cell: str, labels: set[str] | None) -> None:
    first = read(labelled_text(lambda rows: rows[0].update(labels=cell)), "mine")[0]
    assert first.labels == labels


def wrong(cell: str, value: str) -> Callable[[Rows], object]:
    return lambda rows: rows[2].update({cell: value})


CHANGED = [
    ("labels", "wepons", r"labelled\.csv:4: the label 'wepons' is no category; did you mean weapons\?"),
    ("labels", "=cmd()", r":4: the label '=cmd\(\)' is no category"),
    ("labels", "none weapons", ":4: 'none' stands beside other labels"),
    ("labels", "skip weapons", ":4: 'skip' stands beside other labels"),
    ("image_id", "other", ":4: the row was changed"),
    ("tenant", "other", ":4: the row was changed"),
    ("decision", "allow", ":4: the row was changed"),
    ("score", "0.5", ":4: the row was changed"),
    ("score", "many", ":4: the column 'score' holds 'many'"),
    ("score", "nan", ":4: the row was changed"),
    ("flagged", "", ":4: the row was changed"),
    ("flagged", "<b>", ":4: the row was changed"),
    ("check", "c0", ":4: the row was changed"),
    ("inclusion_probability", "0.9", ":4: the column 'inclusion_probability' was changed"),
    ("inclusion_probability", "x", ":4: the column 'inclusion_probability' was changed"),
    ("stratum_images", "9", ":4: the row was changed"),
    ("stratum_images", "-2000", ":4: the column 'stratum_images' holds '-2000'"),
    ("stratum_rows", "0", ":4: the column 'stratum_rows' holds '0'"),
    ("stratum_rows", "3000", ":4: the row was changed: its numbers"),
    ("row", "1e3", ":4: the column 'row' holds '1e3'"),
    ("images", "9" * 5000, ":4: the column 'images' holds"),
    ("sample", "s0", ":4: the row belongs to another sample"),
]


@pytest.mark.parametrize(("column", "value", "message"), CHANGED)
def test_a_changed_row_is_an_error_with_its_line(read: Read, column: str, value: str, message: str) -> None:
    with pytest.raises(LabelsInvalidError, match=message):
        read(labelled_text(wrong(column, value)))


TOGETHER = [
    (lambda rows: rows.pop(3), r":8: 1 of 8 rows of the sample are missing, such as 4"),
    (lambda rows: rows.append(dict(rows[1])), r":10: row 2 of the sample is there twice; it is on line 3 already"),
    (lambda rows: rows.clear(), ":2: the file has no rows"),
]


@pytest.mark.parametrize(("edit", "message"), TOGETHER)
def test_a_row_that_is_missing_or_there_twice_is_an_error_with_its_line(
    read: Read, edit: Callable[[Rows], object], message: str
) -> None:
    with pytest.raises(LabelsInvalidError, match=message):
        read(labelled_text(edit))


def test_a_file_without_a_column_is_refused(read: Read) -> None:
    with pytest.raises(LabelsInvalidError, match=":1: the file lacks the columns check"):
        read(labelled_text().replace(",check,", ",checked,", 1))


def test_a_row_of_another_sample_is_an_error(read: Read) -> None:
    def edit(rows: Rows) -> None:
        other = rows_of(sheet_text(sampled(("x",) * len(IDS))))
        rows[4] = other[4] | {"labels": "none", "sample": rows[4]["sample"]}

    with pytest.raises(LabelsInvalidError, match=":9: the rows are not those of one sample"):
        read(labelled_text(edit))


def test_every_wrong_line_is_reported_and_not_more_than_twenty(read: Read) -> None:
    with pytest.raises(LabelsInvalidError) as raised:
        read(labelled_text(lambda rows: [each.update(labels="x") for each in rows]))
    assert str(raised.value).count("'x' is no category") == len(IDS)

    many = sheet_text(sampled(tuple(f"id-{number}" for number in range(100))))
    with pytest.raises(LabelsInvalidError) as raised:
        read(many.replace(",@shop", ",@chat").replace("'@shop", "'@chat"))
    assert str(raised.value).count("\n") == 19


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", ":1: the file is empty"),
        (b"image,labels\na,none\n", ":1: the file lacks the columns sample, row"),
        (b"a\nb\xe4", ":2: this is not UTF-8"),
        (b'"a\n', ":1: this is not CSV"),
        (b"\x00\x01", ":1: "),
    ],
)
def test_what_is_no_sample_is_refused(read: Read, content: bytes, message: str) -> None:
    with pytest.raises(LabelsInvalidError, match=message):
        read(content)


def test_a_row_with_a_cell_too_many_is_refused_with_its_line(read: Read) -> None:
    lines = labelled_text().splitlines()
    lines[3] += ",x"
    with pytest.raises(LabelsInvalidError, match=r":4: the row has 21 cells, and the first line 20"):
        read("\n".join(lines))


def test_lines_are_counted_in_notes_of_several_lines(read: Read) -> None:
    def edit(rows: Rows) -> None:
        rows[0]["note"] = "one\ntwo"
        rows[1]["labels"] = "x"

    with pytest.raises(LabelsInvalidError, match=r"labelled\.csv:4: the label 'x'"):
        read(labelled_text(edit))


def test_a_sheet_made_by_hand_whose_strata_contradict_each_other_is_refused(read: Read) -> None:
    first, second = sampled(("a", "b"))
    text = sheet_text([first, replace(second, stratum_images=3000)])
    with pytest.raises(LabelsInvalidError, match="contradict each other"):
        read(text)
