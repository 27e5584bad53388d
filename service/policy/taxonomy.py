"""The categories of harm in verdicts, and their counterparts in four public lists."""

from collections.abc import Iterable
from dataclasses import dataclass
from types import MappingProxyType

from service.policy.errors import UnknownCategoriesError


@dataclass(frozen=True, slots=True)
class Crosswalk:
    """The entries of public lists that a category overlaps with; empty where a list has no counterpart."""

    aws: tuple[str, ...] = ()
    """AWS Rekognition moderation labels, version 7, level 1."""
    openai: tuple[str, ...] = ()
    """OpenAI omni-moderation."""
    llavaguard: tuple[str, ...] = ()
    """LlavaGuard policy categories."""
    mlcommons: tuple[str, ...] = ()
    """MLCommons AILuminate hazards."""


@dataclass(frozen=True, slots=True)
class Category:
    """A kind of harm: its stable name, its meaning, and its counterparts in public lists."""

    name: str
    description: str
    crosswalk: Crosswalk = Crosswalk()


CHILD_SAFETY = "child_safety"

CATEGORIES = (
    Category(
        CHILD_SAFETY,
        "Sexual or exploitative depiction of anyone who is or looks under age.",
        Crosswalk(openai=("sexual/minors",), llavaguard=("O3",), mlcommons=("S4",)),
    ),
    Category(
        "sexual_explicit",
        "Sexual acts, or genitals shown to arouse; drawings too.",
        Crosswalk(aws=("Explicit",), openai=("sexual",), llavaguard=("O3",), mlcommons=("S12",)),
    ),
    Category(
        "nudity_nonexplicit",
        "Bare or barely covered bodies without a sexual act.",
        Crosswalk(
            aws=("Non-Explicit Nudity of Intimate parts and Kissing",),
            openai=("sexual",),
            llavaguard=("O4",),
            mlcommons=("S12",),
        ),
    ),
    Category(
        "swimwear_underwear",
        "Swimwear or underwear, worn or for sale.",
        Crosswalk(aws=("Swimwear or Underwear",)),
    ),
    Category(
        "violence",
        "People hurting or threatening people.",
        Crosswalk(aws=("Violence",), openai=("violence",), llavaguard=("O2",), mlcommons=("S1",)),
    ),
    Category(
        "graphic_disturbing",
        "Gore, corpses, open wounds and other sights that shock.",
        Crosswalk(aws=("Visually Disturbing",), openai=("violence/graphic",), llavaguard=("O2", "O9")),
    ),
    Category(
        "weapons",
        "Firearms, blades made to fight with, explosives.",
        Crosswalk(aws=("Violence",), openai=("illicit/violent",), llavaguard=("O6",), mlcommons=("S9",)),
    ),
    Category(
        "self_harm",
        "Suicide, self-injury, or the encouragement of either.",
        Crosswalk(
            aws=("Violence",),
            openai=("self-harm", "self-harm/intent", "self-harm/instructions"),
            llavaguard=("O7",),
            mlcommons=("S11",),
        ),
    ),
    Category(
        "hate_symbols",
        "Symbols and slogans of hatred against a group.",
        Crosswalk(aws=("Hate Symbols",), openai=("hate", "hate/threatening"), llavaguard=("O1",), mlcommons=("S10",)),
    ),
    Category(
        "harassment_gesture",
        "Insulting gestures, humiliation of a person.",
        Crosswalk(aws=("Rude Gestures",), openai=("harassment", "harassment/threatening"), llavaguard=("O1",)),
    ),
    Category(
        "drugs_tobacco",
        "Illegal drugs, their use and its tools; tobacco and vaping.",
        Crosswalk(aws=("Drugs & Tobacco",), openai=("illicit",), llavaguard=("O6",), mlcommons=("S2",)),
    ),
    Category(
        "alcohol",
        "Alcoholic drinks and drinking.",
        Crosswalk(aws=("Alcohol",), llavaguard=("O6",)),
    ),
    Category(
        "gambling",
        "Betting, casinos, slot machines, lotteries.",
        Crosswalk(aws=("Gambling",)),
    ),
    Category(
        "animal_cruelty",
        "Animals hurt, baited or kept in torment.",
        Crosswalk(openai=("violence",), llavaguard=("O8",), mlcommons=("S1",)),
    ),
    Category(
        "illegal_activity",
        "Crimes shown, offered or taught that no other category names.",
        Crosswalk(openai=("illicit", "illicit/violent"), llavaguard=("O5",), mlcommons=("S2", "S3")),
    ),
    Category(
        "privacy_pii",
        "Papers, cards or screens that show who a private person is.",
        Crosswalk(mlcommons=("S7",)),
    ),
    Category(
        "ip_counterfeit",
        "Counterfeit goods, pirated works, misused brands.",
        Crosswalk(mlcommons=("S8",)),
    ),
    Category(
        "spam_scam_overlay",
        "Contact details, codes or promises laid over the picture to lure people elsewhere.",
        Crosswalk(mlcommons=("S2",)),
    ),
)
"""All categories in the order of verdicts, the gravest first."""

BY_NAME = MappingProxyType({category.name: category for category in CATEGORIES})
NAMES = tuple(BY_NAME)


def check_categories(names: Iterable[str], *, own: Iterable[str] = (), source: str) -> None:
    """Raise `UnknownCategoriesError` if a name is neither in the taxonomy nor a policy's own; `source` used it."""
    unknown = sorted(set(names) - set(NAMES) - set(own))
    if unknown:
        raise UnknownCategoriesError(source=source, unknown=", ".join(unknown), known=", ".join(NAMES))
