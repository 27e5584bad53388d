import pytest
from hypothesis import given
from hypothesis import strategies as st

from service.tools.evaluation.sampling.allocation import allocate
from service.tools.evaluation.sampling.errors import SampleImpossibleError

counts = st.dictionaries(st.text("abcdef", min_size=1, max_size=3), st.integers(1, 5000), max_size=20)


@given(flagged=counts, allowed=counts, size=st.integers(100, 3000), share=st.floats(0.01, 1.0))
def test_every_stratum_gets_two_images_or_all_that_it_has_and_the_size_is_kept(
    flagged: dict[str, int], allowed: dict[str, int], size: int, share: float
) -> None:
    flagged = {f"flagged {name}": images for name, images in flagged.items()}
    drawn = allocate(flagged, allowed, size=size, allowed_share=share)
    every = flagged | allowed
    assert drawn.keys() == every.keys()
    assert sum(drawn.values()) == min(size, sum(every.values()))
    assert all(min(2, images) <= drawn[name] <= images for name, images in every.items())


def test_the_share_of_what_was_allowed_is_kept_however_little_it_scores() -> None:
    drawn = allocate({"flagged": 10_000}, {"allowed": 90_000}, size=1000, allowed_share=0.4)
    assert drawn == {"flagged": 600, "allowed": 400}


def test_what_flagged_images_do_not_need_goes_to_the_allowed() -> None:
    assert allocate({"flagged": 30}, {"allowed": 90_000}, size=1000) == {"flagged": 30, "allowed": 970}


def test_without_a_share_of_the_allowed_none_is_drawn() -> None:
    assert allocate({"flagged": 100}, {"allowed": 900}, size=50, allowed_share=0.0) == {"flagged": 50}


def test_large_strata_get_more_by_the_square_root_of_their_size() -> None:
    drawn = allocate({"large": 40_000, "small": 10_000}, {}, size=300)
    assert drawn == {"large": 200, "small": 100}


def test_more_strata_than_images_are_refused_with_what_they_need() -> None:
    with pytest.raises(SampleImpossibleError, match=r"200 strata need 400 images.*--size is 300"):
        allocate({str(number): 9 for number in range(200)}, {}, size=300)
