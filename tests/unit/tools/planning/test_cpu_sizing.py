import pytest

from service.tools.planning.cpu_sizing import fed_by, feed, process_wall


def test_larger_photographs_need_more_cores() -> None:
    cores = feed(130).cores
    assert (cores["2 MP"], cores["12 MP"]) == (5, 10)


@pytest.mark.parametrize("size", ["2 MP", "12 MP"])
def test_the_cores_that_are_named_feed_the_rate_and_one_less_does_not(size: str) -> None:
    cores = feed(130).cores[size]
    assert fed_by(cores - 1, size) < 130 <= fed_by(cores, size)


def test_a_core_is_the_engines_own() -> None:
    assert fed_by(1, "2 MP") == 0


def test_more_than_one_process_can_pass_on_needs_another() -> None:
    wall = process_wall()
    assert 200 < wall < 400
    assert [feed(rate).processes for rate in (wall * 0.99, wall * 1.01, wall * 2.5)] == [1, 2, 3]
