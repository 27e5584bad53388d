"""Examples of images whose decision changes, on cards, with a picture where one was asked for and is still there."""

import json
from collections.abc import Mapping

from service.policy.policy import Policy
from service.tools.evaluation.backtest.result import Cell, ImageChange
from service.tools.evaluation.backtest.words import number
from service.tools.evaluation.images.thumbnails import Thumbnail
from service.tools.evaluation.report.cards import ImageCard, ScoreLine, contact_sheet, decision_badge
from service.tools.evaluation.report.page import Section

_SCORES = 4
"""Of an image on its card; the rest are lower."""

Pictures = Mapping[tuple[str, str], Thumbnail]
"""Thumbnails by tenant and image id."""


def anchor(cell: Cell) -> str:
    """Return the fragment of a link to the examples of a cell."""
    return f"{cell.before}-{cell.after}"


def examples(cell: Cell, policy: Policy, pictures: Pictures) -> Section:
    """Return the section of one cell of the matrix."""
    shown = len(cell.examples)
    text = f"{number(cell.images)} images" + (f", of which {shown} are shown" if shown < cell.images else "")
    cards = [_card(each, policy, pictures.get((each.tenant, each.image_id))) for each in cell.examples]
    return Section(f"{cell.before.capitalize()} → {cell.after}", (f"{text}.", contact_sheet(cards)), anchor(cell))


def _card(image: ImageChange, policy: Policy, thumbnail: Thumbnail | None) -> ImageCard:
    named = dict(list(image.scores.items())[:_SCORES])
    for category in (image.category_before, image.category_after):
        if category is not None and category in image.scores:
            named[category] = image.scores[category]
    return ImageCard(
        title=image.image_id,
        badges=(decision_badge(image.before), decision_badge(image.after)),
        detail=f"{image.tenant} · {image.moderated_at:%Y-%m-%d %H:%M}{_features(image)}",
        scores=tuple(_line(name, score, image, policy) for name, score in named.items()),
        picture=thumbnail.picture if thumbnail else None,
        missing=thumbnail.missing if thumbnail else "image not requested",
    )


def _features(image: ImageChange) -> str:
    return f" · shown otherwise: {', '.join(json.loads(image.ambiguous))}" if image.ambiguous else ""


def _line(name: str, score: float, image: ImageChange, policy: Policy) -> ScoreLine:
    rule = policy.categories.get(name)
    thresholds = dict(rule.thresholds()) if rule else {}
    decides = name in {image.category_before, image.category_after}
    return ScoreLine(name.replace("_", " "), score, thresholds.get("review"), thresholds.get("block"), strong=decides)
