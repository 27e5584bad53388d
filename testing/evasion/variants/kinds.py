"""All kinds of variants, and any number of each."""

from collections.abc import Callable, Iterator, Mapping

from hypothesis import HealthCheck, Phase, given, seed, settings
from hypothesis import strategies as st

from service.core.pixels import RgbPixels
from testing.evasion.variants.moving_variants import frame_places, frame_times
from testing.evasion.variants.png_variants import (
    animation_controls,
    colour_declarations,
    grounds,
    tone_curves,
    transparent_values,
)
from testing.evasion.variants.still_variants import (
    bitmaps,
    cut_files,
    orientations,
    profiles,
    several_pictures,
    shapes,
)
from testing.evasion.variants.variant import HARMFUL, HARMLESS, Variant, photograph

KINDS: Mapping[str, Callable[[RgbPixels, RgbPixels], st.SearchStrategy[Variant]]] = {
    "animation control": animation_controls,
    "tone curve": tone_curves,
    "colour declaration": colour_declarations,
    "profile": profiles,
    "transparent colour": transparent_values,
    "ground": grounds,
    "frame times": frame_times,
    "frame places": frame_places,
    "orientation": orientations,
    "shape": shapes,
    "BMP alpha": bitmaps,
    "several pictures": several_pictures,
    "cut or changed": cut_files,
}


def variants(kind: str, count: int, *, seed_number: int) -> list[Variant]:
    """Return at most so many different variants of a kind; the same for the same seed."""
    pictures = st.tuples(st.sampled_from(HARMFUL), st.sampled_from(HARMLESS))
    drawn = pictures.flatmap(lambda names: KINDS[kind](*map(photograph, names)))
    found: list[Variant] = []

    # Hypothesis is the generator alone: what it draws is judged together afterwards, by one browser.
    @seed(seed_number)
    @settings(
        max_examples=count,
        database=None,
        phases=[Phase.generate],
        suppress_health_check=list(HealthCheck),
        deadline=None,
    )
    @given(drawn)
    def draw(variant: Variant) -> None:
        found.append(variant)

    draw()
    return list({variant.data: variant for variant in found}.values())


def every_kind(count: int, *, seed_number: int) -> Iterator[Variant]:
    """Yield so many variants, of all kinds alike."""
    for kind in KINDS:
        yield from variants(kind, -(-count // len(KINDS)), seed_number=seed_number)
