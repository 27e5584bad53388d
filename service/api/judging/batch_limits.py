"""How many batches are in work, and why one is refused."""

from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from http import HTTPStatus

from service.api.callers.access_errors import TooManyRequestsError
from service.api.errors import ApiError

_SHARE = 3
"""A tenant has at most three times as many batches as there is room for more: another tenant finds some room."""
_RETRY_S = 5.0
"""Batches take seconds to hours: a guess to be polite."""


class TooManyBatchesError(TooManyRequestsError):
    """As many batches are in work as may be."""

    reason = "api.too_many_batches"
    message = "{batches} batches are in work already (api.max_batches). Try again in {retry_after_s:.0f} s"


class BatchStalledError(ApiError):
    """No byte of a batch came for a while."""

    status = HTTPStatus.REQUEST_TIMEOUT
    reason = "api.batch_stalled"
    message = "Nothing of the batch came for {limit_s:g} s (api.timeout_s). Send its rest as another batch"


class Batches:
    """Bounds the batches in work."""

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._by_tenant: Counter[str] = Counter()

    @contextmanager
    def batch(self, tenant: str) -> Iterator[None]:
        """Count one more batch during the block; raises `TooManyBatchesError`."""
        free = self._limit - self._by_tenant.total()
        if self._by_tenant[tenant] >= _SHARE * free:
            raise TooManyBatchesError(batches=self._by_tenant.total(), retry_after_s=_RETRY_S)
        self._by_tenant[tenant] += 1
        try:
            yield
        finally:
            self._by_tenant[tenant] -= 1
            self._by_tenant += Counter()  # drops those without any
