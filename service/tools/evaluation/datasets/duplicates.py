"""Pure: the same picture several times in a dataset: with the same labels, with other ones, or in two splits."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from service.core.errors import FatalError
from service.tools.evaluation.datasets.dataset import NONE, Dataset, Example
from service.tools.evaluation.datasets.pictures import Picture


class ContradictingLabelsError(FatalError):
    """One picture stands in a dataset twice, with labels that contradict each other."""

    reason = "dataset.contradicting_labels"
    message = (
        "{first} and {second} are the same picture, and the labels differ: {first_labels} ({first_place}), "
        "{second_labels} ({second_place}); {others} more such pairs: correct the labels, or remove one"
    )


class SplitLeakError(FatalError):
    """One picture stands in two splits, so that what is learnt from one is no proof in the other."""

    reason = "dataset.split_leak"
    message = (
        "{first} ({first_place}) and {second} ({second_place}) are the same picture, one in the split {first_split} "
        "and one in {second_split}; {others} more such pairs: remove one of each"
    )


@dataclass(frozen=True, slots=True)
class Repeat:
    """An example whose picture was there before with the same labels; it counts once."""

    example: Example
    first: Example


def without_repeats(dataset: Dataset, pictures: Iterable[Picture]) -> tuple[Sequence[Picture], Sequence[Repeat]]:
    """Return pictures without those that are there before, and those.

    Two pictures are the same if their files or their pixels are. With different captions they are two examples.
    Raises `ContradictingLabelsError` and `SplitLeakError`, which name both.
    """
    kept: list[Picture] = []
    repeats: list[Repeat] = []
    leaks: list[Repeat] = []
    contradictions: list[Repeat] = []
    first_of: dict[tuple[str, str | None], Example] = {}
    shown_in: dict[str, Example] = {}
    for picture in pictures:
        example = picture.example
        other = shown_in.setdefault(picture.pixels, example)
        if example.split and other.split and example.split != other.split:
            leaks.append(Repeat(example, other))
        first = first_of.setdefault((picture.pixels, example.caption), example)
        if first is example:
            kept.append(picture)
        else:
            (repeats if _agree(dataset, first, example) else contradictions).append(Repeat(example, first))
    _refuse(contradictions, leaks)
    return kept, repeats


def _agree(dataset: Dataset, first: Example, second: Example) -> bool:
    """Return whether no category, and no attribute that both have, is labelled differently."""
    both = {name for name in dataset.labelled if dataset.is_about(first, name) and dataset.is_about(second, name)}
    attributes = first.tags.keys() & second.tags.keys()
    return first.categories & both == second.categories & both and all(
        first.tags[name] == second.tags[name] for name in attributes
    )


def _refuse(contradictions: Sequence[Repeat], leaks: Sequence[Repeat]) -> None:
    for pair in contradictions:
        raise ContradictingLabelsError(
            **_names(pair),
            first_labels=_labels(pair.first),
            second_labels=_labels(pair.example),
            others=len(contradictions) - 1,
        )
    for pair in leaks:
        raise SplitLeakError(
            **_names(pair), first_split=pair.first.split, second_split=pair.example.split, others=len(leaks) - 1
        )


def _names(pair: Repeat) -> dict[str, object]:
    return {
        "first": pair.first.image_id,
        "second": pair.example.image_id,
        "first_place": pair.first.place,
        "second_place": pair.example.place,
    }


def _labels(example: Example) -> str:
    tags = (f"{name}: {', '.join(sorted(values))}" for name, values in sorted(example.tags.items()))
    return "; ".join([", ".join(sorted(example.categories)) or NONE, *tags])
