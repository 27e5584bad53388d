import io
from collections.abc import Sequence

import pytest
from rich.console import Console
from rich.text import Text

from service.client.outcomes import DeadLetter
from service.tools.demo.fitted_table import Column, fitted_table, print_table
from service.tools.demo.tables import dead_letter_columns, verdict_columns, verdict_row
from tests.unit.tools.demo.messages import tags, verdict

LONG = "holiday pictures/" + "a very long folder name/" * 6 + "IMG_20260301_front.jpg"


def printed(columns: Sequence[Column], *, width: int) -> list[str]:
    """Return the lines of a table in a terminal of so many columns."""
    text = io.StringIO()
    Console(file=text, width=width).print(fitted_table(columns, width=width))
    return text.getvalue().splitlines()


def piped(columns: Sequence[Column]) -> list[str]:
    text = io.StringIO()
    print_table(Console(file=text, width=80), columns)
    return text.getvalue().splitlines()


@pytest.mark.parametrize("width", [60, 80, 120, 200])
def test_a_long_name_never_pushes_out_the_decision(width: int) -> None:
    rows = [verdict_row(name, verdict(name, decision="review"), tags(name)) for name in (LONG, "b.jpg")]
    lines = printed(verdict_columns(rows), width=width)
    assert sum("review" in line for line in lines) == 2
    name = "".join(line[: line.find("  ")] if "  " in line else line for line in lines[1:])
    assert name.replace(" ", "").startswith(LONG.replace(" ", ""))
    assert max(map(len, lines)) <= width


def test_a_decision_that_no_score_explains_names_the_feature_of_the_file() -> None:
    judged = verdict("cut.jpg", decision="review").model_copy(update={"ambiguous": ("truncated", "shape")})
    _, _, categories, *_ = verdict_row("cut.jpg", judged, None)
    assert categories.plain.endswith(", ambiguous: truncated shape")


@pytest.mark.parametrize("width", [60, 80, 120])
def test_a_dead_letters_reason_stays_whole_and_the_message_gives_way(width: int) -> None:
    dead_letter = DeadLetter("text.jpg", "image.unsupported_format", "The file is no image: " + "x" * 300, attempt=1)
    lines = printed(dead_letter_columns([dead_letter]), width=width)
    assert "text.jpg  image.unsupported_format" in lines[1]
    assert max(map(len, lines)) <= width


def test_columns_of_the_highest_rank_are_left_out_first_and_named() -> None:
    columns = [Column("id"), Column("second", rank=1), Column("third", rank=2)]
    for column, text in zip(columns, ("7:1200", "b" * 10, "c" * 10), strict=True):
        column.cells.append(Text(text))
    assert "bbb" in (narrow := "\n".join(printed(columns, width=20)))
    assert "ccc" not in narrow
    assert "for third: a" in narrow
    assert "ccc" in "\n".join(printed(columns, width=40))


def test_a_pipe_has_no_width(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("COLUMNS", raising=False)
    dead_letter = DeadLetter(LONG * 5, "image.unsupported_format", "m" * 900, attempt=1)
    (_, row) = piped(dead_letter_columns([dead_letter]))
    assert row.split("  ") == [LONG * 5, "image.unsupported_format", "m" * 900]


def test_wide_characters_count_as_two_columns() -> None:
    column = Column("image", cells=[Text("画像.jpg")])
    assert column.widest == 8
