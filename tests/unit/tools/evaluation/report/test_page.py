"""What a report is made of, and that no value of an archive becomes HTML."""

import base64
import hashlib
import re
from html.parser import HTMLParser
from pathlib import Path

import pytest

from service.tools.evaluation.report.blocks import (
    Column,
    KeyFigure,
    columns,
    disclosure,
    facts,
    figures,
    interval_meter,
    link,
    meter,
    note,
    stacked_meter,
    table,
)
from service.tools.evaluation.report.cards import Badge, ImageCard, ScoreLine, contact_sheet, decision_badge
from service.tools.evaluation.report.matrix import Cell, matrix
from service.tools.evaluation.report.page import Report, Section, html_of, write_report

HOSTILE = """</style></script><script>alert("x")</script><img src=x onerror='alert(1)'>&"{{ 7*7 }}\u202e\u0000$x$"""

PICTURE = "data:image/png;base64,iVBORw0KGgo="


class Elements(HTMLParser):
    """Collects the elements of a page."""

    def __init__(self) -> None:
        super().__init__()
        self.found: list[tuple[str, dict[str, str | None]]] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.found.append((tag, dict(attrs)))


def elements(html: str) -> list[tuple[str, dict[str, str | None]]]:
    parser = Elements()
    parser.feed(html)
    return parser.found


def report_of(text: str, picture: str | None = None) -> Report:
    """Return a report that has a text in every place that takes one."""
    card = ImageCard(
        text,
        (Badge(text), decision_badge(text)),
        text,
        (ScoreLine(text, 0.5, review=0.4),),
        picture=picture,
        missing=text,
    )
    every_block = (
        text,
        figures(KeyFigure(text, text)),
        table(text, (Column(text), Column(text, numeric=True)), [[text, text], [link(text, "a"), meter(0.5)]]),
        facts({text: text}),
        note(text, warning=True),
        columns(text, disclosure(text, text)),
        matrix(text, rows=(text, [text]), columns=(text, [text]), cells=[[Cell(text, detail=text)]]),
        contact_sheet([card]),
    )
    return Report(text, text, text, (Section(text, every_block),) * 3, text, {text: text})


def test_hostile_names_stay_text() -> None:
    hostile, harmless = elements(html_of(report_of(HOSTILE))), elements(html_of(report_of("harmless")))

    assert [tag for tag, _ in hostile] == [tag for tag, _ in harmless]
    assert [set(attributes) for _, attributes in hostile] == [set(attributes) for _, attributes in harmless]


def test_invisible_characters_are_shown_as_escapes() -> None:
    page = html_of(report_of(HOSTILE))
    assert "\u202e" not in page
    assert "\0" not in page
    assert r"\u202e" in page


def test_a_text_beyond_all_measure_is_cut() -> None:
    assert len(html_of(report_of("x" * 100_000))) < len(html_of(report_of("x"))) + 100 * 1100


def test_the_policy_of_the_page_allows_its_own_style_and_script_and_nothing_from_elsewhere() -> None:
    page = html_of(report_of("x", PICTURE))
    policy = next(each["content"] or "" for tag, each in elements(page) if tag == "meta" and "http-equiv" in each)

    for name in ("style", "script"):
        (content,) = re.findall(rf"<{name}>(.*?)</{name}>", page, re.DOTALL)
        digest = base64.b64encode(hashlib.sha256(content.encode()).digest()).decode()
        assert f"{name}-src 'sha256-{digest}'" in policy
    assert "default-src 'none'" in policy
    assert "unsafe" not in policy
    assert [each for _, each in elements(page) if "style" in each] == []
    references = [each[name] for _, each in elements(page) for name in ("src", "href") if name in each]
    assert {(reference or "")[0] for reference in references} == {"#", "d"}
    assert re.findall(r"url\((?!data:|\"data:)[^)]*\)", page) == []


@pytest.mark.parametrize("uri", ["https://example.org/a.png", "data:text/html;base64,AA==", f'{PICTURE}"><script>'])
def test_a_contact_sheet_takes_embedded_images_only(uri: str) -> None:
    with pytest.raises(ValueError, match="embedded images only"):
        contact_sheet([ImageCard("a", picture=uri)])


def test_an_image_is_covered_until_its_reader_opens_it() -> None:
    found = elements(contact_sheet([ImageCard("a", picture=PICTURE)]))
    assert ("img", {"src": PICTURE, "alt": "", "decoding": "async"}) in found
    cover = next(attributes for tag, attributes in found if tag == "details")
    assert "open" not in cover


@pytest.mark.parametrize(
    ("score", "threshold", "text"),
    [(0.41, 0.4, "0.41"), (0.3999, 0.4, "0.3999"), (0.4, 0.4, "0.40"), (0.39999999999, 0.4, "0.39999999999")],
)
def test_a_score_shows_on_which_side_of_its_threshold_it_is(score: float, threshold: float, text: str) -> None:
    assert ScoreLine("weapons", score, review=threshold).text == text


def test_meters_stay_in_their_cells() -> None:
    stacked = stacked_meter([(0.5, "ink"), (0.9, "block")])
    drawn = "".join((meter(7.0), meter(float("nan")), stacked, interval_meter(-1, 0.5, 2)))
    assert {float(width) <= 100 for width in re.findall(r'width="([^"]+)"', drawn)} == {True}
    assert "nan" not in drawn


def test_a_report_is_one_file(tmp_path: Path) -> None:
    write_report(tmp_path / "report.html", report_of("new"))
    assert [each.name for each in tmp_path.iterdir()] == ["report.html"]
    assert (tmp_path / "report.html").read_text() == html_of(report_of("new"))
