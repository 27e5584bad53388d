"""How many images of each stratum a sample draws."""

from collections.abc import Mapping
from heapq import heapify, heappop, heappush
from math import sqrt

from service.tools.evaluation.sampling.errors import SampleImpossibleError

LEAST = 2
"""Of each stratum: one image says nothing about how much a stratum's images differ."""

ALLOWED_SHARE = 0.4
"""Of the sample: what was allowed is nearly everything, and only there harm is missed."""


def allocate(
    flagged: Mapping[str, int], allowed: Mapping[str, int], *, size: int, allowed_share: float = ALLOWED_SHARE
) -> dict[str, int]:
    """Return how many images to draw of each stratum, given how many it has.

    Of what was allowed at least `allowed_share` of the sample is drawn, as far as there is so much; with 0, none.
    Within each of the two parts a stratum gets its share by the square root of its size: large strata get more, and
    small ones enough to be estimated at all. Raises `SampleImpossibleError` if not every stratum can get two images.
    """
    strata = {**flagged, **(allowed if allowed_share else {})}
    if (least := sum(min(LEAST, images) for images in strata.values())) > size:
        raise SampleImpossibleError(detail=_too_many(len(strata), least, size))
    if not allowed_share:
        return _spread(flagged, size)
    least_flagged = sum(min(LEAST, images) for images in flagged.values())
    wanted = min(round(size * allowed_share), sum(allowed.values()), size - least_flagged)
    drawn = _spread(flagged, size - max(wanted, sum(min(LEAST, images) for images in allowed.values())))
    return drawn | _spread(allowed, size - sum(drawn.values()))


def _spread(strata: Mapping[str, int], size: int) -> dict[str, int]:
    """Spread a number of images over strata; each image goes where the stratum is furthest below its share."""
    drawn = {name: min(LEAST, images) for name, images in strata.items()}
    shares = [(_shortage(strata[name], drawn[name]), name) for name in strata if drawn[name] < strata[name]]
    heapify(shares)
    left = size - sum(drawn.values())
    while shares and left > 0:
        _, name = heappop(shares)
        drawn[name] += 1
        left -= 1
        if drawn[name] < strata[name]:
            heappush(shares, (_shortage(strata[name], drawn[name]), name))
    return drawn


def _shortage(images: int, drawn: int) -> float:
    """Return what sorts strata, those that need an image most first."""
    return -sqrt(images) / (drawn + 1)


def _too_many(strata: int, least: int, size: int) -> str:
    return (
        f"{strata:,} strata need {least:,} images, two of each, and --size is {size:,}: raise --size, or split the"
        " images by less in --by"
    )
