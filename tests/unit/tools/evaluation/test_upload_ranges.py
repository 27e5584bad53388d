"""Which offsets are read to find records at single places."""

from service.tools.evaluation.images.upload_events import Place, ranges_of


def test_places_that_lie_near_are_read_as_one_and_nothing_between_those_that_lie_far_apart() -> None:
    places = [Place("uploads", number, offset) for number, offset in ((1, 7), (0, 900_000), (0, 3), (0, 5), (0, 3))]
    assert list(ranges_of(places)) == [(0, range(3, 6)), (0, range(900_000, 900_001)), (1, range(7, 8))]
    assert list(ranges_of([])) == []
