"""Labelled scores of a category, drawn at random."""

import numpy as np

from service.tools.evaluation.thresholds.ranking import Ranking


def ranking(images: int, *, share: float = 0.2, distance: float = 2.0, seed: int = 0) -> Ranking:
    """Return images of which a share shows the category; the log odds of both kinds are `2 · distance` apart."""
    rng = np.random.default_rng(seed)
    positives = rng.random(images) < share
    log_odds = rng.normal(size=images) * 1.5 + np.where(positives, distance, -distance)
    return Ranking(1.0 / (1.0 + np.exp(-log_odds)), positives)
