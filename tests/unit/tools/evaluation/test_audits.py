"""What audits say of all that was allowed: without bias, and with intervals that hold."""

from dataclasses import replace
from datetime import date, timedelta

import numpy as np
import pytest

from service.tools.evaluation.sampling.audit_sheet import audit_sheet
from service.tools.evaluation.sampling.audits import ChosenImage, LiveCounts, PolicyMisses, estimate_misses

DAY = date(2026, 3, 1)
FOUND = frozenset({"weapons"})


def chosen(
    number: int, *, flagged: bool = False, left_out: bool = False, share: float = 0.1, day: int = 0
) -> ChosenImage:
    """Return an image that was chosen."""
    found = None if left_out else FOUND if flagged else frozenset()
    return ChosenImage(
        "shop", f"image-{number}", "default", DAY + timedelta(days=day), share, found, flagged and not left_out
    )


def one(images: list[ChosenImage], live: LiveCounts | None = None, *, min_audits: int = 100) -> PolicyMisses:
    """Return the estimate for the only policy."""
    (found,) = estimate_misses(images, {} if live is None else {"default": live}, min_audits=min_audits)
    return found


def test_each_audit_stands_for_as_many_images_as_its_share_says() -> None:
    images = [chosen(n, flagged=n < 4, share=0.1) for n in range(100)]
    images += [chosen(n, share=0.01, day=1) for n in range(100, 200)]
    found = one(images)
    assert found.overall is not None
    assert found.allowed == pytest.approx(11_000)
    assert found.overall.missed.value == pytest.approx(40 / 11_000)
    (weapons,) = found.categories
    assert (weapons.category, weapons.found, weapons.missed) == ("weapons", 4, found.overall.missed)


def test_images_that_were_left_out_count_as_those_of_their_day() -> None:
    busy = [chosen(n, flagged=n < 10, left_out=n >= 50, day=0) for n in range(100)]
    calm = [chosen(n, day=1) for n in range(100, 200)]
    found = one([*busy, *calm])
    assert found.done == pytest.approx(0.75)
    assert found.overall is not None
    # A fifth of the busy day's audits, and so of the busy day.
    assert found.overall.missed.value == pytest.approx(0.2 * 1_000 / 2_000)


def test_a_day_without_any_audit_is_taken_to_be_like_the_others() -> None:
    images = [chosen(n, flagged=n < 10) for n in range(200)] + [chosen(n, left_out=True, day=1) for n in range(100)]
    found = one(images)
    assert found.overall is not None
    assert found.overall.missed.value == pytest.approx(0.05)


def test_recall_is_what_was_flagged_of_all_that_should_have_been() -> None:
    images = [chosen(n, flagged=n < 5) for n in range(500)]
    found = one(images, LiveCounts(5_000, {None: 150, "weapons": 50}))
    assert found.overall is not None
    assert found.overall.recall.value == pytest.approx(150 / 200)
    (weapons,) = found.categories
    assert weapons.recall.value == pytest.approx(50 / 100)
    assert weapons.recall.low < 0.5 < weapons.recall.high


def test_images_of_http_requests_count_among_what_is_missed_and_not_in_the_recall_of_the_archive() -> None:
    images = [chosen(n, flagged=n < 5) for n in range(500)]
    requests = [replace(chosen(n, flagged=n < 515), is_stored=False) for n in range(500, 1_000)]
    found = one([*images, *requests], LiveCounts(5_000, {None: 50}))
    assert found.overall is not None
    assert (found.allowed, found.represented) == pytest.approx((10_000, 1.0))
    assert found.overall.missed.value == pytest.approx(0.02)
    assert found.overall.recall.value == pytest.approx(0.5)


def test_labels_of_finds_and_of_others_count_for_their_kind_alone() -> None:
    images = [chosen(n, flagged=n < 20) for n in range(1_000)]
    # Half of the finds are labelled, half of these rightly; of the others 49, and one of them shows something.
    labels = {n: FOUND if n % 2 else frozenset[str]() for n in range(10)} | {
        n: frozenset[str]() for n in range(100, 148)
    }
    labels[148] = FOUND
    labelled = [replace(image, labels=labels.get(number)) for number, image in enumerate(images)]
    found = one(labelled)
    assert found.overall is not None
    assert found.overall.truly_missed is not None
    assert found.overall.truly_missed.value == pytest.approx((10 + 980 / 49) / 1_000)
    assert not found.is_lower_bound
    (only_finds,) = estimate_misses(
        [replace(image, labels=labels.get(n) if n < 20 else None) for n, image in enumerate(images)], {}
    )
    assert only_finds.is_lower_bound
    assert only_finds.overall is not None
    assert only_finds.overall.truly_missed is not None
    assert only_finds.overall.truly_missed.value == pytest.approx(0.01)


def test_too_few_audits_and_too_many_left_out_say_so_instead_of_a_figure() -> None:
    few = one([chosen(n) for n in range(99)])
    assert (few.overall, few.categories) == (None, ())
    assert few.refused is not None
    assert "99 images were audited and 100 are needed" in few.refused
    busy = one([chosen(n, left_out=n >= 100) for n in range(300)])
    assert busy.refused is not None
    assert "33% of the chosen images" in busy.refused


def test_nothing_found_is_no_proof_that_nothing_is_missed() -> None:
    found = one([chosen(n) for n in range(300)])
    assert found.overall is not None
    assert (found.overall.missed.value, found.overall.missed.low) == (0.0, 0.0)
    assert 0.009 < found.overall.missed.high < 0.015


@pytest.mark.parametrize(("missed", "share"), [(0.002, 0.02), (0.02, 0.01), (0.01, 0.05)])
def test_intervals_cover_the_truth_in_about_95_of_100_archives(missed: float, share: float) -> None:
    generator = np.random.default_rng(11)
    archives, images, days = 150, 30_000, 4
    covered = biases = 0.0
    for _ in range(archives):
        shown = generator.random(images) < missed * np.repeat([0.4, 0.8, 1.2, 1.6], images // days)
        # The share doubles half-way, and on the last day, with most to miss, half of the audits find no room.
        shares = np.where(np.arange(images) < images // 2, share, 2 * share)
        picked = np.flatnonzero(generator.random(images) < shares)
        day = picked * days // images
        left_out = (day == days - 1) & (generator.random(picked.size) < 0.5)
        sample = [
            chosen(int(n), flagged=bool(shown[n]), left_out=bool(gone), share=float(shares[n]), day=int(when))
            for n, gone, when in zip(picked, left_out, day, strict=True)
        ]
        found = one(sample, LiveCounts(images, {None: 100}))
        assert found.overall is not None
        truth = shown.mean()
        covered += found.overall.missed.low <= truth <= found.overall.missed.high
        biases += (found.overall.missed.value or 0.0) / truth - 1.0
    assert covered / archives >= 0.93
    assert abs(biases / archives) < 0.06


def test_the_sheet_has_every_find_and_some_others_in_an_order_without_meaning() -> None:
    images = [chosen(n, flagged=n < 3, left_out=n == 5) for n in range(50)]
    images.append(replace(chosen(99), image_id="=cmd()"))
    lines = audit_sheet(images, without_find=100).splitlines()
    assert lines[0] == "tenant,image_id,policy,day,found,labels"
    assert {line.split(",")[1] for line in lines[1:4]} == {"image-0", "image-1", "image-2"}
    assert len(lines) == 1 + 50
    assert any(line.startswith("shop,'=cmd()") for line in lines)
    assert len(audit_sheet(images, without_find=7).splitlines()) == 1 + 3 + 7
