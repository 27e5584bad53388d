"""Pure: from the answer to the list of categories to scores, and to what is worth a question of its own.

The list is exclusive: its shares add up to 1, so that two harmful things in one image halve each other's. A yes-or-no
question about one category is not, but asked for all of them it would cost eighteen tokens an image instead of one. So
the list decides alone while it sees next to nothing (`follow_up_threshold` of the instructions). Above that the gravest
category and those with a noticeable share are asked for one by one; their scores are those answers.
"""

from collections.abc import Mapping, Sequence
from itertools import islice

from service.core.instructions import ModelInstructions
from service.inference.vision.labels import LabelMap
from service.inference.vision.scores import LabelReading, LogPrior
from service.settings.engine import JudgingSettings


def calibration(settings: JudgingSettings, log_prior: LogPrior) -> str:
    """Name the way from answers to scores, and what changes where it leads, for verdicts.

    A measured prior is written in the order of the labels, so that a score can be computed back.
    """
    mass, share = settings.min_label_mass, settings.noticeable_share
    name = f"list-then-questions/1 mass>={mass:g} share>={share:g} questions<={settings.max_follow_ups}"
    return f"{name} prior={','.join(f'{value:+.1f}' for value in log_prior.values())}" if log_prior else name


def shares_by_category(labels: LabelMap, reading: LabelReading) -> Mapping[str, float]:
    """Return each category's share of the answer, without that of the label for none."""
    # By place, not by name: a policy may call a category of its own "none".
    return {category: reading.shares[label] for label, category in islice(labels.items(), 1, None)}


def follow_ups(
    instructions: ModelInstructions, shares: Mapping[str, float], settings: JudgingSettings
) -> Sequence[str]:
    """Return the categories to ask about one by one, the likeliest first; none for an image that looks harmless.

    The gravest category is always among them: another one that is as plain to see would hide it in the list.
    """
    if sum(shares.values()) < instructions.follow_up_threshold:
        return ()
    # Sorting is stable: of equal shares the instructions' order, gravest first, decides.
    likeliest = sorted(shares, key=lambda name: -shares[name])[: settings.max_follow_ups]
    noticeable = [name for name in likeliest if shares[name] >= settings.noticeable_share] or likeliest[:1]
    return tuple(dict.fromkeys((*noticeable, instructions.categories[0].name)))


def all_follow_ups(instructions: ModelInstructions, settings: JudgingSettings) -> Sequence[Sequence[str]]:
    """Return all categories in rounds, gravest first: a round asks no more at a time than a live image does."""
    names = [category.name for category in instructions.categories]
    return [names[first : first + settings.max_follow_ups] for first in range(0, len(names), settings.max_follow_ups)]
