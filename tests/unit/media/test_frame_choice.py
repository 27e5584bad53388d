"""The frames of an animation that are judged are those that people see longest."""

import itertools
from collections.abc import Sequence
from io import BytesIO

import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from service.media.frame_choice import frames_to_judge, shown_ms
from service.media.prepare.gif import prepare_gif
from service.media.prepare.webp import prepare_webp
from service.media.sizes import spread
from tests.unit.media.decoding import decode

times = st.lists(st.integers(0, 655_350), min_size=1, max_size=60)


def animation(file_format: str, durations_ms: Sequence[int], **options: object) -> bytes:
    # Frames that differ, so that none is merged with the one before.
    pictures = [Image.new("RGB", (16, 16), (number * 9, 255 - number * 9, 60)) for number in range(len(durations_ms))]
    file = BytesIO()
    first, *others = pictures
    first.save(file, file_format, save_all=True, append_images=others, duration=list(durations_ms), **options)
    return file.getvalue()


@pytest.mark.parametrize("file_format", ["GIF", "WEBP"])
def test_the_frame_that_is_shown_longest_is_looked_at(file_format: str) -> None:
    image = decode(animation(file_format, [100, 600_000, *[100] * 18]), max_frames=4)
    assert [(view.frame, view.shown_ms) for view in image.views] == [(0, 100), (1, 600_000), (2, 100), (19, 100)]
    assert image.frames_total == 20


@pytest.mark.parametrize("file_format", ["GIF", "WEBP"])
def test_frames_that_are_shown_as_long_as_each_other_are_evenly_spaced(file_format: str) -> None:
    image = decode(animation(file_format, [100] * 20), max_frames=4)
    assert [view.frame for view in image.views] == spread(20, 4)


def test_times_are_read_as_the_decoder_reads_them() -> None:
    durations = [10, 70, 0, 655_350, 120]
    read_gif = prepare_gif(animation("GIF", durations)).durations_ms
    read_webp = prepare_webp(animation("WEBP", durations)).durations_ms
    assert read_gif == tuple(durations)
    assert read_webp == tuple(durations)


def test_a_still_picture_has_no_times() -> None:
    assert prepare_gif(animation("GIF", [100])).durations_ms == ()
    assert prepare_webp(animation("WEBP", [100])).durations_ms == ()


@pytest.mark.parametrize(("time_ms", "shown"), [(0, 100), (10, 100), (11, 11), (20, 20), (600_000, 600_000)])
def test_browsers_show_a_frame_without_a_time_for_a_tenth_of_a_second(time_ms: int, shown: int) -> None:
    assert shown_ms(time_ms) == shown


def test_every_frame_that_has_its_share_of_the_time_is_looked_at_beside_the_first() -> None:
    assert frames_to_judge(6, 4, [10, 3000, 10, 3000, 10, 3000]) == [0, 1, 3, 5]
    assert frames_to_judge(5, 1, [100, 100, 900, 100, 100]) == [2]
    assert frames_to_judge(5, 1, [100, 100, 300, 100, 100]) == [0]


def test_where_many_frames_are_shown_long_they_are_spaced_by_time() -> None:
    # All of the time is in the second half, so that no evenly spaced frame of the first half matters.
    chosen = frames_to_judge(100, 6, [20] * 50 + [2000] * 50)
    assert chosen[0] == 0
    assert all(number >= 50 for number in chosen[1:])
    assert max(later - earlier for earlier, later in itertools.pairwise(chosen[1:])) <= 20


@given(times, st.integers(1, 8))
def test_the_choice_has_the_first_frame_and_every_one_that_is_shown_most_of_the_time(
    times_ms: list[int], wanted: int
) -> None:
    total = len(times_ms)
    chosen = frames_to_judge(total, wanted, times_ms)
    assert chosen == sorted({*chosen})
    assert len(chosen) == min(wanted, total)
    assert 0 <= chosen[0] <= chosen[-1] < total
    if wanted > 1:
        assert chosen[0] == 0
    most = max(range(total), key=lambda number: times_ms[number])
    if times_ms[most] * 2 > sum(times_ms):
        assert most in chosen
