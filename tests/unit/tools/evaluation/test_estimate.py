from collections import defaultdict
from collections.abc import Sequence
from contextlib import closing

import numpy as np
import pytest

from service.tools.evaluation.sampling.errors import LabelsIncompleteError
from service.tools.evaluation.sampling.estimate import CategoryEstimate, SampleEstimate, estimate
from service.tools.evaluation.sampling.label_sheet import SampledImage
from service.tools.evaluation.sampling.labelled_sheet import LabelledImage
from service.tools.evaluation.sampling.sample import Population, SampleDesign
from testing.stored_archive import SyntheticArchive, SyntheticCategory, synthetic_archive

CATEGORIES = {"weapons": SyntheticCategory(0.03, 3.0), "violence": SyntheticCategory(0.05, 5.0)}
FIGURES = ("prevalence", "precision", "recall", "missed")
RUNS = 100
WEAPONS, NONE = frozenset({"weapons"}), frozenset[str]()


def images(stratum: str, total: int, labels: Sequence[frozenset[str] | None]) -> list[LabelledImage]:
    decision, flagged = ("allow", "") if stratum == "allowed" else ("review", "weapons")
    return [
        LabelledImage(
            SampledImage(
                place, len(labels), 1100, f"{stratum}-{place}", "shop", "", "", "", decision, "weapons", 0.5, flagged,
                stratum, total, len(labels),
            ),
            label,
        )
        for place, label in enumerate(labels, start=1)
    ]  # fmt: skip


def known(archive: SyntheticArchive, category: str) -> dict[str, float]:
    shown, flagged = archive.shown[category], archive.flagged[category]
    allowed = ~np.any(np.stack(list(archive.flagged.values())), axis=0)
    return {
        "prevalence": shown.mean(),
        "precision": (shown & flagged).sum() / flagged.sum(),
        "recall": (shown & flagged).sum() / shown.sum(),
        "missed": (shown & allowed).sum() / shown.sum(),
    }


def naive_recall(rows: list[LabelledImage], category: str) -> float:
    shown = [row for row in rows if category in (row.labels or ())]
    return sum(category in row.image.flagged_categories for row in shown) / len(shown)


def of(found: SampleEstimate, category: str) -> CategoryEstimate:
    return next(each for each in found.categories if each.category == category)


def test_intervals_cover_the_truth_and_naive_figures_are_far_from_it() -> None:
    covered: defaultdict[tuple[str, str], int] = defaultdict(int)
    naive: defaultdict[str, list[float]] = defaultdict(list)
    corrected: defaultdict[str, list[float]] = defaultdict(list)
    for seed in range(RUNS // 25):
        archive = synthetic_archive(seed, 6000, CATEGORIES)
        truth = {category: known(archive, category) for category in CATEGORIES}
        with closing(archive.connection()) as connection:
            population = Population(connection, SampleDesign())
            for run in range(25):
                drawn = population.draw(size=400, seed=run, allowed_share=0.6)
                rows = [LabelledImage(image, archive.labels_of(image.image_id)) for image in drawn]
                found = estimate(rows, "labels.csv")
                for category, figures in truth.items():
                    ours = of(found, category)
                    naive[category].append(naive_recall(rows, category) - figures["recall"])
                    corrected[category].append((ours.recall.value or 0.0) - figures["recall"])
                    for name, value in figures.items():
                        interval = getattr(ours, name)
                        covered[category, name] += interval.low <= value <= interval.high
    assert len(covered) == len(CATEGORIES) * len(FIGURES)
    assert {key: count for key, count in covered.items() if count < 0.9 * RUNS} == {}
    assert abs(np.mean(corrected["weapons"])) < 0.03
    assert np.mean(naive["weapons"]) > 0.4


def test_a_labelled_image_stands_for_those_of_its_stratum_that_were_not_labelled() -> None:
    rows = [
        *images("flagged", 100, [WEAPONS] * 8 + [NONE] * 2),
        *images("allowed", 1000, [WEAPONS] * 1 + [NONE] * 9),
    ]
    weapons = of(estimate(rows, ""), "weapons")
    assert weapons.prevalence.value == pytest.approx((80 + 100) / 1100)
    assert weapons.precision.value == pytest.approx(0.8)
    assert weapons.recall.value == pytest.approx(80 / 180)
    assert weapons.missed.value == pytest.approx(100 / 180)
    assert (weapons.positives, weapons.flagged) == (9, 10)


def test_images_without_labels_are_taken_to_be_like_the_others_of_their_stratum() -> None:
    rows = [*images("flagged", 100, [WEAPONS, NONE, None, None]), *images("allowed", 1000, [NONE] * 10)]
    found = estimate(rows, "")
    assert (found.drawn, found.labelled) == (14, 12)
    assert found.overall.prevalence.value == pytest.approx(50 / 1100)


def test_a_stratum_without_any_label_is_refused_with_its_name_and_size() -> None:
    rows = [*images("flagged", 100, [WEAPONS, NONE]), *images("allowed", 1000, [None] * 10)]
    with pytest.raises(LabelsIncompleteError, match=r"a\.csv: 1 of 2 strata have no .*'allowed' \(1,000 images\)"):
        estimate(rows, "a.csv")


def test_without_the_allowed_recall_is_unknown_and_precision_is_not() -> None:
    found = estimate(images("flagged", 100, [WEAPONS] * 9 + [NONE]), "")
    weapons = of(found, "weapons")
    assert found.not_drawn_from == 1000
    assert weapons.precision.value == pytest.approx(0.9)
    assert {figure.value for figure in (weapons.recall, weapons.missed, weapons.prevalence)} == {None}


def test_a_category_that_is_never_flagged_has_no_precision() -> None:
    violence = frozenset({"violence"})
    rows = [*images("flagged", 100, [WEAPONS] * 10), *images("allowed", 1000, [violence] + [NONE] * 9)]
    found = of(estimate(rows, ""), "violence")
    assert (found.precision.value, found.recall.value, found.missed.value) == (None, 0.0, 1.0)


def test_an_image_that_another_category_stopped_was_not_missed() -> None:
    violence = frozenset({"violence"})
    rows = [*images("flagged", 100, [violence] * 10), *images("allowed", 1000, [NONE] * 10)]
    found = of(estimate(rows, ""), "violence")
    assert (found.recall.value, found.missed.value) == (0.0, 0.0)


def test_overall_counts_an_image_that_any_category_is_shown_in() -> None:
    rows = [
        *images("flagged", 100, [frozenset({"violence"})] * 5 + [NONE] * 5),
        *images("allowed", 1000, [NONE] * 10),
    ]
    found = estimate(rows, "")
    assert found.overall.precision.value == pytest.approx(0.5)
    assert of(found, "weapons").precision.value == 0.0
    assert [each.category for each in found.categories] == ["violence", "weapons"]
