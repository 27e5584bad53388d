"""Reports of the evaluation: one self-contained HTML file each, in the design of the API's page at `/`.

A report is one sentence that is read first, and sections. A section has a title and blocks. A block is HTML that a
function of this folder returned, so that Jinja has escaped every value in it; plain text is a paragraph:

    from service.tools.evaluation.report.blocks import Column, meter, columns, note, table
    from service.tools.evaluation.report.cards import Badge, ImageCard, contact_sheet
    from service.tools.evaluation.report.matrix import Cell, matrix
    from service.tools.evaluation.report.page import Report, Section, write_report
    from service.tools.evaluation.report.plots import Line, VerticalLine, curves, distribution, reliability

    report = Report(
        command="modstream evaluate",
        title="Evaluation",
        sentence="Of 1,000 labelled images 96.1 % were judged as labelled",
        sections=(
            Section("Categories", (table("By category", (Column("Category"), Column("Recall", numeric=True)), rows),)),
            Section("Curves", (columns(curves("weapons", lines, x="Recall", y="Precision"), …),)),
        ),
        origin={"Policy": "shop, version 3", "Engine": "onnx"},
    )
    write_report(Path("report.html"), report)

The file loads nothing and sends nothing: its content security policy allows one style, one script and embedded images.
It works without its script, in both themes, at a width of 360 pixels, by keyboard and on paper.
"""

import base64
import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cache
from importlib import resources
from pathlib import Path

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

from service.telemetry.plain_text import one_line
from service.tools.evaluation.report.whole_file import write_whole

Block = Markup | str
"""HTML of this folder's functions, or a text that becomes a paragraph."""

_PAGE = "service.api"
_FILES = {"geist.woff2": "font/woff2", "geist-mono.woff2": "font/woff2", "icon.svg": "image/svg+xml"}
"""What the style of the API's page refers to, with its media type."""


@dataclass(frozen=True, slots=True)
class Section:
    """One section of a report."""

    title: str
    blocks: tuple[Block, ...]
    anchor: str = ""
    """The fragment of links to it; letters, digits and hyphens. Empty: made of the section's number."""


@dataclass(frozen=True, slots=True)
class Report:
    """Everything that a report says."""

    command: str
    """The command that wrote it."""
    title: str
    sentence: str
    """What it found, in one sentence without a full stop; it is the largest text of the page."""
    sections: tuple[Section, ...]
    lead: str = ""
    """What the reader has to know beside the sentence."""
    origin: Mapping[str, str] = field(default_factory=dict)
    """Names and values of what it was made from, such as policies, engine, and time."""


def html_of(report: Report, *, style: str = "", script: str = "") -> str:
    """Return the page; `style` and `script` are files of this package that it has beside those of every report."""
    style, script = _style() + style, part("report.js") + script
    policy = {
        "default-src": "'none'",
        "img-src": "data:",
        "font-src": "data:",
        "style-src": _source(style),
        "script-src": _source(script),
        "base-uri": "'none'",
        "form-action": "'none'",
    }
    return rendered(
        "page.html",
        report=report,
        sections=[(each.anchor or f"section-{number}", each) for number, each in enumerate(report.sections, 1)],
        policy="; ".join(f"{name} {sources}" for name, sources in policy.items()),
        style=Markup(style),  # noqa: S704 - from the package
        script=Markup(script),  # noqa: S704 - from the package
    )


def write_report(path: Path, report: Report) -> None:
    """Write the page; a file of that name is replaced when the new one is complete. Raises `OSError`."""
    write_whole(path, html_of(report).encode())


def rendered(template: str, **values: object) -> Markup:
    """Return a template of this folder, filled in; every value that is no markup is escaped."""
    return Markup(_environment().get_template(template).render(values))  # noqa: S704 - Jinja escaped the values


def safe(text: object) -> object:
    """Return a value for a template: a text on one line without invisible characters, and markup as it is."""
    return one_line(text) if isinstance(text, str) and not isinstance(text, Markup) else text


@cache
def _environment() -> Environment:
    environment = Environment(
        loader=PackageLoader("service.tools.evaluation.report"),
        autoescape=True,
        undefined=StrictUndefined,
        finalize=safe,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.tests["markup"] = lambda value: isinstance(value, Markup)
    return environment


def _style() -> str:
    """Return the style of the API's page, with its files embedded, and what reports add to it."""
    style = (resources.files(_PAGE) / "page" / "app.css").read_text(encoding="utf-8")
    for name, media_type in _FILES.items():
        data = (resources.files(_PAGE) / "page" / name).read_bytes()
        style = style.replace(f"url({name})", f"url(data:{media_type};base64,{base64.b64encode(data).decode()})")
    return style + part("report.css")


def part(name: str) -> str:
    """Return a file of the folder of templates."""
    return (resources.files("service.tools.evaluation.report") / "templates" / name).read_text(encoding="utf-8")


def _source(text: str) -> str:
    return f"'sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()}'"
