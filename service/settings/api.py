"""The settings of the HTTP API."""

from ipaddress import ip_address
from pathlib import Path
from typing import Annotated, Literal, Self
from urllib.parse import urlsplit

from pydantic import AfterValidator, Field, model_validator
from pydantic_core import PydanticCustomError

from service.core.fair_queue import DEFAULT_API_SHARE
from service.settings.types import MIB, Group, Positive, PositiveSeconds, is_endpoint, settings_conflict

SigningAlgorithm = Literal["RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "ES256", "ES384", "ES512", "EdDSA"]
"""All are asymmetric: a shared secret, or no signature, is never accepted."""


def is_secure_url(text: str) -> bool:
    """Return whether a text is an https URL without user and query, or an http URL of a loopback address."""
    if not is_endpoint(text):
        return False
    try:
        return text.startswith("https:") or is_loopback(urlsplit(text).hostname or "")
    except ValueError:  # half of an IPv6 address
        return False


def _secure_url(text: str | None) -> str | None:
    if text is not None and not is_secure_url(text):
        message = "signing keys come over https from a URL without user and query; http is for a loopback address alone"
        raise PydanticCustomError("value_error", message)
    return text


SecureUrl = Annotated[str | None, AfterValidator(_secure_url)]


class JwtSettings(Group):
    """Tokens of an identity provider (OpenID Connect, OAuth 2.0), beside keys or instead of them."""

    issuer: SecureUrl = None
    """Issuer of the tokens that are accepted, exactly as their claim `iss` has it; none when not set."""
    audience: Annotated[str, Field(min_length=1)] | None = None
    """Value that a token's claim `aud` must have: tokens for other services are refused. Needed with the issuer."""
    jwks_url: SecureUrl = None
    """URL of the provider's signing keys. When not set, it is read from the issuer's
    `/.well-known/openid-configuration`."""
    algorithms: Annotated[tuple[SigningAlgorithm, ...], Field(min_length=1)] = ("RS256", "ES256")
    """Signatures that are accepted."""
    tenant_claim: Annotated[str, Field(min_length=1)] | None = "tenant"
    """Claim that holds the caller's tenant; dots lead into a claim's fields. A token without this claim is refused.
    When not set, all tokens are those of the tenant `default`."""
    scopes_claim: Annotated[str, Field(min_length=1)] = "scope"
    """Claim that holds the scopes, as a list or separated by spaces: `scope` or `scp`, `permissions` with Auth0,
    `realm_access.roles` with Keycloak. Scopes of other services are ignored."""
    leeway_s: Annotated[float, Field(ge=0, le=300)] = 30.0
    """How far the clocks of the provider and the service may differ."""
    refresh_s: Annotated[float, Field(ge=30, le=86_400)] = 600.0
    """How often the signing keys are read again. A token with an unknown key makes it happen at once, at most every
    30 s."""
    requests_per_s: Annotated[float, Field(gt=0, le=1_000_000)] | None = None
    """Upper limit of requests of one caller (claim `sub`) to one process, on average; no limit when not set."""
    images_per_s: Annotated[float, Field(gt=0, le=1_000_000)] | None = None
    """Upper limit of images of one caller to one process, on average; no limit when not set."""
    burst: Annotated[int, Field(gt=0, le=1_000_000)] | None = None
    """Requests, and images, of one caller that may come at once; as many as in one second when not set."""

    @model_validator(mode="after")
    def _has_an_audience(self) -> Self:
        if (self.issuer is None) != (self.audience is None):
            message = "api.jwt.issuer and api.jwt.audience go together: set both or none"
            raise settings_conflict(message, "api.jwt.issuer", "api.jwt.audience")
        return self


class ChatSettings(Group):
    """Chat completions: the vision-language model itself, for engines that have one."""

    max_tokens: Positive = 1024
    """Upper limit of an answer's tokens, and the limit of a request that has none. Long answers hold a place of the
    engine for as long as hundreds of images."""
    max_text_bytes: Positive = 64 * 1024
    """Upper limit of all texts of a request. The model's context is the narrower limit, except for text that is no
    words."""
    aliases: tuple[str, ...] = ()
    """Further names of the model, such as gpt-4o-mini, for clients that name the one they were written for. "*" takes
    every name that is no adapter's."""


class ModerationsSettings(Group):
    """OpenAI's moderation, `POST /v1/moderations`."""

    text: Literal["pass", "refuse"] = "pass"
    """What happens to input that is only text, which no engine of the service judges. pass: it is answered as not
    flagged, and the result says under `modstream.text` that it was not judged. refuse: it is answered 400, for clients
    that read scores alone."""


class IdempotencySettings(Group):
    """Answers that a process keeps for repeats of requests with the header `Idempotency-Key`."""

    max_keys: Positive = 10_000
    """Upper limit of the answers; the oldest go first."""
    max_bytes: Positive = 32 * MIB
    """Upper limit of their bytes; the oldest go first."""
    keep_s: PositiveSeconds = 86_400.0
    """How long an answer is kept."""


class ApiSettings(Group):
    """The HTTP API: OpenAI's moderation and chat, verdicts, and the page to try them."""

    host: str = "127.0.0.1"
    """Address to listen on: 0.0.0.0 in a container."""
    port: Annotated[int, Field(ge=0, le=65_535)] = 0
    """Port to listen on. 0 opens no port in `modstream serve`; `modstream api` uses 8080 then."""
    authentication: Literal["keys", "none"] = "keys"
    """keys: a request needs a key of `api.keys_file`. none: all requests are accepted, as tenant `default` with all
    scopes; refused unless `api.host` is a loopback address."""
    keys_file: Path | None = None
    """YAML file of the keys that are accepted, as `modstream keys create` writes it. It holds their hashes. When not
    set, `modstream api` makes a key for one run and prints it."""
    jwt: JwtSettings = JwtSettings()
    moderations: ModerationsSettings = ModerationsSettings()
    share: Annotated[float, Field(gt=0.0, lt=1.0)] = DEFAULT_API_SHARE
    """Share of decoders and engine for the API while records of the stream wait for them too. What one side does not
    use, the other may."""
    max_requests: Positive = 64
    """Images that are fetched, decoded and judged at the same time for all requests together."""
    max_waiting: Annotated[int, Field(ge=0)] = 256
    """Images that may wait for one of these places. Further requests are answered 429 with Retry-After."""
    max_body_bytes: Positive = 32 * MIB
    """Upper limit of a request's body."""
    max_held_bytes: Positive = 256 * MIB
    """Upper limit of the bodies of all requests together."""
    max_connections: Positive = 1024
    """Upper limit of open connections. A further client takes the place of the connection that has been without a
    request for longest, and waits while every connection has one."""
    max_images: Positive = 16
    """Upper limit of the images in one request. A batch as NDJSON has no limit: it is read as it is judged."""
    max_batches: Positive = 4
    """Batches in work at the same time. Further ones are answered 429 with Retry-After."""
    max_batch_lines: Positive = 64
    """Lines of one batch in work, with those whose outcomes wait to be sent; no more is read meanwhile. Together they
    take `api.max_body_bytes` at most, beside `api.max_held_bytes`, and so may one line alone."""
    stored_verdicts: Annotated[int, Field(ge=0)] = 10_000
    """Newest verdicts, tags and dead letters that `GET /v1/verdicts/{image_id}` can answer with: those of requests, and
    beside a stream those of its topics, which each process follows. 0 keeps none."""
    stored_bytes: Positive = 64 * MIB
    """Upper limit of their bytes; the oldest go first."""
    idempotency: IdempotencySettings = IdempotencySettings()
    timeout_s: PositiveSeconds = 60.0
    """Time limit of a request, from its body to its answer. It answers 504 then. Batches and streamed answers have it
    for each part."""
    chat: ChatSettings = ChatSettings()
    cors_origins: tuple[str, ...] = ()
    """Origins such as https://admin.example.com whose pages may call the API from a browser; none by default."""
    tls_certificate: Path | None = None
    """Certificate chain in PEM. With it, and `tls_key`, the API speaks HTTPS alone."""
    tls_key: Path | None = None
    """Private key in PEM of `tls_certificate`."""

    @model_validator(mode="after")
    def _is_safe(self) -> Self:
        if self.authentication == "none" and not is_loopback(self.host):
            message = (
                "api.authentication none would open the API to other machines: set api.host to 127.0.0.1, or use keys"
            )
            raise settings_conflict(message, "api.authentication", "api.host")
        if (self.tls_certificate is None) != (self.tls_key is None):
            message = "api.tls_certificate and api.tls_key go together: set both or none"
            raise settings_conflict(message, "api.tls_certificate", "api.tls_key")
        return self


def is_loopback(host: str) -> bool:
    """Return whether a host is this machine alone, by an address or as localhost."""
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"
