"""What went wrong beneath HTTP, as one of our errors. Dead letters reveal no more to uploaders than they could know.

A message names the host as the event did, never an address, and never why a host inside the operator's network could
not be reached: it would show which names, ports and servers there are. The log has it.
"""

import aiohttp
import structlog

from service.core.errors import ModstreamError
from service.http.bounded_connection import AnswerRefusedError, AnswerTooSlowError
from service.media.errors import AddressNotAllowedError, FetchFailedError, FetchTimeoutError, ImageReferenceError
from service.media.fetch.guard import AddressRefusedError
from service.media.fetch.resolver import NameTimeoutError
from service.settings.media import FetchSettings

log = structlog.get_logger(__name__)


def failure_of(
    error: Exception, settings: FetchSettings, *, host: str, named: str, is_internal: bool
) -> ModstreamError:
    """Return the error of a request that had no answer; `host` is for the log, `named` for the message."""
    if isinstance(error, aiohttp.InvalidURL):
        return ImageReferenceError(detail="it is no valid URL")
    if isinstance(error, aiohttp.ClientConnectorError) and isinstance(error.os_error, AddressRefusedError):
        log.warning("image.address_refused", host=host, address=error.os_error.address)
        return AddressNotAllowedError(host=named)
    failure = _full_failure(error, settings, named)
    if not is_internal:
        return failure
    log.warning("image.internal_fetch_failed", host=host, error=failure, cause=_cause(error))
    return FetchFailedError(detail=f"{named} gave no usable answer")


def _full_failure(error: Exception, settings: FetchSettings, named: str) -> ModstreamError:
    match error:
        case AnswerTooSlowError():
            limit = f"{settings.min_bytes_per_s} bytes a second (media.fetch.min_bytes_per_s)"
            return FetchTimeoutError(detail=f"{named} sent less than {limit}")
        case AnswerRefusedError():
            return FetchFailedError(detail=f"{named} answered {error}")
        case TimeoutError():
            limit = f"{settings.read_timeout_s:g} s (media.fetch.read_timeout_s)"
            return FetchTimeoutError(detail=f"{named} was silent for {limit}")
        case aiohttp.ClientConnectorError():
            return _no_connection(error, settings, named)
        case _:
            return FetchFailedError(detail=f"{named} did not answer in full ({type(error).__name__})")


def _no_connection(error: aiohttp.ClientConnectorError, settings: FetchSettings, named: str) -> ModstreamError:
    match error:
        case aiohttp.ClientConnectorDNSError(os_error=NameTimeoutError()):
            limit = f"{settings.dns_timeout_s:g} s (media.fetch.dns_timeout_s)"
            return FetchTimeoutError(detail=f"the name of {named} was not resolved within {limit}")
        case aiohttp.ClientConnectorDNSError():
            return FetchFailedError(detail=f"the name of {named} does not resolve")
        case aiohttp.ClientConnectorCertificateError():
            return FetchFailedError(detail=f"the certificate of {named} is not valid")
        case aiohttp.ClientSSLError():
            return FetchFailedError(detail=f"no secure connection to {named}")
        case _:
            return FetchFailedError(detail=f"no connection to {named}")


def _cause(error: Exception) -> str:
    """Return what the operating system said, which has no part of a URL."""
    if isinstance(error, aiohttp.ClientConnectorError):
        return error.strerror or type(error).__name__
    return type(error).__name__
