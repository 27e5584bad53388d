"""Contenders timed in turn, so that a busy moment of the machine meets them all; what counts is the ratio.

A benchmark is a module of this package, or of `benchmarks.vision`, with a context manager `comparisons()` that yields
`Comparison`s and cleans up after them; nothing needs to be registered.
"""

import importlib
import pkgutil
import statistics
import time
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from types import ModuleType
from typing import Protocol, cast

DEFAULT_ROUNDS = 7
"""Odd, so that the median is a measured value; a single disturbed round, or two, do not move it."""


class UnavailableError(Exception):
    """This machine lacks what a benchmark needs; the text says what."""


@dataclass(frozen=True, slots=True)
class TimedRun:
    """Work that timed itself, because its starting and stopping are not to count."""

    units: float
    seconds: float


@dataclass(frozen=True, slots=True)
class Contender:
    """One way of doing the work."""

    name: str
    run: Callable[[], int | TimedRun]
    """Does the work once and returns how many units it did, and in which time if that is not all the call took."""


@dataclass(frozen=True, slots=True)
class Comparison:
    """Ways of doing the same work, the first of which is the baseline."""

    title: str
    contenders: tuple[Contender, ...]
    unit: str = "images/s"
    target_ratio: float | None = None
    """What the last contender must reach against the baseline."""
    most_ratio: float | None = None
    """What no other contender may exceed against the baseline, where less is better."""
    rounds: int = DEFAULT_ROUNDS
    warm_ups: int = 1
    """How often each contender runs unmeasured first."""
    quick: bool = True
    """Whether it is part of a quick run."""


@dataclass(frozen=True, slots=True)
class Timing:
    """What one contender reached: medians over the rounds."""

    name: str
    rate: float
    """Units a second."""
    ratio: float
    """Against the baseline of the same round."""


class Benchmark(Protocol):
    """A module of this package."""

    def comparisons(self) -> AbstractContextManager[Sequence[Comparison]]:
        """Prepare the comparisons, freed on leaving; raises `UnavailableError` where they cannot run."""
        ...


def find_benchmarks(package: ModuleType) -> dict[str, Benchmark]:
    """Return a package's benchmarks by the names of their modules."""
    names = (info.name for info in pkgutil.iter_modules(package.__path__) if info.name != "__main__")
    modules = {name: importlib.import_module(f"{package.__name__}.{name}") for name in sorted(names)}
    return {name: cast("Benchmark", module) for name, module in modules.items() if hasattr(module, "comparisons")}


def measure(comparison: Comparison) -> list[Timing]:
    """Run every contender once unmeasured, then in turn for the rounds."""
    for contender in comparison.contenders * comparison.warm_ups:
        contender.run()
    rounds = [[_rate(contender) for contender in comparison.contenders] for _ in range(comparison.rounds)]
    return [
        Timing(
            name=contender.name,
            rate=statistics.median(rates[place] for rates in rounds),
            ratio=statistics.median(rates[place] / rates[0] for rates in rounds),
        )
        for place, contender in enumerate(comparison.contenders)
    ]


def misses_target(comparison: Comparison, timings: Sequence[Timing]) -> bool:
    """Say whether the comparison promises a ratio that was not kept."""
    if comparison.most_ratio is not None:
        return any(timing.ratio > comparison.most_ratio for timing in timings[1:])
    return comparison.target_ratio is not None and timings[-1].ratio < comparison.target_ratio


def _rate(contender: Contender) -> float:
    start = time.perf_counter()
    done = contender.run()
    if isinstance(done, TimedRun):
        return done.units / done.seconds
    return done / (time.perf_counter() - start)
