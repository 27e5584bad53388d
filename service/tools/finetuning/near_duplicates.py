"""Pure: pictures that an eye takes for the same: resized, recompressed, a little brighter, or with a thin margin cut.

A mirrored or turned copy, and a different crop of the same scene, are not found.
"""

from collections.abc import Callable, Iterable, Sequence

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from service.core.pixels import RgbPixels

_SIDE = 10

VISIBLE_DIFFERENCE = 40
"""Of 255, in any hundredth of the picture. Below what `service.media.likeness` allows, because here all pictures of a
dataset are compared with each other, and pictures of goods on white are much alike."""
_SHARE_OF_CONTRAST = 0.2
"""Pages of text are all nearly white: of a picture with little contrast, small differences count."""
_LEAST_DIFFERENCE = 4
"""Compression changes means by so much."""

_COMPARED_FIRST = 12
"""Values of a signature; few pictures agree in all of them and not in the whole."""
_AT_MOST_LEARNT_FROM = 2_000

Signature = NDArray[np.uint8]
"""Shape (300,): the mean colours of the 10 × 10 parts of a picture."""


def signature(pixels: RgbPixels) -> Signature:
    """Return the mean colours of the hundredths of a picture, stretched to a square."""
    cells = Image.fromarray(pixels).resize((_SIDE, _SIDE), Image.Resampling.BOX)
    return np.asarray(cells, dtype=np.uint8).reshape(-1)


def near_duplicates(signatures: Sequence[Signature], on_compared: Callable[[], None] = lambda: None) -> list[int]:
    """Return for each picture the place of the first one of its group.

    Pictures of a group are alike pairwise, or by way of others of it. A picture with little contrast has to differ by
    less. `on_compared` is called after each picture.
    """
    if not signatures:
        return []
    whole = np.stack(signatures).astype(np.int16)
    places = _most_different(whole)
    # Sorted by what differs most, the pictures within reach of one stand behind it.
    order = np.argsort(whole[:, places[0]], kind="stable")
    ordered, columns = whole[order], [np.ascontiguousarray(whole[order, place]) for place in places]
    limits = np.clip(_SHARE_OF_CONTRAST * np.ptp(ordered, axis=1), _LEAST_DIFFERENCE, VISIBLE_DIFFERENCE)
    ends = np.searchsorted(columns[0], columns[0] + limits, side="right")
    groups = np.arange(len(order))
    for place, end in enumerate(ends):
        # Pictures of one group need no comparison: thousands of white ones take no longer than different ones.
        others = np.flatnonzero(groups[place + 1 : end] != groups[place]) + place + 1
        for column in columns:
            others = others[np.abs(column[others] - column[place]) <= limits[place]]
        difference = np.abs(ordered[others] - ordered[place]).max(axis=1, initial=0)
        alike = others[difference <= np.minimum(limits[others], limits[place])]
        if alike.size:
            merged = np.unique(groups[[place, *alike]])
            groups[np.isin(groups, merged)] = merged[0]
        on_compared()
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


def _most_different(whole: NDArray[np.int16]) -> list[int]:
    """Return the places in signatures at which pictures differ most, each in another way than those before it."""
    learnt_from = whole[:: max(1, len(whole) // _AT_MOST_LEARNT_FROM)].astype(np.float64)
    rest = learnt_from - learnt_from.mean(axis=0)
    places: list[int] = []
    for _ in range(_COMPARED_FIRST):
        places.append(int(np.argmax(rest.var(axis=0))))
        column = rest[:, places[-1]].copy()
        if not (size := column @ column):
            break
        rest -= np.outer(column, column @ rest / size)
    return places


def _root(roots: list[int], place: int) -> int:
    while roots[place] != place:
        roots[place] = roots[roots[place]]
        place = roots[place]
    return place


def _join(roots: list[int], first: int, second: int) -> None:
    first, second = _root(roots, first), _root(roots, second)
    roots[max(first, second)] = min(first, second)
