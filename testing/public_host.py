"""This machine stands for a host on the internet: what a fetch from it would raise there."""

from collections.abc import Iterator
from contextlib import contextmanager

from structlog.testing import capture_logs

from service.media.errors import FetchFailedError


@contextmanager
def as_if_public() -> Iterator[None]:
    """Raise what the log says of a failure beneath HTTP; the message about an internal host keeps it to itself.

    One at a time: blocks of several tasks that overlap would leave the log captured for good.
    """
    with capture_logs() as logs:
        try:
            yield
        except FetchFailedError as error:
            logged = [line["error"] for line in logs if line["event"] == "image.internal_fetch_failed"]
            raise (logged or [error])[-1] from None
