import math
from dataclasses import replace

import pytest

from service.tools.planning.cost import Comparison, Cost, CostQuestion, compare

QUESTION = CostQuestion(images_per_day=5000, gpu_hour=3.0, usd_rate=7.0, images_per_s=100.0, utilisation=0.5)


def own(comparison: Comparison, name: str) -> Cost:
    return next(each for each in comparison.own if name in each.name)


def public(comparison: Comparison, name: str) -> Cost:
    return next(each for each in comparison.public if name in each.name)


def break_even(comparison: Comparison, name: str) -> float:
    return next(each.images_per_day for each in comparison.break_even if name in each.name)


def test_an_always_on_card_costs_24_hours_however_little_it_judges() -> None:
    always_on = own(compare(QUESTION), "always on")
    assert (always_on.per_day, always_on.per_month) == (72, 2160)
    assert always_on.per_1000 == pytest.approx(14.4)


def test_a_card_by_the_hour_costs_its_work_at_its_utilisation() -> None:
    # 2,160,000 images at 100 a second are 6 hours of work; at half utilisation 12 are paid.
    busy = compare(replace(QUESTION, images_per_day=2_160_000))
    assert own(busy, "only while").per_day == pytest.approx(12 * 3.0)
    assert busy.busy_s_per_day == pytest.approx(6 * 3600)


def test_a_card_by_the_hour_is_paid_for_an_hour_at_least_and_never_more_than_always_on() -> None:
    assert own(compare(QUESTION), "only while").per_day == 3.0
    full = compare(replace(QUESTION, images_per_day=8_000_000))
    assert own(full, "only while").per_day == own(full, "always on").per_day


def test_more_images_than_a_card_judges_in_a_day_need_another() -> None:
    assert [compare(replace(QUESTION, images_per_day=images)).gpus for images in (8_640_000, 8_640_001)] == [1, 2]


def test_public_prices_are_converted() -> None:
    comparison = compare(QUESTION)
    assert public(comparison, "Rekognition").per_1000 == pytest.approx(7.0)
    assert public(comparison, "Sightengine").per_day == pytest.approx(5 * 20 * 7.0)
    assert public(comparison, "OpenAI").per_day == 0


def test_break_even_is_where_both_cost_the_same() -> None:
    images = break_even(compare(QUESTION), "Rekognition")
    there = compare(replace(QUESTION, images_per_day=images))
    assert own(there, "always on").per_day == pytest.approx(public(there, "Rekognition").per_day)


def test_nothing_is_cheaper_than_free_or_than_a_card_that_never_rests() -> None:
    comparison = compare(replace(QUESTION, images_per_s=0.01))
    assert break_even(compare(QUESTION), "OpenAI") == math.inf
    assert break_even(comparison, "Rekognition") == math.inf


def test_the_embedded_engine_takes_as_many_cores_as_the_images_need() -> None:
    few, many = compare(QUESTION), compare(replace(QUESTION, images_per_day=5_000_000))
    assert own(many, "CPU").per_day == pytest.approx(3 * own(few, "CPU").per_day)


def test_idle_time_is_reported() -> None:
    assert compare(QUESTION).busy_share == pytest.approx(50 / 86_400)


def test_a_price_in_the_questions_own_currency_is_not_converted() -> None:
    usd = public(compare(replace(QUESTION, usd_rate=1.0, currency="USD")), "Easemob")
    cny = public(compare(replace(QUESTION, usd_rate=7.3, currency="CNY")), "Easemob")
    assert cny.per_1000 == pytest.approx(5.25)
    assert usd.per_1000 == pytest.approx(5.25 / 7.1)


def test_a_least_charge_is_paid_for_few_images() -> None:
    few = replace(QUESTION, images_per_day=10, currency="CNY")
    assert public(compare(few), "Easemob").per_month == pytest.approx(288)
    assert break_even(compare(replace(few, gpu_hour=0.1)), "Easemob") == 0


def test_services_that_cost_less_than_an_idle_card_are_named_and_free_ones_are_not() -> None:
    names = [each.name for each in compare(QUESTION).cheaper_services]
    assert "AWS Rekognition" in names
    assert not any("OpenAI" in name for name in names)
    assert compare(replace(QUESTION, gpu_hour=0.01)).cheaper_services == []
