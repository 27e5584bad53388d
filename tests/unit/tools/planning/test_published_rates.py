import pytest

from service.tools.planning.published_rates import PUBLISHED_RATES, PublishedRate, published_markdown

DENSE = [each for each in PUBLISHED_RATES if each.cards == 1]


@pytest.mark.parametrize("published", DENSE, ids=lambda each: f"{each.engine} {each.gpu}")
def test_dense_models_reached_two_thirds_or_more_of_what_is_calculated(published: PublishedRate) -> None:
    # "Expect up to a third less": docs/engine.md.
    assert 1 / 1.5 <= 1 / published.ratio <= 1


def test_few_requests_at_a_time_are_slower_than_a_full_card() -> None:
    (few,) = [each for each in DENSE if each.in_flight]
    assert few.calculated_per_s < 20


def test_a_mixture_of_experts_on_several_cards_is_shown_and_not_trusted() -> None:
    (experts,) = [each for each in PUBLISHED_RATES if each.cards > 1]
    assert experts.ratio > 3
    assert "not in the arithmetic" in experts.remark


def test_every_rate_has_a_row_with_its_source() -> None:
    rows = published_markdown().splitlines()[2:]
    assert [row.split(" | ")[0].removeprefix("| ") for row in rows] == [each.source for each in PUBLISHED_RATES]
