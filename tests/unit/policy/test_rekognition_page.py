"""The table of docs/http-rekognition.md against the taxonomy's crosswalk."""

import re
from pathlib import Path

from service.policy.taxonomy import CATEGORIES

PAGE = (Path(__file__).parents[3] / "docs" / "http-rekognition.md").read_text(encoding="utf-8")
LABELS = PAGE.partition("## Labels")[2]


def test_every_label_is_listed_with_its_categories() -> None:
    rows = dict(re.findall(r"^\| ([A-Z][^|]+) \| (`[^|]+) \|$", LABELS, re.MULTILINE))
    expected: dict[str, list[str]] = {}
    for category in CATEGORIES:
        for label in category.crosswalk.aws:
            expected.setdefault(label, []).append(category.name)
    assert {label: re.findall(r"`(\w+)`", names) for label, names in rows.items()} == expected


def test_categories_without_a_label_are_listed() -> None:
    (sentence,) = re.findall(r"^No label of Rekognition overlaps with (.+)\.$", LABELS, re.MULTILINE)
    assert re.findall(r"`(\w+)`", sentence) == [each.name for each in CATEGORIES if not each.crosswalk.aws]
