"""Why brokers that answer do not let a client in: their listener speaks something else, or refuses the client.

aiokafka says of all these cases that it could not bootstrap.
"""

import asyncio
import ssl
from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

from aiokafka.client import collect_hosts
from aiokafka.conn import AIOKafkaConnection
from aiokafka.errors import IllegalSaslStateError, KafkaError, SaslAuthenticationFailed, for_code
from aiokafka.protocol.admin import SaslHandShakeRequest
from aiokafka.protocol.metadata import MetadataRequest

from service.kafka.errors import (
    AuthenticationFailedError,
    CertificateRefusedError,
    KafkaUnreachableError,
    WrongProtocolError,
)
from service.kafka.transports import Transports
from service.settings.kafka import KafkaSettings

_PROBE_S = 3.0
"""Time limit for one connection. A listener with another protocol usually ends it at once."""
_PROBES_S = 10.0
"""Time limit for all probes together."""

_PASSWORD_SETTINGS = "kafka.sasl_username, kafka.sasl_password and kafka.sasl_mechanism"  # noqa: S105 - names
_TOKEN_SETTINGS = "kafka.oauth.client_id, kafka.oauth.client_secret and kafka.oauth.scope"  # noqa: S105 - names

_WRONG_NAME = frozenset({62, 64})
"""OpenSSL's codes for a certificate of another host name or another address."""


@dataclass(frozen=True, slots=True)
class Listener:
    """The protocol that a broker's listener speaks: TLS or not, SASL or not."""

    is_encrypted: bool
    mechanisms: tuple[str, ...] | None
    """SASL mechanisms of the listener. Empty if it has no SASL, None if it did not answer."""

    @property
    def protocols(self) -> tuple[str, ...]:
        """The values of `kafka.security_protocol` that match the listener."""
        encrypted = "SSL" if self.is_encrypted else "PLAINTEXT"
        if self.mechanisms is None:
            return encrypted, f"SASL_{encrypted}"
        return (f"SASL_{encrypted}" if self.mechanisms else encrypted,)


async def refusal(settings: KafkaSettings, options: Mapping[str, Any]) -> KafkaUnreachableError | None:
    """Return why the first broker that answers does not let a client with aiokafka's `options` in.

    Returns None if it lets the client in, and if no broker answers within 10 s.
    """
    try:
        async with asyncio.timeout(_PROBES_S):
            return await _first_refusal(settings, options)
    except TimeoutError:
        return None


async def _first_refusal(settings: KafkaSettings, options: Mapping[str, Any]) -> KafkaUnreachableError | None:
    for host, port, _ in collect_hosts(settings.bootstrap_servers.split(",")):
        listener = await _listener(host, port)
        if listener is not None:
            address = f"{host}:{port}"
            return _mismatch(settings, listener, address) or await _refused(settings, options, host, port)
    return None


def _mismatch(settings: KafkaSettings, listener: Listener, address: str) -> KafkaUnreachableError | None:
    if settings.security_protocol not in listener.protocols:
        return WrongProtocolError(
            address=address, expected=" or ".join(listener.protocols), configured=settings.security_protocol
        )
    offered = listener.mechanisms
    if offered and settings.sasl_mechanism not in offered:
        detail = f"it offers the mechanisms {', '.join(offered)}, and kafka.sasl_mechanism is {settings.sasl_mechanism}"
        return AuthenticationFailedError(address=address, detail=detail, settings="kafka.sasl_mechanism")
    return None


async def _refused(
    settings: KafkaSettings, options: Mapping[str, Any], host: str, port: int
) -> KafkaUnreachableError | None:
    """Connect as the client does, and return what the error means."""
    address = f"{host}:{port}"
    try:
        async with _connected(host, port, options) as connection:
            known = await connection.send(MetadataRequest([]))
    except (KafkaError, OSError, TimeoutError) as error:
        causes = list(_causes(error))
    else:
        # aiokafka takes an answer that refuses a token for success, and what follows is answered with nothing.
        if known.brokers or settings.sasl_mechanism != "OAUTHBEARER":
            return None
        return AuthenticationFailedError(address=address, detail="it refuses the token", settings=_TOKEN_SETTINGS)
    for cause in causes:
        if isinstance(cause, SaslAuthenticationFailed):
            checked = _TOKEN_SETTINGS if settings.sasl_mechanism == "OAUTHBEARER" else _PASSWORD_SETTINGS
            return AuthenticationFailedError(address=address, detail=f"it says: {cause}", settings=checked)
        if isinstance(cause, ssl.SSLError):
            return CertificateRefusedError(address=address, detail=_tls_fault(cause))
    return None


def _tls_fault(error: ssl.SSLError) -> str:
    """Return what failed, and the setting that decides it."""
    if not isinstance(error, ssl.SSLCertVerificationError):
        return f"the broker ended it ({error.reason}): it may want another certificate, kafka.ssl_certfile"
    if error.verify_code in _WRONG_NAME:
        return f"{error.verify_message} (kafka.bootstrap_servers has to name brokers as their certificates do)"
    return f"the broker's certificate is not trusted ({error.verify_message}): set kafka.ssl_cafile to its authority's"


async def _listener(host: str, port: int) -> Listener | None:
    """Find out what a listener speaks, without credentials; None if it answers in no way."""
    for context in (None, _trusting_context()):
        options = {"security_protocol": "SSL" if context else "PLAINTEXT", "ssl_context": context}
        try:
            async with _connected(host, port, options) as connection:
                return Listener(bool(context), await _mechanisms(connection))
        except (KafkaError, OSError, TimeoutError) as error:
            # A listener that wants a certificate says so once the connection is encrypted.
            if context and any(isinstance(cause, ssl.SSLError) and "ALERT" in str(cause) for cause in _causes(error)):
                return Listener(is_encrypted=True, mechanisms=None)
    return None


async def _mechanisms(connection: AIOKafkaConnection) -> tuple[str, ...]:
    """Ask for a mechanism that no broker has: the answer lists those that it has."""
    answer = await connection.send(SaslHandShakeRequest("NONE"))
    return () if for_code(answer.error_code) is IllegalSaslStateError else tuple(answer.enabled_mechanisms)


@asynccontextmanager
async def _connected(host: str, port: int, options: Mapping[str, Any]) -> AsyncIterator[AIOKafkaConnection]:
    transports = Transports()
    try:
        async with asyncio.timeout(_PROBE_S):
            connection = await transports.connect(host, port, **options)
            try:
                yield connection
            finally:
                connection.close()
    finally:
        await transports.closed()


def _trusting_context() -> ssl.SSLContext:
    """Return a context that shows whether a listener speaks TLS; nothing secret is sent through it."""
    context = ssl.create_default_context()
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    return context


def _causes(error: BaseException | None) -> Iterator[BaseException]:
    while error is not None:
        yield error
        error = error.__cause__ or error.__context__
