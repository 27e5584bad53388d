"""Pure: pictures that an eye takes for the same: resized, recompressed, a little brighter, or with a thin margin cut.

A mirrored or turned copy, and a different crop of the same scene, are not found.
"""

from collections.abc import Iterable, Sequence

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from service.core.pixels import RgbPixels

_SIDE = 10
SIGNATURE_BYTES = _SIDE * _SIDE * 3

VISIBLE_DIFFERENCE = 40
"""Of 255, in any hundredth of the picture. Below what `service.media.likeness` allows, because here all pictures of a
dataset are compared with each other, and pictures of goods on white are much alike."""

_PROJECTIONS = 8
_AT_MOST_LEARNT_FROM = 2_000

Signature = NDArray[np.uint8]
"""Shape (300,): the mean colours of the 10 × 10 parts of a picture."""


def signature(pixels: RgbPixels) -> Signature:
    """Return the mean colours of the hundredths of a picture, stretched to a square."""
    cells = Image.fromarray(pixels).resize((_SIDE, _SIDE), Image.Resampling.BOX)
    return np.asarray(cells, dtype=np.uint8).reshape(-1)


def near_duplicates(signatures: Sequence[Signature]) -> list[int]:
    """Return for each picture the place of the first one of its group; pictures of a group are alike pairwise or by
    way of others of it.
    """
    if not signatures:
        return []
    whole = np.stack(signatures).astype(np.int16)
    projected = _projected(whole)
    # The projection that spreads most leaves the fewest neighbours to compare.
    order = np.argsort(projected[:, 0], kind="stable")
    ordered, projections = whole[order], projected[order]
    ends = np.searchsorted(projections[:, 0], projections[:, 0] + VISIBLE_DIFFERENCE, side="right")
    groups = np.arange(len(order))
    for place, end in enumerate(ends):
        # Pictures of one group need no comparison: thousands of white ones take no longer than different ones.
        others = np.flatnonzero(groups[place + 1 : end] != groups[place]) + place + 1
        alike = _alike(ordered, projections, place, others)
        if alike.size:
            merged = np.unique(groups[[place, *alike]])
            groups[np.isin(groups, merged)] = merged[0]
    return _first_places(groups, order)


def _first_places(groups: NDArray[np.int64], order: NDArray[np.int64]) -> list[int]:
    """Return by picture the first place of its group; `groups` are in another order of the pictures."""
    first = np.full(len(order), len(order))
    np.minimum.at(first, groups, order)
    result = np.empty(len(order), dtype=np.int64)
    result[order] = first[groups]
    return [int(place) for place in result]


def joined(roots: Sequence[int], keys: Iterable[str | None]) -> list[int]:
    """Return groups in which pictures with an equal key, which is not None, are together as well."""
    result, first_of = [*roots], dict[str, int]()
    for place, key in enumerate(keys):
        if key is not None:
            _join(result, first_of.setdefault(key, place), place)
    return [_root(result, place) for place in range(len(result))]


def _projected(whole: NDArray[np.int16]) -> NDArray[np.float32]:
    """Return some weighted means of each signature's values, the one that spreads most first.

    The weights' sizes sum to 1, so that means of two pictures never differ by more than one of their values does.
    """
    learnt_from = whole[:: max(1, len(whole) // _AT_MOST_LEARNT_FROM)].astype(np.float64)
    _, vectors = np.linalg.eigh(np.cov(learnt_from, rowvar=False) if len(learnt_from) > 1 else np.eye(SIGNATURE_BYTES))
    weights = vectors[:, -_PROJECTIONS:]
    projected: NDArray[np.float32] = (whole @ (weights / np.abs(weights).sum(axis=0))).astype(np.float32)
    spread: NDArray[np.float32] = projected[:, np.argsort(-projected.std(axis=0))]
    return spread


def _alike(
    whole: NDArray[np.int16], projected: NDArray[np.float32], place: int, others: NDArray[np.int64]
) -> NDArray[np.int64]:
    """Return those of the other places whose pictures are alike."""
    near = others[np.abs(projected[others] - projected[place]).max(axis=1, initial=0) <= VISIBLE_DIFFERENCE]
    alike: NDArray[np.int64] = near[np.abs(whole[near] - whole[place]).max(axis=1, initial=0) <= VISIBLE_DIFFERENCE]
    return alike


def _root(roots: list[int], place: int) -> int:
    while roots[place] != place:
        roots[place] = roots[roots[place]]
        place = roots[place]
    return place


def _join(roots: list[int], first: int, second: int) -> None:
    first, second = _root(roots, first), _root(roots, second)
    roots[max(first, second)] = min(first, second)
