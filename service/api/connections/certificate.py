"""The certificate of the API: read at the start, and again when its files change."""

import asyncio
import ssl
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import structlog

from service.core.errors import FatalError
from service.settings.api import ApiSettings

log = structlog.get_logger(__name__)

_Version = tuple[tuple[int, int, int], ...]
"""Inode, size and time of change of each file."""


class CertificateUnusableError(FatalError):
    """A file of the API's certificate or key is missing, unreadable, no PEM, or belongs to another."""

    reason = "api.certificate_unusable"
    message = "{path} (setting {setting}) cannot be used: {detail}"


class Certificate:
    """Certificate chain and private key, as a TLS context for the next connection.

    A changed pair that cannot be used is logged, and the previous one stays.
    """

    def __init__(self, certificate: Path, key: Path) -> None:
        """Raises `CertificateUnusableError`."""
        self._certificate = certificate
        self._key = key
        self._loaded = self._seen = self._version()
        self._context = _context(certificate, key)

    @property
    def context(self) -> ssl.SSLContext:
        """The context of the pair that was read last."""
        return self._context

    async def refresh(self) -> None:
        """Read the files again if they changed, and are at rest since the previous call."""
        version = await asyncio.to_thread(self._version)
        if version not in (self._loaded, self._seen):
            self._seen = version  # the other file may be about to follow
        elif version != self._loaded:
            self._loaded = version
            await self._read()

    async def _read(self) -> None:
        try:
            self._context = await asyncio.to_thread(_context, self._certificate, self._key)
        except CertificateUnusableError as error:
            log.error("api.certificate_refused", error=error)  # noqa: TRY400 - the message says it all
        else:
            log.info("api.certificate_loaded", path=str(self._certificate))

    def _version(self) -> _Version:
        return tuple(map(_version, (self._certificate, self._key)))


def certificate_of(settings: ApiSettings) -> Certificate | None:
    """Return the certificate that the settings name, if any; raises `CertificateUnusableError`."""
    if settings.tls_certificate is None or settings.tls_key is None:
        return None
    return Certificate(settings.tls_certificate, settings.tls_key)


def _version(path: Path) -> tuple[int, int, int]:
    try:
        status = path.stat()
    except OSError:
        return 0, 0, 0
    return status.st_ino, status.st_size, status.st_mtime_ns


def _context(certificate: Path, key: Path) -> ssl.SSLContext:
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.set_alpn_protocols(["http/1.1"])
    with _named("api.tls_certificate", certificate):
        # Certificates alone: an error of `load_cert_chain` does not say which of the two files is at fault.
        ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT).load_verify_locations(certificate)
    with _named("api.tls_key", key):
        # A password of no use: without one OpenSSL asks for it at the terminal.
        context.load_cert_chain(certificate, key, password="-")  # noqa: S106 - as said
    return context


@contextmanager
def _named(setting: str, path: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:  # ssl's own errors are such, too
        raise CertificateUnusableError(path=path, setting=setting, detail=error.strerror or str(error)) from error
