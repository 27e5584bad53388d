"""Token buckets: how many requests and images a caller may send, and how often an address may fail."""

import math
import time
from collections import OrderedDict
from collections.abc import Callable, Hashable
from dataclasses import dataclass
from typing import Generic, TypeVar

from service.api.callers.access_errors import RateLimitedError

Key = TypeVar("Key", bound=Hashable)
Value = TypeVar("Value")

MAX_ENTRIES = 10_000
"""Callers, or addresses, that are known at a time; one takes under a kilobyte."""

_MS = 1000

_ROUNDING = 1e-9
"""Of sums of fractions: a bucket that lacks less is full enough."""


@dataclass(frozen=True, slots=True)
class Limits:
    """The rate limits of a caller as they are configured; None is no limit."""

    requests_per_s: float | None = None
    images_per_s: float | None = None
    burst: int | None = None
    """Requests, and images, that may come at once; as many as in one second when None."""


NO_LIMITS = Limits()


@dataclass(frozen=True, slots=True)
class Rate:
    """What a bucket holds, and how fast it fills."""

    per_s: float
    burst: int


class TokenBucket:
    """Takes a number of tokens at once, and `per_s` of them on average.

    More than the bucket holds may be taken when it is full; the debt then delays the next ones. So a request with more
    images than `burst` is possible, and the average holds.
    """

    __slots__ = ("_clock", "_filled_at_s", "_tokens", "rate")

    def __init__(self, rate: Rate, clock: Callable[[], float]) -> None:
        self.rate = rate
        self._clock = clock
        self._tokens = float(rate.burst)
        self._filled_at_s = clock()

    def wait_s(self, tokens: int) -> float:
        """Return the seconds until so many tokens may be taken; 0 if they may now."""
        self._fill()
        missing = min(tokens, self.rate.burst) - self._tokens
        return missing / self.rate.per_s if tokens and missing > _ROUNDING else 0.0

    def take(self, tokens: int) -> None:
        """Take tokens, whether they are there or not."""
        self._fill()
        self._tokens -= tokens

    def left(self) -> int:
        """Return how many tokens may be taken now."""
        self._fill()
        return max(0, math.floor(self._tokens))

    def full_in_s(self) -> float:
        """Return the seconds until the bucket is full."""
        self._fill()
        return (self.rate.burst - self._tokens) / self.rate.per_s

    def _fill(self) -> None:
        now_s = self._clock()
        self._tokens = min(self.rate.burst, self._tokens + max(0.0, now_s - self._filled_at_s) * self.rate.per_s)
        self._filled_at_s = now_s


@dataclass(frozen=True, slots=True)
class CallerLimits:
    """What one caller has used of its rate limits; None is no limit."""

    given: Limits = NO_LIMITS
    requests: TokenBucket | None = None
    images: TokenBucket | None = None

    def take(self, key_id: str, *, requests: int, images: int) -> None:
        """Count requests and images, or none of them; raises `RateLimitedError`."""
        wanted = (("requests", self.requests, requests), ("images", self.images, images))
        waits = [(bucket.wait_s(count), name, bucket) for name, bucket, count in wanted if bucket is not None]
        wait_s, name, slowest = max(waits, key=lambda each: each[0], default=(0.0, "", None))
        if wait_s > 0 and slowest is not None:
            raise RateLimitedError(
                key_id=key_id, what=name, per_s=slowest.rate.per_s, retry_after_s=wait_s, limits=self.headers()
            )
        for _, bucket, count in wanted:
            if bucket is not None:
                bucket.take(count)

    def headers(self) -> dict[str, str]:
        """Return the headers by which OpenAI's API reports rate limits; those of images are named alike."""
        found = {}
        for name, bucket in (("requests", self.requests), ("images", self.images)):
            if bucket is not None:
                found[f"x-ratelimit-limit-{name}"] = str(bucket.rate.burst)
                found[f"x-ratelimit-remaining-{name}"] = str(bucket.left())
                found[f"x-ratelimit-reset-{name}"] = f"{math.ceil(bucket.full_in_s() * _MS)}ms"
        return found


UNLIMITED = CallerLimits()


class BoundedTable(Generic[Key, Value]):
    """A mapping that forgets what was not used for longest."""

    def __init__(self, max_entries: int = MAX_ENTRIES) -> None:
        self._max_entries = max_entries
        self._entries: OrderedDict[Key, Value] = OrderedDict()

    def __len__(self) -> int:
        return len(self._entries)

    def find(self, key: Key) -> Value | None:
        """Return the value of a key; None if there is none."""
        if key not in self._entries:
            return None
        self._entries.move_to_end(key)
        return self._entries[key]

    def put(self, key: Key, value: Value) -> Value:
        """Keep a value, and return it."""
        self._entries[key] = value
        self._entries.move_to_end(key)
        if len(self._entries) > self._max_entries:
            self._entries.popitem(last=False)
        return value


class RateLimits:
    """The rate limits of all callers, from their first request on."""

    def __init__(self, clock: Callable[[], float] = time.monotonic, *, max_entries: int = MAX_ENTRIES) -> None:
        self._clock = clock
        self._callers: BoundedTable[str, CallerLimits] = BoundedTable(max_entries)

    def of(self, caller: str, limits: Limits) -> CallerLimits:
        """Return what a caller has used of its limits; that begins anew when one of them was changed."""
        if limits.requests_per_s is None and limits.images_per_s is None:
            return UNLIMITED
        known = self._callers.find(caller)
        if known is not None and known.given == limits:
            return known
        requests, images = self._bucket(limits.requests_per_s, limits), self._bucket(limits.images_per_s, limits)
        return self._callers.put(caller, CallerLimits(limits, requests, images))

    def _bucket(self, per_s: float | None, limits: Limits) -> TokenBucket | None:
        if per_s is None:
            return None
        return TokenBucket(Rate(per_s, limits.burst or math.ceil(per_s)), self._clock)
