"""A page on which people label a sample: one image at a time, covered, grey and small until its labeller uncovers it.

It shows no decision and no score: a labeller who knows them agrees with them too often. It is one self-contained file;
labels stay in the browser until they are saved as the CSV file that `modstream evaluate estimate` reads.
"""

import json
from collections.abc import Mapping, Sequence
from types import MappingProxyType

from markupsafe import Markup

from service.policy.taxonomy import NAMES
from service.tools.evaluation.images.thumbnails import Thumbnail
from service.tools.evaluation.report.page import Report, Section, html_of, part, rendered
from service.tools.evaluation.sampling.label_sheet import COLUMNS, SampledImage, cells_of, check_of, sample_name
from service.tools.evaluation.sampling.labelled_sheet import LabelledImage

NOT_ASKED = Thumbnail(missing="The image is not in this page: find it by its id")


def labelling_page(
    rows: Sequence[LabelledImage],
    *,
    categories: Sequence[str] = (),
    thumbnails: Mapping[SampledImage, Thumbnail] = MappingProxyType({}),
) -> str:
    """Return the page for all rows of a sample, with the labels that they have already.

    `categories` are those of a policy's own.
    """
    shown = [thumbnails.get(row.image, NOT_ASKED) for row in rows]
    name = sample_name(check_of(row.image) for row in rows)
    data = {
        "name": name,
        "columns": COLUMNS,
        "rows": [cells_of(row.image, name, labels=_cell(row.labels)) for row in rows],
        "categories": [*NAMES, *(each for each in categories if each not in NAMES)],
        "pictures": [each.picture for each in shown],
        "missing": [each.missing for each in shown],
    }
    block = rendered("labelling.html", data=_json(data))
    report = Report(
        command="modstream evaluate labelling-page",
        title="Labelling",
        sentence=f"{len(rows):,} images to label",
        lead="Mark every category that an image shows. Take breaks; what you have labelled is kept in this browser.",
        sections=(Section("Images", (block,), anchor="images"),),
        origin={"Sample": name},
    )
    return html_of(report, style=part("labelling.css"), script=part("labelling.js"))


def _cell(labels: frozenset[str] | None) -> str:
    """Return labels as a labeller writes them."""
    return "" if labels is None else " ".join(sorted(labels)) or "none"


def _json(data: object) -> Markup:
    """Return JSON that can stand inside of a script element: nothing in it ends the element or begins a comment."""
    return Markup(json.dumps(data).replace("<", "\\u003c"))  # noqa: S704 - no character of it opens a tag
