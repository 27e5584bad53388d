"""Animations of which one frame is harmful: for how long, where, and after how many repetitions."""

from collections.abc import Sequence

import numpy as np
from hypothesis import strategies as st
from PIL import Image

from service.core.pixels import RgbPixels
from testing.evasion.corpus.sample import saved
from testing.evasion.files.apng_file import Frame, animated_chunks
from testing.evasion.files.gif_file import GifFrame, gif
from testing.evasion.files.png_file import file_of
from testing.evasion.variants.variant import SIZE, Variant

_TIMES_MS = st.sampled_from([0, 10, 20, 100, 500, 3000, 60_000, 600_000])


@st.composite
def frame_times(draw: st.DrawFn, harmful: RgbPixels, harmless: RgbPixels) -> Variant:
    """Draw an animation with harmful frames at any places, shown for any time."""
    count = draw(st.integers(2, 24))
    places = draw(st.one_of(st.sets(st.integers(0, count - 1), min_size=1, max_size=1), _between_evenly_spaced(count)))
    usual, longer = draw(_TIMES_MS), draw(_TIMES_MS)
    times = [longer if number in places else usual for number in range(count)]
    pixels = [harmful if number in places else harmless for number in range(count)]
    loops = draw(st.sampled_from([0, 1, 3]))
    name = draw(st.sampled_from(["GIF", "PNG", "WEBP", "AVIF"]))
    how = f"{name}, frames {sorted(places)} of {count} for {longer} ms, the others for {usual} ms, {loops} loops"
    return Variant("frame times", how, _MAKERS[name](pixels, times, loops), harmful)


def _between_evenly_spaced(count: int) -> st.SearchStrategy[set[int]]:
    """Return what gives all frames but four that are evenly spaced, or any of those."""
    between = {*range(count)} - {round(place * (count - 1) / 3) for place in range(4)}
    return st.sets(st.sampled_from(sorted(between)), min_size=1) | st.just(between) if between else st.just({0})


@st.composite
def frame_places(draw: st.DrawFn, harmful: RgbPixels, harmless: RgbPixels) -> Variant:
    """Draw a GIF whose frames reach beyond their canvas, clear it or let through what was before."""
    disposals = [draw(st.integers(0, 7)) for _ in range(3)]
    (bad, bad_palette), (good, good_palette) = _indexed(harmful), _indexed(harmless)
    offset = draw(st.sampled_from([(0, 0), (40, 30), (120, 90)]))
    transparent = draw(st.sampled_from([None, 0, 100]))
    background, looping = draw(st.integers(0, 255)), draw(st.sampled_from([None, 0, 1]))
    frames = [
        GifFrame(bad, bad_palette, delay_cs=draw(st.sampled_from([0, 10, 500])), disposal=disposals[0]),
        GifFrame(good[:60, :80], good_palette, disposal=disposals[1], offset=offset, transparent=transparent),
        GifFrame(good[:20, :20], good_palette, disposal=disposals[2], transparent=transparent),
    ][: draw(st.integers(1, 3))]
    canvas = draw(st.sampled_from([SIZE, (64, 48), (200, 150), (0, 0)]))
    data = gif(canvas, frames, background=background, loops=looping, global_palette=good_palette)
    how = f"canvas {canvas}, disposals {disposals}, at {offset}, transparent {transparent}, {len(frames)} frames"
    return Variant("frame places", how, data, harmful)


def _gif(pixels: Sequence[RgbPixels], times: Sequence[int], loops: int) -> bytes:
    frames = []
    for each, time_ms in zip(pixels, times, strict=True):
        indices, palette = _indexed(each)
        frames.append(GifFrame(indices, palette, delay_cs=min(time_ms // 10, 0xFFFF)))
    return gif(SIZE, frames, loops=loops)


def _apng(pixels: Sequence[RgbPixels], times: Sequence[int], loops: int) -> bytes:
    frames = [
        Frame(each, (time_ms // 1000, 1) if time_ms > 0xFFFF else (time_ms, 1000))
        for each, time_ms in zip(pixels, times, strict=True)
    ]
    return file_of(animated_chunks(frames, plays=loops))


def _webp(pixels: Sequence[RgbPixels], times: Sequence[int], loops: int) -> bytes:
    # Equal frames that follow each other are joined by the encoder: a square distinguishes them.
    first, *others = [_marked(each, number) for number, each in enumerate(pixels)]
    return saved(
        first, "WEBP", save_all=True, append_images=others, duration=list(times), loop=loops, quality=80, method=0
    )


def _avif(pixels: Sequence[RgbPixels], times: Sequence[int], _loops: int) -> bytes:
    first, *others = [_marked(each, number) for number, each in enumerate(pixels)]
    return saved(first, "AVIF", save_all=True, append_images=others, duration=list(times), quality=80, speed=10)


_MAKERS = {"GIF": _gif, "PNG": _apng, "WEBP": _webp, "AVIF": _avif}
_PALETTES: dict[bytes, tuple[np.ndarray, bytes]] = {}


def _marked(pixels: RgbPixels, number: int) -> Image.Image:
    image = Image.fromarray(pixels).copy()
    image.paste((number * 10 % 256, 0, 0), (0, 0, 8, 8))
    return image


def _indexed(pixels: RgbPixels) -> tuple[np.ndarray, bytes]:
    key = pixels.tobytes()
    if key not in _PALETTES:
        reduced = Image.fromarray(pixels).quantize(256)
        _PALETTES[key] = np.asarray(reduced), bytes(reduced.getpalette() or ()).ljust(768, b"\0")
    return _PALETTES[key]
