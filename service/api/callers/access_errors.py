"""Why a caller is refused."""

import math
from collections.abc import Mapping
from http import HTTPStatus
from typing import Any, ClassVar

from service.api.errors import ApiError
from service.core.errors import FatalError

_CHALLENGE = 'Bearer realm="modstream"'
"""See RFC 6750, section 3."""


class KeysFileError(FatalError):
    """The file of API keys cannot be used."""

    reason = "access.keys_invalid"
    message = "{path}, line {line}: {detail} (read because of api.keys_file)"


class NoCallersError(FatalError):
    """The API would run, and no request could be accepted."""

    reason = "access.no_callers"
    message = (
        "api.keys_file and api.jwt.issuer are not set, so no request could be accepted: make a key by "
        "'modstream keys create --file keys.yaml' and name the file in api.keys_file"
    )


class UnauthenticatedError(ApiError):
    """Base of the errors of a request whose caller is not known."""

    status = HTTPStatus.UNAUTHORIZED
    challenge: ClassVar[str] = f'{_CHALLENGE}, error="invalid_token"'

    @property
    def headers(self) -> Mapping[str, str]:
        """The scheme by which callers identify themselves."""
        return {"WWW-Authenticate": self.challenge}


class NoCredentialsError(UnauthenticatedError):
    """The request has neither key nor token."""

    reason = "access.key_missing"
    challenge = _CHALLENGE
    message = "The request has no API key: send one in the header 'Authorization: Bearer KEY', or in 'api-key'"


class UnknownKeyError(UnauthenticatedError):
    """The key is none of those that the service accepts; the caller is not informed whether its id exists."""

    reason = "access.key_unknown"
    message = "This service does not know the API key: check it, or ask the operator for one"


class KeyExpiredError(UnauthenticatedError):
    """The key is right, and its time is over."""

    reason = "access.key_expired"
    message = "The API key {key_id} expired at {expired:%Y-%m-%dT%H:%M:%SZ}: ask the operator for a new one"


class KeyRevokedError(UnauthenticatedError):
    """The key is right, and the operator revoked it."""

    reason = "access.key_revoked"
    message = "The API key {key_id} was revoked at {revoked:%Y-%m-%dT%H:%M:%SZ}: ask the operator for a new one"


class TokenInvalidError(UnauthenticatedError):
    """The token is none that the service accepts."""

    reason = "access.token_invalid"
    message = "The bearer token is not accepted: {detail}"


class TokenExpiredError(UnauthenticatedError):
    """The token's time is over."""

    reason = "access.token_expired"
    message = "The bearer token has expired: ask the identity provider for a new one"


class TokensUnavailableError(ApiError):
    """The identity provider's signing keys are not there, so the token cannot be checked."""

    status = HTTPStatus.SERVICE_UNAVAILABLE
    reason = "access.tokens_unavailable"
    kind = "server_error"
    message = (
        "The token cannot be checked now, because the identity provider's signing keys are not there: try again in "
        "{retry_after_s:.0f} s"
    )

    @property
    def headers(self) -> Mapping[str, str]:
        """When to try again."""
        return {"Retry-After": f"{self.facts['retry_after_s']:.0f}"}


class ForbiddenError(ApiError):
    """Base of the errors of a known caller who may not do this."""

    status = HTTPStatus.FORBIDDEN
    kind = "permission_error"


class ScopeMissingError(ForbiddenError):
    """The caller lacks the scope of the route."""

    reason = "access.scope_missing"
    message = "The request needs the scope {scope}; {key_id} has {scopes}"

    @property
    def headers(self) -> Mapping[str, str]:
        """The scope that is missing, for clients that ask an identity provider for it."""
        return {"WWW-Authenticate": f'{_CHALLENGE}, error="insufficient_scope", scope="{self.facts["scope"]}"'}


class TenantDeniedError(ForbiddenError):
    """The caller names another tenant than its own."""

    reason = "access.tenant_denied"
    message = (
        "The request names another tenant than that of {key_id}: leave the tenant out, or use a key with the scope "
        "tenants"
    )


class TooManyRequestsError(ApiError):
    """Base of the errors of a caller who has to wait."""

    status = HTTPStatus.TOO_MANY_REQUESTS
    kind = "rate_limit_error"

    def __init__(self, *, retry_after_s: float, limits: Mapping[str, str] | None = None, **facts: Any) -> None:
        """`limits` are the headers of the caller's rate limits."""
        super().__init__(retry_after_s=retry_after_s, **facts)
        self.retry_after_s = retry_after_s
        self._limits = limits or {}

    @property
    def headers(self) -> Mapping[str, str]:
        """When to try again, in seconds for all clients and in milliseconds for OpenAI's, and the limits."""
        seconds, milliseconds = math.ceil(self.retry_after_s), math.ceil(1000 * self.retry_after_s)
        return {"Retry-After": str(seconds), "Retry-After-Ms": str(milliseconds), **self._limits}


class RateLimitedError(TooManyRequestsError):
    """The caller has reached its rate limit."""

    reason = "access.rate_limited"
    message = (
        "{key_id} has reached its limit of {per_s:g} {what} per second: send the next request in {retry_after_s:.1f} s"
    )


class TooManyFailuresError(TooManyRequestsError):
    """Too many requests with wrong keys came from the address."""

    reason = "access.too_many_failures"
    message = "Too many requests with wrong keys came from this address: send the next one in {retry_after_s:.1f} s"


class ForeignPageError(ForbiddenError):
    """A page of another site sent a request to an API without keys."""

    reason = "access.foreign_page"
    message = (
        "The API accepts requests without a key (api.authentication none), so it refuses those of other sites' pages "
        "and of other host names. Use a key"
    )
