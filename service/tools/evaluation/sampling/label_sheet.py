"""The CSV file of a sample: written to be labelled, and read back with labels.

Every row holds what an estimate needs, and a checksum of it; every row holds the checksum of the whole sample too. So
a row that was changed, lost, repeated or added is found, whatever program the file went through. This protects against
mistakes, not against a labeller who means to deceive.
"""

import csv
import hashlib
import io
from collections.abc import Iterable, Sequence
from dataclasses import astuple, dataclass, fields

OPENS_FORMULA = ("=", "+", "-", "@", "\t", "\r", "\uff1d", "\uff0b", "\uff0d", "\uff20")
"""A spreadsheet may run a cell that begins so; ids and tenants come from uploaders.

The last four are the full-width forms of the first."""
QUOTE = "'"
"""Before such a cell, and before one that begins with it, so that reading takes off exactly what writing put on."""

LABELS, NOTE, CHECK, SAMPLE = "labels", "note", "check", "sample"
INCLUSION_PROBABILITY = "inclusion_probability"

_DIGITS = 9
"""Significant digits of numbers: spreadsheets keep 15."""
_CHECK_CHARACTERS = 16
"""64 bits: no two rows agree by chance."""


@dataclass(frozen=True, slots=True)
class SampledImage:
    """One image that was drawn, with its place in the sample."""

    row: int
    """1 for the first row of the sample, in an order that says nothing about the image."""
    rows: int
    """Images in the sample."""
    images: int
    """Images in what the sample was drawn from."""
    image_id: str
    tenant: str
    sha256: str
    """Of the image file that was judged; empty if it is not known."""
    source: str
    """The upload event: topic, partition and offset, as in images.uploaded:3:17; empty if it is not known."""
    moderated_at: str
    """RFC 3339 in UTC."""
    decision: str
    category: str
    """The deciding category; without one, that with the highest score; empty if no model judged the image."""
    score: float | None
    flagged: str
    """Categories that sent the image to review or block, each followed by a space but the last."""
    stratum: str
    stratum_images: int
    stratum_rows: int

    @property
    def inclusion_probability(self) -> float:
        """The probability with which this image was drawn."""
        return self.stratum_rows / self.stratum_images

    @property
    def flagged_categories(self) -> frozenset[str]:
        """The categories that sent the image to review or block."""
        return frozenset(self.flagged.split())


FACTS = tuple(field.name for field in fields(SampledImage))
COLUMNS = (SAMPLE, *FACTS, INCLUSION_PROBABILITY, CHECK, LABELS, NOTE)


def sheet_text(sampled: Sequence[SampledImage]) -> str:
    """Return the CSV file of a sample, with its labels still to come."""
    name = sample_name(map(check_of, sampled))
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow(COLUMNS)
    writer.writerows(cells_of(image, name) for image in sampled)
    return out.getvalue()


def cells_of(image: SampledImage, sample: str, *, labels: str = "") -> list[str]:
    """Return the cells of a row of `COLUMNS`; `sample` is the sample's name."""
    facts = [quoted(_text(value)) for value in astuple(image)]
    return [sample, *facts, _text(image.inclusion_probability), check_of(image), labels, ""]


def check_of(image: SampledImage) -> str:
    """Return the checksum of a row's facts; it begins with a letter, so that no spreadsheet takes it for a number."""
    return "c" + _digest(_text(value) for value in astuple(image))


def sample_name(checks: Iterable[str]) -> str:
    """Return the checksum of all rows together, in whatever order they are."""
    return "s" + _digest(sorted(checks))


def quoted(text: str) -> str:
    """Return a cell that no spreadsheet runs as a formula."""
    return QUOTE + text if text.startswith((*OPENS_FORMULA, QUOTE)) else text


def unquoted(cell: str) -> str:
    """Return the text of a cell that `quoted` wrote."""
    return cell.removeprefix(QUOTE)


def number_text(number: float) -> str:
    """Return a number as the file has it, however a spreadsheet writes it."""
    return format(number, f".{_DIGITS}g")


def _digest(parts: Iterable[str]) -> str:
    content = "\0".join(parts)  # which no id may hold
    return hashlib.sha256(content.encode()).hexdigest()[:_CHECK_CHARACTERS]


def _text(value: object) -> str:
    if value is None:
        return ""
    return number_text(value) if isinstance(value, float) else str(value)
