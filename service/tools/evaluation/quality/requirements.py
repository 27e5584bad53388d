"""Requirements of a build, such as `weapons.recall_low>=0.9`, and whether an evaluation meets them."""

import operator
import re
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType

from service.core.errors import FatalError
from service.tools.evaluation.quality.bootstrap import Figure
from service.tools.evaluation.quality.evaluation import Evaluation
from service.tools.evaluation.quality.metrics import FIGURES

IMAGES, TAGS, SECONDS = "images", "tags", "seconds_an_image"
"""What is no category: all images together, tags, and the time."""

IMAGE_FIGURES = ("judged_share", "exact_match", "recall", "false_positive_rate")
TAG_FIGURES = ("exact", "overlap")

_FORM = re.compile(r"([\w.]+?)(?:_(low|high))?\s*(>=|<=|>|<)\s*([0-9]+(?:\.[0-9]+)?(?:e-?[0-9]+)?)")

_OPERATORS: Mapping[str, Callable[[float, float], bool]] = MappingProxyType(
    {">=": operator.ge, "<=": operator.le, ">": operator.gt, "<": operator.lt}
)


class RequirementError(FatalError):
    """A requirement cannot be read, or names a figure that there is none of."""

    reason = "evaluate.invalid_requirement"
    message = "--require {text}: {detail}"


@dataclass(frozen=True, slots=True)
class Requirement:
    """A figure, or an end of its interval, and its limit."""

    text: str
    subject: str
    """A category, or `images`, `tags.ATTRIBUTE`, `seconds_an_image`."""
    figure: str
    end: str | None
    """`low` or `high`: that end of the interval counts; None: the figure itself."""
    compare: str
    limit: float


@dataclass(frozen=True, slots=True)
class Checked:
    """A requirement, and what was found."""

    requirement: str
    met: bool
    found: float | None
    """None where the figure is undefined: such a requirement is not met."""
    undefined: str | None = None


def parse_requirement(text: str, categories: Collection[str]) -> Requirement:
    """Return a requirement; raise `RequirementError` for what is none, or for a figure that does not exist."""
    found = _FORM.fullmatch(text.strip())
    if found is None:
        raise RequirementError(text=text, detail="it is written as in weapons.recall>=0.9 or weapons.recall_low>=0.9")
    name, end, compare, limit = found.groups()
    subject, _, figure = name.rpartition(".")
    if name == SECONDS:
        subject, figure = SECONDS, SECONDS
    if detail := _fault(subject, figure, categories):
        raise RequirementError(text=text, detail=detail)
    return Requirement(text.strip(), subject, figure, end, compare, float(limit))


def _fault(subject: str, figure: str, categories: Collection[str]) -> str | None:
    if subject == SECONDS:
        return None
    if subject == IMAGES:
        return _unknown(figure, IMAGE_FIGURES)
    if subject.startswith(f"{TAGS}."):
        return _unknown(figure, TAG_FIGURES)
    if subject not in categories:
        known = ", ".join(sorted(categories))
        return f"{subject!r} is no category; known are {IMAGES}, {TAGS}.ATTRIBUTE and {known}"
    return _unknown(figure, FIGURES)


def _unknown(figure: str, known: Sequence[str]) -> str | None:
    return None if figure in known else f"{figure!r} is no figure; known are {', '.join(known)}, with _low or _high"


def check_requirements(requirements: Sequence[Requirement], evaluation: Evaluation) -> Iterator[Checked]:
    """Yield what each requirement found; an undefined figure meets none."""
    for each in requirements:
        figure = _figure(each, evaluation)
        found = getattr(figure, each.end) if each.end else figure.value
        met = found is not None and _OPERATORS[each.compare](found, each.limit)
        yield Checked(each.text, met, found, figure.undefined if found is None else None)


def _figure(requirement: Requirement, evaluation: Evaluation) -> Figure:
    subject, figure = requirement.subject, requirement.figure
    if subject == SECONDS:
        return Figure(evaluation.seconds_an_image, undefined="no image was judged")
    if subject == IMAGES:
        return evaluation.all_images[figure]
    if subject.startswith(f"{TAGS}."):
        tags = evaluation.tags.get(subject.removeprefix(f"{TAGS}."))
        return tags.figures[figure] if tags else Figure(undefined="the dataset has no right values for it")
    category = evaluation.categories.get(subject)
    return category.metrics.figures[figure] if category else Figure(undefined="no label of the dataset is about it")
