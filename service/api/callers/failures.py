"""A limit for requests with wrong keys, so that guessing is slow."""

import time
from collections.abc import Callable
from ipaddress import IPv6Address, ip_address, ip_network

from service.api.callers.access_errors import TooManyFailuresError
from service.api.callers.rate_limits import MAX_ENTRIES, BoundedTable, Rate, TokenBucket

FAILURES = Rate(per_s=1 / 6, burst=10)
"""A person who pastes a wrong key some times stays below; a program that guesses does not."""

_V6_PREFIX = 64
"""A customer of an IPv6 network has at least so many addresses."""


class FailureLimit:
    """Counts failures by address.

    An address beyond the limit is answered 429 for wrong keys. A right key is accepted all the same: 256 bits are not
    guessed, and others behind the same address, a proxy's perhaps, could lock its owner out. The table is bounded and
    forgets the oldest: that many addresses can fail does not lock others out.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic, *, max_entries: int = MAX_ENTRIES) -> None:
        self._clock = clock
        self._buckets: BoundedTable[str, TokenBucket] = BoundedTable(max_entries)

    def check(self, address: str) -> None:
        """Return while the address may fail; raises `TooManyFailuresError`."""
        bucket = self._buckets.find(network_of(address))
        if bucket is not None and (wait_s := bucket.wait_s(1)) > 0:
            raise TooManyFailuresError(retry_after_s=wait_s)

    def count(self, address: str) -> None:
        """Count a failure."""
        place = network_of(address)
        bucket = self._buckets.find(place) or self._buckets.put(place, TokenBucket(FAILURES, self._clock))
        bucket.take(1)


def network_of(address: str) -> str:
    """Return what failures are counted by: an IPv4 address, or the network of an IPv6 address."""
    try:
        found = ip_address(address.partition("%")[0])
    except ValueError:
        return address[:_V6_PREFIX]
    if isinstance(found, IPv6Address):
        return str(found.ipv4_mapped or ip_network((found, _V6_PREFIX), strict=False))
    return str(found)
