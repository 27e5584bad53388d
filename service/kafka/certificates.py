"""Certificates and keys of encrypted connections to brokers."""

import ssl
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from service.kafka.errors import CertificatesUnreadableError
from service.settings.kafka import KafkaSettings


def ssl_context(settings: KafkaSettings) -> ssl.SSLContext:
    """Return a TLS context with the settings' files; raises `CertificatesUnreadableError` for an unusable one."""
    with _named("kafka.ssl_cafile", settings.ssl_cafile):
        context = ssl.create_default_context(cafile=settings.ssl_cafile)
    if settings.ssl_certfile is not None:
        _load_chain(context, settings.ssl_certfile, settings.ssl_keyfile)
    return context


def _load_chain(context: ssl.SSLContext, certificates: Path, key: Path | None) -> None:
    with _named("kafka.ssl_certfile", certificates):
        # Certificates alone: an error of `load_cert_chain` does not say which of the two files is at fault.
        ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT).load_verify_locations(certificates)
    with _named("kafka.ssl_keyfile", key) if key else _named("kafka.ssl_certfile", certificates):
        # A password of no use: without one OpenSSL asks for it at the terminal.
        context.load_cert_chain(certificates, key, password="-")  # noqa: S106 - as said


@contextmanager
def _named(setting: str, path: Path | None) -> Iterator[None]:
    try:
        yield
    except OSError as error:  # ssl's own errors are such, too
        detail = error.strerror or str(error)
        raise CertificatesUnreadableError(path=path, setting=setting, detail=detail) from error
