"""The contact sheet: images with what was decided about them, each covered until its reader uncovers it.

A cover is a `<details>`: closed, the image is grey and blurred; a click, Enter or Space uncovers it without a script.
With the script Escape covers all of them again. Paper never shows an image.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass

from markupsafe import Markup

from schemas.base import Decision
from service.tools.evaluation.report.blocks import Tone
from service.tools.evaluation.report.page import rendered
from service.tools.evaluation.report.score_text import score_text

_EMBEDDED = re.compile(r"data:image/(?:jpeg|png|webp);base64,[A-Za-z0-9+/]+={0,2}")


@dataclass(frozen=True, slots=True)
class Badge:
    """A word in the colour of its tone."""

    text: str
    tone: Tone = "soft"


@dataclass(frozen=True, slots=True)
class ScoreLine:
    """A score on its scale, with the thresholds that it is compared with."""

    name: str
    score: float
    review: float | None = None
    block: float | None = None
    strong: bool = False
    """It is what the card is about."""

    @property
    def tone(self) -> Tone:
        """The colour of the gravest threshold that the score reaches."""
        if self.block is not None and self.score >= self.block:
            return "block"
        return "review" if self.review is not None and self.score >= self.review else "soft"

    @property
    def text(self) -> str:
        """The score with as many decimals as show on which side of its thresholds it is."""
        return score_text(self.score, [each for each in (self.review, self.block) if each is not None])


@dataclass(frozen=True, slots=True)
class ImageCard:
    """One image of a contact sheet."""

    title: str
    """The image's id."""
    badges: tuple[Badge, ...] = ()
    """Such as the decision before, and the decision after: an arrow stands between two."""
    detail: str = ""
    """One line, such as tenant and time."""
    scores: tuple[ScoreLine, ...] = ()
    picture: str | None = None
    """A `data:` URI of a small image; None shows `missing`."""
    missing: str = "image not requested"
    """Why there is no picture."""


def decision_badge(decision: Decision | str) -> Badge:
    """Return a decision in its colour."""
    match decision:
        case "allow" | "review" | "block":
            return Badge(decision, decision)
        case _:
            return Badge(decision)


def contact_sheet(cards: Sequence[ImageCard]) -> Markup:
    """Return a grid of cards. A picture that is not an embedded image is refused with `ValueError`."""
    return rendered("cards.html", cards=[(card, _picture(card.picture)) for card in cards])


def _picture(uri: str | None) -> Markup | None:
    if uri is not None and not _EMBEDDED.fullmatch(uri):
        raise ValueError("a contact sheet shows embedded images only: JPEG, PNG or WebP as a data: URI")
    return None if uri is None else Markup(uri)  # noqa: S704 - of the characters above only
