import math
import re
from pathlib import Path

import pytest

from service.tools.evaluation.sampling.label_counts import labels_needed, lower_limit


def test_59_labels_without_a_miss_prove_95_percent() -> None:
    assert labels_needed(0.95, 1.0) == 59 == math.ceil(math.log(0.05) / math.log(0.95))


@pytest.mark.parametrize(("claim", "observed"), [(0.95, 0.98), (0.9, 0.95), (0.5, 0.6), (0.99, 0.995)])
def test_the_number_is_the_least_from_which_on_the_claim_is_proven(claim: float, observed: float) -> None:
    needed = labels_needed(claim, observed)
    assert needed is not None

    def limit(labels: int) -> float:
        return lower_limit(math.floor(observed * labels + 1e-9), labels)

    assert all(limit(labels) >= claim for labels in range(needed, needed + 300))
    assert limit(needed - 1) < claim


def test_more_confidence_takes_more_labels() -> None:
    assert (labels_needed(0.95, 0.98, 0.9) or 0) < (labels_needed(0.95, 0.98, 0.99) or 0)


@pytest.mark.parametrize("observed", [0.95, 0.9])
def test_what_is_not_observed_cannot_be_proven(observed: float) -> None:
    assert labels_needed(0.95, observed) is None


def test_the_limit_of_no_hit_is_0() -> None:
    assert lower_limit(0, 10) == 0.0
    assert lower_limit(59, 59) == pytest.approx(0.05 ** (1 / 59))


def test_the_page_about_evaluation_has_the_right_numbers() -> None:
    page = (Path(__file__).parents[4] / "docs/evaluation.md").read_text()
    head, _, *rows = re.search(r"^\| To claim at least .*?\n\n", page, re.MULTILINE | re.DOTALL)[0].splitlines()[:-1]  # type: ignore[index]  # a page without the table fails
    observed = [int(each) / 100 for each in re.findall(r"observed (\d+) %", head)]
    assert len(observed) == 5
    for row in rows:
        claim, *cells = (cell.strip() for cell in row.strip("|").split("|"))
        needed = [labels_needed(int(claim.removesuffix(" %")) / 100, each) for each in observed]
        assert cells == [f"{each:,}" if each else "never" for each in needed], claim
    assert labels_needed(0.99, 1.0) == 299
    assert labels_needed(0.999, 1.0) == 2995
