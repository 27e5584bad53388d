"""Tables that never cut ids, reasons and decisions; other columns become narrower."""

import os
from collections.abc import Sequence
from dataclasses import dataclass, field
from io import StringIO
from typing import Literal

from rich.cells import cell_len
from rich.console import Console
from rich.table import Table
from rich.text import Text

GAP = 2
"""Characters between two columns."""

# Wider than any row: a pipe has no width, and what is read by a program is neither wrapped nor cut.
_UNLIMITED = 100_000


@dataclass(frozen=True, slots=True)
class Column:
    """One column, its cells and what may happen to them where the terminal is narrow."""

    title: str
    rank: int = 0
    """0 is always shown; of the others, those with the highest rank are left out first."""
    folds_at: int | None = None
    """Longer cells may go on in further lines of so many characters; nothing of them is lost."""
    cut_at: int | None = None
    """Longer cells may be cut to so many characters, with an ellipsis."""
    justify: Literal["left", "right"] = "left"
    cells: list[Text] = field(default_factory=list)

    @property
    def widest(self) -> int:
        """The characters of its longest cell or its title."""
        return max([cell_len(self.title), *(cell_len(cell.plain) for cell in self.cells)])

    @property
    def least(self) -> int:
        """The characters that it needs to be shown."""
        return min(self.widest, max(self.folds_at or self.cut_at or self.widest, cell_len(self.title)))


def fitted_table(columns: Sequence[Column], *, width: int, title: str | None = None) -> Table:
    """Return a table of at most so many characters where the columns of rank 0 allow it; names what is left out."""
    widths = _widths(columns, width)
    shown = [column for column in columns if column.title in widths]
    table = Table(
        title=title, title_justify="left", title_style="bold", box=None, pad_edge=False, padding=(0, GAP, 0, 0)
    )
    for column in shown:
        table.add_column(
            column.title,
            width=widths[column.title],
            justify=column.justify,
            no_wrap=column.folds_at is None,
            overflow="fold" if column.folds_at is not None else "ellipsis",
        )
    for row in zip(*(column.cells for column in shown), strict=True):
        table.add_row(*row)
    if missing := [column.title for column in columns if column.title not in widths]:
        table.caption = f"for {', '.join(missing)}: a wider terminal, or a pipe"
        table.caption_justify = "left"
    return table


def print_table(console: Console, columns: Sequence[Column], *, title: str | None = None) -> None:
    """Print a table as wide as the terminal; in a pipe as wide as its cells, unless COLUMNS says otherwise."""
    if console.is_terminal or os.environ.get("COLUMNS"):
        console.print(fitted_table(columns, width=console.width, title=title))
        return
    text = StringIO()
    Console(file=text, width=_UNLIMITED).print(fitted_table(columns, width=_UNLIMITED, title=title))
    for line in text.getvalue().splitlines():
        console.print(Text(line.rstrip()), soft_wrap=True)


def _widths(columns: Sequence[Column], width: int) -> dict[str, int]:
    """Return the width of each column that is shown, by its title."""
    left = width + GAP - sum(column.least + GAP for column in columns if column.rank == 0)
    widths: dict[str, int] = {column.title: column.least for column in columns if column.rank == 0}
    by_rank = sorted(columns, key=lambda column: column.rank)
    for column in by_rank:
        if column.rank and column.least + GAP <= left:
            widths[column.title] = column.least
            left -= column.least + GAP
    for column in by_rank:
        if column.title in widths:
            more = max(0, min(column.widest - column.least, left))
            widths[column.title] += more
            left -= more
    return widths
