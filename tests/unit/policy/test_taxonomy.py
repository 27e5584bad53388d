import itertools

import pytest

from service.policy.errors import UnknownCategoriesError
from service.policy.taxonomy import BY_NAME, CATEGORIES, NAMES, check_categories

# The four public lists; what no category of images answers to stands in WITHOUT_COUNTERPART.
PUBLIC = {
    "aws": {
        "Explicit",
        "Non-Explicit Nudity of Intimate parts and Kissing",
        "Swimwear or Underwear",
        "Violence",
        "Visually Disturbing",
        "Drugs & Tobacco",
        "Alcohol",
        "Rude Gestures",
        "Gambling",
        "Hate Symbols",
    },
    "openai": {
        "harassment",
        "harassment/threatening",
        "hate",
        "hate/threatening",
        "illicit",
        "illicit/violent",
        "self-harm",
        "self-harm/intent",
        "self-harm/instructions",
        "sexual",
        "sexual/minors",
        "violence",
        "violence/graphic",
    },
    "llavaguard": {f"O{number}" for number in range(1, 10)},
    "mlcommons": {f"S{number}" for number in range(1, 14)},
}

# Defamation, specialized advice and elections are about what is said.
WITHOUT_COUNTERPART = {"mlcommons": {"S5", "S6", "S13"}}


def test_there_are_eighteen_categories_each_described_once() -> None:
    assert len(NAMES) == 18
    assert len({category.description for category in CATEGORIES}) == 18
    assert all(BY_NAME[name].name == name for name in NAMES)


@pytest.mark.parametrize("public", PUBLIC)
def test_crosswalk_names_every_entry_of_the_public_list_and_no_other(public: str) -> None:
    named = set(itertools.chain.from_iterable(getattr(category.crosswalk, public) for category in CATEGORIES))
    assert named == PUBLIC[public] - WITHOUT_COUNTERPART.get(public, set())


def test_unknown_categories_are_named_beside_the_known_ones() -> None:
    with pytest.raises(UnknownCategoriesError, match=r"the engine names unknown categories: weapon; known are child_"):
        check_categories(["weapons", "weapon"], source="the engine")
    check_categories(NAMES, source="the engine")
