"""A matrix of counts as a picture: decisions before and after, or labels and what was judged."""

from collections.abc import Sequence
from dataclasses import dataclass

from markupsafe import Markup

from service.tools.evaluation.report.blocks import Tone
from service.tools.evaluation.report.page import rendered


@dataclass(frozen=True, slots=True)
class Cell:
    """One cell of a matrix."""

    value: str
    """What is written in it, such as a count."""
    weight: float = 0.0
    """How much of its colour it has, in [0, 1]."""
    tone: Tone = "ink"
    detail: str = ""
    """A second, smaller line."""
    anchor: str = ""
    """The section that the cell links to; empty if to none."""

    @property
    def level(self) -> int:
        """The colour in tenths; a small weight is visible all the same."""
        return min(10, max(1, round(self.weight * 10))) if self.weight > 0 else 0


def matrix(
    caption: str,
    *,
    rows: tuple[str, Sequence[str]],
    columns: tuple[str, Sequence[str]],
    cells: Sequence[Sequence[Cell]],
) -> Markup:
    """Return a matrix. `rows` and `columns` are a title with names, and `cells` has the shape (rows, columns)."""
    return rendered("matrix.html", caption=caption, rows=rows, columns=columns, cells=cells)
