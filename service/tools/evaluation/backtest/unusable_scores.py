"""Refuses stored scores that are no probabilities: files of verdicts are written by anyone."""

from service.core.errors import FatalError


class StoredScoresError(FatalError):
    """A stored score is no probability."""

    reason = "evaluation.unusable_scores"
    message = (
        "Stored verdicts have {column} from {least} to {most}: a score is from 0 to 1. Archive these verdicts anew"
    )


def check_bounds(column: str, least: float | None, most: float | None) -> None:
    """Raise `StoredScoresError` if scores between these bounds lie outside of 0 to 1, or are NaN."""
    # NaN is the greatest of all in DuckDB, and no comparison with it holds in Python.
    if least is not None and most is not None and not 0.0 <= least <= most <= 1.0:
        raise StoredScoresError(column=column, least=least, most=most)
