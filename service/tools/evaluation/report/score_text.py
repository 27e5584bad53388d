"""A score as text, so that its side of a threshold can be seen."""

from collections.abc import Iterable

_DECIMALS = (2, 4, 8)


def score_text(score: float, thresholds: Iterable[float]) -> str:
    """Return a score with as many decimals as distinguish it from thresholds that it is not equal to."""
    others = [each for each in thresholds if each != score]
    for decimals in _DECIMALS:
        text = f"{score:.{decimals}f}"
        if text not in [f"{each:.{decimals}f}" for each in others]:
            return text
    return repr(score)
