"""Plots as parts of a page."""

import re
from html.parser import HTMLParser

import pytest

from service.tools.evaluation.report.plots import Line, VerticalLine, curves, distribution, reliability

EDGES = [0.0, 0.25, 0.5, 0.75, 1.0]


def drawn(label: str = "review now") -> str:
    return distribution(label, EDGES, [1000, 20, 0, 3], [VerticalLine(label, 0.4, "review")], description=label)


class Tags(HTMLParser):
    """Collects the names of elements."""

    def __init__(self) -> None:
        super().__init__()
        self.found: list[str] = []

    def handle_starttag(self, tag: str, _: object) -> None:
        self.found.append(tag)


def tags(html: str) -> list[str]:
    parser = Tags()
    parser.feed(html)
    return parser.found


def test_the_same_data_give_the_same_bytes() -> None:
    assert drawn() == drawn()


def test_colours_are_those_of_the_page_so_that_a_plot_follows_its_theme() -> None:
    colours = set(re.findall(r'(?:fill|stroke)="([^"]+)"', drawn()))
    assert {"var(--review)", "var(--tone-1)", "var(--hair)"} <= colours
    assert {colour for colour in colours if not colour.startswith("var(")} <= {"none"}


def test_a_plot_needs_no_style_that_the_page_forbids_and_no_font_of_its_own() -> None:
    assert "style" not in drawn()
    assert "font-family" not in drawn()


def test_hostile_names_are_text_and_no_formulas() -> None:
    hostile = r"</svg><b>& $\frac{1}{0}$"
    assert tags(drawn(hostile)) == tags(drawn("harmless"))
    assert r"&lt;/svg&gt;&lt;b&gt;&amp; $\frac{1}{0}$</text>" in drawn(hostile)


@pytest.mark.parametrize("name", ["\x00\x0b\ufffe", "\u202eevil", "商店 व्यापार 🛒", "x" * 5000, "", "_hidden"])
def test_a_plot_takes_every_name(name: str) -> None:
    assert tags(drawn(name))
    assert len(drawn(name)) < len(drawn("harmless")) + 15_000


def test_curves_and_reliability_are_drawn_of_few_and_of_no_values() -> None:
    line = Line("before", [0.2], [0.3])
    assert "var(--ink)" in curves("weapons", [line], x="Recall", y="Precision", description="a point")
    assert "<svg" in reliability("weapons", [], [], description="nothing")
    assert 'aria-label="two bins"' in reliability("weapons", [line], [(0, 0.5, 3), (0.5, 1, 0)], description="two bins")
