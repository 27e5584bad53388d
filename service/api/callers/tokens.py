"""Bearer tokens of an identity provider: JSON Web Tokens (RFC 7519, RFC 8725), checked by PyJWT."""

from collections.abc import Mapping
from dataclasses import dataclass

import jwt
from pydantic import TypeAdapter, ValidationError

from schemas.base import Identifier
from schemas.image_uploaded import DEFAULT_TENANT
from service.api.callers.access_errors import TokenExpiredError, TokenInvalidError
from service.api.callers.scopes import SCOPES, Scope
from service.api.callers.signing_keys import SigningKeys
from service.settings.api import JwtSettings

MAX_TOKEN_CHARACTERS = 16 * 1024
"""Tokens with hundreds of groups have some kilobytes."""

_REQUIRED = ("iss", "aud", "exp")
"""`nbf` and `iat` are checked where they are given: many providers leave out the first."""

_DETAILS: Mapping[type[Exception], str] = {
    jwt.InvalidSignatureError: "its signature is wrong",
    jwt.InvalidAudienceError: "its audience (aud) is not the one of this service",
    jwt.InvalidIssuerError: "its issuer (iss) is not the one that this service trusts",
    jwt.ImmatureSignatureError: "it is not valid yet (nbf, iat)",
    jwt.InvalidAlgorithmError: "its algorithm (alg) is not accepted",
}

_identifiers: TypeAdapter[str] = TypeAdapter(Identifier)


@dataclass(frozen=True, slots=True)
class Identity:
    """The caller that a token is about."""

    subject: str
    tenant: str
    scopes: frozenset[Scope]


class Tokens:
    """Checks tokens with the provider's signing keys."""

    def __init__(self, settings: JwtSettings, keys: SigningKeys) -> None:
        self._settings = settings
        self._keys = keys

    async def identify(self, text: str) -> Identity:
        """Return the caller of a token.

        Raises `TokenInvalidError`, `TokenExpiredError`, or `TokensUnavailableError` while there are no signing keys.
        """
        header = _header_of(text)
        algorithm = next((each for each in self._settings.algorithms if each == header.get("alg")), None)
        # Before the key is looked for, so that no keys are read for `none` or a shared secret.
        if algorithm is None:
            raise TokenInvalidError(detail=_DETAILS[jwt.InvalidAlgorithmError])
        kid = header.get("kid")
        key = await self._keys.find(kid if isinstance(kid, str) else None, algorithm)
        return self._identity(self._claims(text, key))

    def _claims(self, text: str, key: jwt.PyJWK) -> Mapping[str, object]:
        settings = self._settings
        try:
            return jwt.decode(
                text,
                key,
                algorithms=settings.algorithms,
                audience=settings.audience,
                issuer=settings.issuer,
                leeway=settings.leeway_s,
                options={"require": list(_REQUIRED), "enforce_minimum_key_length": True},
            )
        except jwt.ExpiredSignatureError as error:
            raise TokenExpiredError() from error
        except jwt.MissingRequiredClaimError as error:
            raise TokenInvalidError(detail=f"it has no claim {error.claim}") from error
        except (jwt.PyJWTError, ValueError, TypeError, ArithmeticError) as error:
            raise TokenInvalidError(detail=_DETAILS.get(type(error), "its claims cannot be read")) from error

    def _identity(self, claims: Mapping[str, object]) -> Identity:
        subject = _identifier(claims, "sub")
        tenant_claim = self._settings.tenant_claim
        tenant = DEFAULT_TENANT if tenant_claim is None else _identifier(claims, tenant_claim)
        named = _value_at(claims, self._settings.scopes_claim)
        granted = named.split() if isinstance(named, str) else named if isinstance(named, list) else []
        return Identity(subject, tenant, frozenset(scope for scope in SCOPES if scope in granted))


def _header_of(text: str) -> Mapping[str, object]:
    if len(text) > MAX_TOKEN_CHARACTERS:
        raise TokenInvalidError(detail=f"it has more than {MAX_TOKEN_CHARACTERS} characters")
    try:
        return jwt.get_unverified_header(text)
    except (jwt.PyJWTError, ValueError) as error:
        raise TokenInvalidError(detail="it is no JSON Web Token") from error


def _identifier(claims: Mapping[str, object], name: str) -> str:
    """Return a claim that becomes an id; raises `TokenInvalidError` for anything but such a text."""
    try:
        return _identifiers.validate_python(_value_at(claims, name), strict=True)
    except ValidationError as error:
        raise TokenInvalidError(detail=f"it has no claim {name} with a text of up to 256 characters") from error


def _value_at(claims: Mapping[str, object], name: str) -> object:
    """Return a claim by its name, which may have dots itself or lead into the fields of claims."""
    if name in claims:
        return claims[name]
    first, dot, rest = name.partition(".")
    inner = claims.get(first)
    return _value_at(inner, rest) if dot and isinstance(inner, Mapping) else None
