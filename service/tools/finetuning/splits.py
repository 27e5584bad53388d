"""Pure: which part of the data each group of near-duplicates belongs to."""

import hashlib
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from types import MappingProxyType

from service.tools.evaluation.datasets.dataset import NONE
from service.tools.finetuning.examples import SPLITS, Split

SHARES: Mapping[Split, float] = MappingProxyType({"train": 0.70, "validation": 0.15, "held_out": 0.15})

DATASET_SPLITS: Mapping[str, Split] = MappingProxyType(
    {
        "train": "train",
        "training": "train",
        "validation": "validation",
        "valid": "validation",
        "val": "validation",
        "dev": "validation",
        "test": "held_out",
        "eval": "held_out",
        "held_out": "held_out",
    }
)
"""What a dataset's own names of splits mean. A picture of its test set never gets into training."""


@dataclass(frozen=True, slots=True)
class GroupMember:
    """One image, as far as it decides where its group belongs."""

    group: str
    shown: frozenset[str]
    """The categories that it shows."""
    given: Split | None = None
    """The split that the dataset, or an earlier preparation, put it in."""


def split_groups(members: Iterable[GroupMember], seed: int) -> Mapping[str, Split]:
    """Return the split of every group: 70, 15 and 15 % of the images, of each category as well.

    Groups with a given split keep it; where members of one group have different ones, held out counts most, then
    validation. The others are taken category by category, the rarest first, in an order that the seed decides, and
    each goes where its category lacks most images.
    """
    groups: dict[str, list[GroupMember]] = {}
    for member in members:
        groups.setdefault(member.group, []).append(member)
    counts = {name: _counts(group) for name, group in groups.items()}
    totals = sum(counts.values(), Counter[str]())
    found: dict[str, Split] = {}
    assigned: Counter[tuple[str, Split]] = Counter()

    def assign(name: str, split: Split) -> None:
        found[name] = split
        assigned.update({(category, split): count for category, count in counts[name].items()})

    for name, group in groups.items():
        if (given := _given(group)) is not None:
            assign(name, given)
    ordered = sorted(groups, key=lambda name: _digest(name, seed))
    for category in sorted(totals, key=lambda category: (totals[category], category)):
        for name in ordered:
            if name not in found and category in counts[name]:
                # Relative to its share, so that the small parts get some of few images too.
                lacks = {split: totals[category] - assigned[category, split] / SHARES[split] for split in SPLITS}
                assign(name, max(SPLITS, key=lacks.__getitem__))
    return found


def _counts(group: Iterable[GroupMember]) -> Counter[str]:
    """Return how many images of a group show each category, or none."""
    return Counter(name for member in group for name in member.shown or {NONE})


def _given(group: Iterable[GroupMember]) -> Split | None:
    given = {member.given for member in group}
    return next((split for split in reversed(SPLITS) if split in given), None)


def _digest(name: str, seed: int) -> bytes:
    return hashlib.sha256(f"{seed}/{name}".encode()).digest()
