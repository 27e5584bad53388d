"""Computes rates and quantiles from two scrapes of each process, as Prometheus does."""

import itertools
import math
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from service.tools.top.scrape import Sample, Scrape

Key = tuple[str, ...]
"""Values of the labels that were asked for, in their order."""


@dataclass(frozen=True, slots=True)
class ScrapeInterval:
    """Two scrapes of one process; the same one twice if there is only one."""

    before: Scrape
    now: Scrape

    @property
    def seconds(self) -> float:
        """Seconds between the two scrapes."""
        return self.now.at_s - self.before.at_s


def rates(stretches: Iterable[ScrapeInterval], counter: str, *labels: str) -> dict[Key, float]:
    """Return a counter's growth a second, summed over processes; 0 if there is only one scrape."""
    found: defaultdict[Key, float] = defaultdict(float)
    for stretch in stretches:
        for key, growth in _grown(stretch, counter, labels).items():
            found[key] += growth / stretch.seconds if stretch.seconds > 0 else 0.0
    return dict(found)


def sums(stretches: Iterable[ScrapeInterval], gauge: str, *labels: str) -> dict[Key, float]:
    """Return a gauge's present values, summed over processes."""
    found: defaultdict[Key, float] = defaultdict(float)
    for stretch in stretches:
        for key, value in _totals(stretch.now.of(gauge), labels).items():
            found[key] += value
    return dict(found)


def maxima(stretches: Iterable[ScrapeInterval], gauge: str, *labels: str) -> dict[Key, float]:
    """Return a gauge's largest present values among the processes."""
    found: dict[Key, float] = {}
    for stretch in stretches:
        for sample in stretch.now.of(gauge):
            key = _key(sample, labels)
            found[key] = max(found.get(key, -math.inf), sample.value)
    return found


def quantiles(
    stretches: Sequence[ScrapeInterval], histogram: str, label: str, shares: Sequence[float]
) -> dict[str, tuple[float, ...]]:
    """Return quantiles of the values between the scrapes, or since the start if there are none."""
    since_start = sums(stretches, f"{histogram}_bucket", label, "le")
    lately: defaultdict[Key, float] = defaultdict(float)
    for stretch in stretches:
        for key, growth in _grown(stretch, f"{histogram}_bucket", (label, "le")).items():
            lately[key] += growth
    found: dict[str, tuple[float, ...]] = {}
    for value in sorted({key[0] for key in since_start}):
        buckets = _buckets(lately, value)
        if not buckets or buckets[-1][1] == 0:
            buckets = _buckets(since_start, value)
        found[value] = tuple(quantile(share, buckets) for share in shares)
    return found


def quantile(share: float, buckets: Sequence[tuple[float, float]]) -> float:
    """Return the value below which this share lies; `buckets` are upper bounds with cumulative counts, +Inf last.

    Within a bucket values are taken to be spread evenly; above the last bound nothing better than it is known.
    """
    total = buckets[-1][1] if buckets else 0.0
    if total <= 0:
        return math.nan
    wanted = share * total
    for (lower, below), (upper, reached) in itertools.pairwise([(0.0, 0.0), *buckets]):
        if reached >= wanted:
            if math.isinf(upper):
                return lower
            return lower + (upper - lower) * (wanted - below) / (reached - below) if reached > below else upper
    return buckets[-1][0]


def _buckets(counts: Mapping[Key, float], value: str) -> list[tuple[float, float]]:
    return sorted((float(bound), count) for (label, bound), count in counts.items() if label == value)


def _grown(stretch: ScrapeInterval, counter: str, labels: Sequence[str]) -> dict[Key, float]:
    before = _totals(stretch.before.of(counter), labels)
    now = _totals(stretch.now.of(counter), labels)
    # A value that fell belongs to a process that started anew: all of it has come since.
    return {key: value - before.get(key, 0.0) if value >= before.get(key, 0.0) else value for key, value in now.items()}


def _totals(samples: Iterable[Sample], labels: Sequence[str]) -> dict[Key, float]:
    found: defaultdict[Key, float] = defaultdict(float)
    for sample in samples:
        found[_key(sample, labels)] += sample.value
    return dict(found)


def _key(sample: Sample, labels: Sequence[str]) -> Key:
    return tuple(sample.labels.get(label, "") for label in labels)
