"""Makes matplotlib's SVG a part of a page: the page's colours and font, and only the ids that it refers to."""

import io
import re
import warnings
from collections.abc import Iterator
from xml.etree.ElementTree import Element, fromstring, tostring

from markupsafe import Markup
from matplotlib.figure import Figure

from service.telemetry.plain_text import escaped_lines

COLOURS = {
    name: f"#0a0a{number:02x}"
    for number, name in enumerate(
        ("ink", "soft", "line", "hair", "track", "paper", "accent", "allow", "review", "block", "tone"), 1
    )
}
"""Stand-ins that are drawn with, each for a variable of the page's style."""

_VARIABLES = {colour: f"var(--{'tone-1' if name == 'tone' else name})" for name, colour in COLOURS.items()}

_SVG, _LINKS = "{http://www.w3.org/2000/svg}", "{http://www.w3.org/1999/xlink}"
_REFERENCE = re.compile(r"url\(#([\w-]+)\)|^#([\w-]+)$")
_NO_XML = {0xFFFE: "\N{REPLACEMENT CHARACTER}", 0xFFFF: "\N{REPLACEMENT CHARACTER}"}
"""What XML cannot hold, beside control characters."""

_DROPPED = {f"{_SVG}metadata", f"{_SVG}style", f"{_SVG}title"}


def inline_svg(figure: Figure, description: str) -> Markup:
    """Return a figure as an SVG element; `description` is its text for screen readers."""
    buffer = io.StringIO()
    with warnings.catch_warnings():
        # Text is measured with a font that lacks some scripts, and then drawn with the reader's fonts.
        warnings.filterwarnings("ignore", message="Glyph", category=UserWarning)
        figure.savefig(buffer, format="svg", metadata={"Date": None, "Creator": None})
    text = escaped_lines(buffer.getvalue()).translate(_NO_XML)
    root = fromstring(text)  # noqa: S314 - matplotlib wrote it, and it has no entities
    _clean(root)
    _drop_unused_ids(root)
    root.attrib = {"viewBox": root.attrib["viewBox"], "role": "img", "aria-label": escaped_lines(description)}
    return Markup(tostring(root, encoding="unicode"))  # noqa: S704 - ElementTree escaped every text


def _clean(element: Element) -> None:
    """Give an element and all below it names without namespaces, and attributes in the place of styles."""
    element.tag = element.tag.removeprefix(_SVG)
    element.attrib = {name.removeprefix(_LINKS): value for name, value in element.attrib.items()}
    for name, value in _declarations(element.attrib.pop("style", "")):
        element.attrib[name] = _VARIABLES.get(value.lower(), value)
    element.attrib.pop("font-family", None)
    for child in list(element):
        if child.tag in _DROPPED:
            element.remove(child)
        else:
            _clean(child)


def _declarations(style: str) -> Iterator[tuple[str, str]]:
    for declaration in style.split(";"):
        name, _, value = declaration.partition(":")
        if name.strip():
            yield name.strip(), value.strip()


def _drop_unused_ids(root: Element) -> None:
    values = [value for element in root.iter() for value in element.attrib.values()]
    used = {name for value in values for found in _REFERENCE.findall(value) for name in found if name}
    for element in root.iter():
        if element.get("id") not in used:
            element.attrib.pop("id", None)
