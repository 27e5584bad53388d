"""The frames of an animation that are judged are those that people see longest."""

import struct
from collections.abc import Sequence
from io import BytesIO

import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from service.media.frame_choice import frames_to_judge, shown_ms
from service.media.prepare.gif import prepare_gif
from service.media.prepare.heif import prepare_avif
from service.media.prepare.webp import prepare_webp
from service.media.scenes import Scene, joined
from tests.unit.media.decoding import decode

times = st.lists(st.integers(0, 655_350), min_size=1, max_size=60)


def animation(file_format: str, durations_ms: Sequence[int], **options: object) -> bytes:
    # Frames that differ, so that none is merged with the one before.
    colours = [(number * 12, 255 - number * 12, 60) for number in range(len(durations_ms))]
    return pictures_file(file_format, colours, durations_ms, **options)


def pictures_file(
    file_format: str, colours: Sequence[tuple[int, int, int]], durations_ms: Sequence[int], **options: object
) -> bytes:
    file = BytesIO()
    first, *others = [Image.new("RGB", (16, 16), colour) for colour in colours]
    first.save(file, file_format, save_all=True, append_images=others, duration=list(durations_ms), **options)
    return file.getvalue()


@pytest.mark.parametrize("file_format", ["GIF", "WEBP", "AVIF"])
def test_the_frame_that_is_shown_longest_is_looked_at(file_format: str) -> None:
    image = decode(animation(file_format, [100, 600_000, *[100] * 18]), max_frames=4)
    times = {view.frame: view.shown_ms for view in image.views}
    assert {0: 100, 1: 600_000, 19: 100}.items() <= times.items()
    assert len(times) == 4
    assert image.frames_total == 20
    assert image.ambiguous == ()


@pytest.mark.parametrize("file_format", ["GIF", "WEBP"])
def test_a_picture_counts_for_the_time_of_all_frames_that_show_it(file_format: str) -> None:
    # The frames that were judged when they were evenly spaced show something else.
    elsewhere = {round(place * 15 / 3) for place in range(4)}
    colours = [(250, 20 + number, 20) if number in elsewhere else (20, 20 + number, 250) for number in range(16)]
    image = decode(pictures_file(file_format, colours, [100] * 16), max_frames=4)
    assert {view.frame for view in image.views} - elsewhere


def test_the_longest_of_three_pictures_is_looked_at_beside_the_first() -> None:
    data = pictures_file("WEBP", [(255, 0, 0), (0, 255, 0), (0, 0, 255)], [100, 200, 300])
    assert {view.frame for view in decode(data, max_frames=2).views} == {0, 2}


def test_a_frame_behind_the_end_of_a_webp_has_no_time() -> None:
    data = animation("WEBP", [100, 600_000, *[100] * 18]) + b"ANMF" + struct.pack("<I", 24) + bytes(24)
    image = decode(data, max_frames=4)
    assert 1 in {view.frame for view in image.views}
    assert image.ambiguous == ()


def test_frames_without_known_times_are_ambiguous_if_not_all_are_judged() -> None:
    data = animation("AVIF", [100] * 6).replace(b"stts", b"free")
    assert decode(data, max_frames=4).ambiguous == ("frame_timing",)
    assert decode(data, max_frames=6).ambiguous == ()


def test_times_are_read_as_the_decoder_reads_them() -> None:
    durations = [10, 70, 0, 655_350, 120]
    read_gif = prepare_gif(animation("GIF", durations)).durations_ms
    read_webp = prepare_webp(animation("WEBP", durations)).durations_ms
    read_avif = prepare_avif(animation("AVIF", durations)).durations_ms
    assert read_gif == tuple(durations)
    assert read_avif == tuple(max(1, each) for each in durations)  # its encoder writes no less
    assert read_webp == tuple(durations)


def test_a_still_picture_has_no_times() -> None:
    assert prepare_gif(animation("GIF", [100])).durations_ms == ()
    assert prepare_webp(animation("WEBP", [100])).durations_ms == ()


@pytest.mark.parametrize(("time_ms", "shown"), [(0, 100), (10, 100), (11, 11), (20, 20), (600_000, 600_000)])
def test_browsers_show_a_frame_without_a_time_for_a_tenth_of_a_second(time_ms: int, shown: int) -> None:
    assert shown_ms(time_ms) == shown


def chosen(wanted: int, times_ms: Sequence[int], greys: Sequence[int] | None = None) -> list[int]:
    """Return the frames that are judged; without greys, neighbouring frames differ a little more than by compression"""
    shades = greys or [(number * 10) % 250 for number in range(len(times_ms))]
    return frames_to_judge(wanted, times_ms, found_scenes(shades, times_ms, wanted))


def found_scenes(greys: Sequence[int], times_ms: Sequence[int], most: int) -> list[Scene]:
    cells = [Image.new("RGBA", (16, 16), (grey, grey, grey, 255)) for grey in greys]
    return joined(zip(cells, times_ms, strict=True), most)


def test_every_frame_that_has_its_share_of_the_time_is_looked_at_beside_the_first() -> None:
    assert chosen(4, [10, 3000, 10, 3000, 10, 3000]) == [0, 1, 3, 5]
    assert chosen(1, [100, 100, 900, 100, 100]) == [2]
    assert chosen(1, [100, 100, 300, 100, 100], [0, 200, 50, 150, 100]) == [0]


def test_where_many_frames_are_shown_long_they_are_judged() -> None:
    numbers = chosen(6, [20] * 50 + [2000] * 50)
    assert numbers[0] == 0
    assert all(number >= 50 for number in numbers[1:])


def test_frames_that_flash_up_do_not_displace_what_is_shown_a_quarter_of_the_time() -> None:
    # Many different frames that attract a look each, beside two pictures of like greys that are shown often.
    greys = [0, 255, 30, 220, 60, 190, *[100, 118] * 6]
    numbers = chosen(4, [100] * len(greys), greys)
    assert {100, 118} <= {greys[number] for number in numbers}


def test_different_frames_of_one_picture_count_together() -> None:
    # No two frames are alike, and most are nearer to each other than to those at the usual places.
    greys = [number + 200 if number in {0, 5, 10, 15} else 40 + number * 3 for number in range(16)]
    numbers = chosen(4, [100] * 16, greys)
    assert any(greys[number] < 100 for number in numbers)


def test_the_scenes_of_a_long_animation_are_few() -> None:
    greys = [(number * 37) % 256 for number in range(300)]
    found = found_scenes(greys, [100] * 300, 4)
    assert len(found) == 4
    like_the_first = sum(grey <= 8 for grey in greys)
    assert sum(scene.shown_ms for scene in found) == (300 - like_the_first) * 100


@given(times, st.integers(1, 8))
def test_the_choice_has_the_first_frame_and_every_one_that_is_shown_most_of_the_time(
    times_ms: list[int], wanted: int
) -> None:
    total = len(times_ms)
    numbers = chosen(min(wanted, total), times_ms)
    assert numbers == sorted({*numbers})
    assert len(numbers) == min(wanted, total)
    assert 0 <= numbers[0] <= numbers[-1] < total
    if wanted > 1:
        assert numbers[0] == 0
    most = max(range(total), key=lambda number: times_ms[number])
    if times_ms[most] * 2 > sum(times_ms):
        assert most in numbers
