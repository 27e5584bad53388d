"""vLLM's engine by itself: what the service's way of asking gains, on one engine that is started once."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager

from benchmarks.runner import Comparison
from benchmarks.vision.budget import budget
from benchmarks.vision.model import running_model
from benchmarks.vision.one_token import one_token
from benchmarks.vision.prefix_cache import prefix_cache
from benchmarks.vision.preparing import preparing
from benchmarks.vision.second_stage import second_stage


@contextmanager
def comparisons() -> Iterator[Sequence[Comparison]]:
    """Compare questions, caches, and ways of preparing images."""
    with running_model() as running:
        yield (
            one_token(running),
            prefix_cache(running),
            *preparing(running),
            second_stage(running),
            budget(running),
        )
