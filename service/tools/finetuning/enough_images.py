"""Pure: whether there are enough images to teach each category, and to measure afterwards what was learnt."""

from collections.abc import Iterable, Sequence

from service.core.errors import FatalError
from service.tools.evaluation.datasets.dataset import NONE
from service.tools.finetuning.examples import SPLITS
from service.tools.finetuning.image_questions import LabelledImage
from service.tools.finetuning.prepared_folder import counts_by_category

LEAST_MIN_IMAGES = 4
"""With fewer a category has no image in one of the three splits."""


class TooFewImagesError(FatalError):
    """Categories have too few images to be taught and measured."""

    reason = "finetune.too_few_images"
    message = (
        "too few images: {found}; {needed} of each category are needed, and {needed} that show none, with some in each"
        " split: label more, map the label to {none!r} with --map, or lower --min-images"
    )


def check_enough(images: Sequence[LabelledImage], needed: int) -> None:
    """Raise `TooFewImagesError`, which names every category with too few images, and how many it has."""
    found = [*_too_few(images, needed)]
    if found:
        raise TooFewImagesError(found="; ".join(found), needed=needed, none=NONE)


def _too_few(images: Sequence[LabelledImage], needed: int) -> Iterable[str]:
    counts = {NONE: dict.fromkeys(SPLITS, 0), **counts_by_category(images)}
    for name, by_split in sorted(counts.items()):
        total = sum(by_split.values())
        empty = [split for split in SPLITS if not by_split[split]]
        if total < needed:
            yield f"{total} show none of the categories" if name == NONE else f"{name} has {total}"
        elif empty:
            groups = len({image.group for image in images if name in (image.shown or {NONE})})
            yield f"{name} has {total} in {groups} groups of near-duplicates, and none in {' and '.join(empty)}"
    if counts.keys() == {NONE}:
        yield "no image shows a category of the policy"
