"""A reference becomes the bytes of an image file, by whichever way its scheme names."""

import asyncio
import re
from contextlib import AsyncExitStack
from ipaddress import ip_network
from types import TracebackType
from typing import Self

from aiohttp.abc import AbstractResolver

from schemas.image_uploaded import ImageByUrlV1, ImageInlineV1
from service.http.parsing_budget import ParsingBudget
from service.media.errors import FetchTimeoutError, ImageReferenceError, SchemeNotAllowedError
from service.media.fetch.client import GuardedClient, Reserve, reserve_nothing
from service.media.fetch.files import FileReader
from service.media.fetch.guard import AddressGuard
from service.media.fetch.hosts import host_of_url
from service.media.fetch.inline import decode_inline
from service.media.fetch.places import FetchPlaces
from service.media.fetch.resolver import NameResolver
from service.media.fetch.s3 import S3Fetcher
from service.media.fetch.web import WebFetcher
from service.media.image_memory import Reservation
from service.media.types import FetchedImage
from service.settings.media import FetchSettings
from service.telemetry import labels
from service.telemetry.instruments import FETCH_IO

_SCHEME = re.compile(r"([A-Za-z][A-Za-z0-9+.-]{0,31}):")


_LABELS = {scheme: {labels.SCHEME: scheme} for scheme in labels.SCHEMES}


class ImageFetcher:
    """Fetches images within the limits of the settings; an asynchronous context manager."""

    def __init__(self, settings: FetchSettings, *, resolver: AbstractResolver | None = None) -> None:
        self._settings = settings
        self._resolver = resolver or NameResolver(
            timeout_s=settings.dns_timeout_s, servers=settings.dns_servers or None
        )
        self._parsing = ParsingBudget()
        self._places = FetchPlaces(settings.max_connections)
        self._public = self._client(trusts_private=False)
        self._trusting = self._client(trusts_private=True)
        self._web = WebFetcher(
            public=self._public,
            trusting=self._trusting,
            allow_hosts=settings.allow_hosts,
            max_redirects=settings.max_redirects,
        )
        # The operator names the store's endpoint, so it is trusted; only here, not in an event's own URL.
        self._s3 = S3Fetcher(settings.s3, self._trusting)
        self._files = FileReader(settings.file_root, limit_bytes=settings.max_bytes)
        self._open = AsyncExitStack()

    def _client(self, *, trusts_private: bool) -> GuardedClient:
        open_networks = [ip_network(text) for text in self._settings.allow_networks]
        guard = AddressGuard(open_networks, trusts_private=trusts_private)
        return GuardedClient(self._settings, guard, self._resolver, self._parsing)

    async def __aenter__(self) -> Self:
        """Open the sessions."""
        self._open.push_async_callback(self._resolver.close)
        await self._open.enter_async_context(self._public)
        await self._open.enter_async_context(self._trusting)
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Close the sessions and every connection."""
        await self._open.aclose()

    async def fetch(self, reference: ImageByUrlV1 | ImageInlineV1, memory: Reservation | None = None) -> FetchedImage:
        """Return the image file that a reference names; raise `RejectedError` or `TransientError`.

        Connections are shared between tenants, and between hosts; an image inside its event waits for none. The
        memory of other images is reserved before they arrive; without a reservation there is no limit to it.
        """
        if isinstance(reference, ImageInlineV1):
            decoded = decode_inline(reference.inline, limit_bytes=self._settings.max_bytes)
            FETCH_IO.add(len(decoded), _LABELS["inline"])
            return FetchedImage(decoded)
        tenant = memory.tenant if memory else ""
        async with self._places.place(tenant, host_of_url(reference.url)) as place:
            data = await self._fetch_in_time(reference.url, memory)
            if memory is not None:
                # What is fetched and not decoded keeps its place: fetching must not run ahead of decoding.
                memory.arrived(len(data), when_decoding=place.keep())
        return FetchedImage(data)

    async def _fetch_in_time(self, url: str, memory: Reservation | None) -> bytes | bytearray:
        clock = asyncio.timeout(self._settings.timeout_s)
        try:
            async with clock:
                return await self._fetch_url(url, reserve_nothing if memory is None else _without(clock, memory))
        except TimeoutError:
            limit = f"{self._settings.timeout_s:g} s (media.fetch.timeout_s)"
            raise FetchTimeoutError(detail=f"it took more than {limit}") from None

    async def _fetch_url(self, url: str, reserve: Reserve) -> bytes | bytearray:
        scheme = _scheme_of(url)
        data = await self._fetch_by(scheme, url, reserve)
        FETCH_IO.add(len(data), _LABELS[scheme])
        return data

    async def _fetch_by(self, scheme: str, url: str, reserve: Reserve) -> bytes | bytearray:
        match scheme:
            case "http" | "https":
                await reserve(1)
                return await self._web.fetch(url, reserve)
            case "s3":
                await reserve(1)
                return await self._s3.fetch(url, reserve)
            case "file":
                # It is read in one piece, by a thread that learns its size.
                await reserve(self._settings.max_bytes)
                return await asyncio.to_thread(self._files.read, url)
            case _:
                raise SchemeNotAllowedError(scheme=scheme, hint=": http, https, s3 and file are known")


def _without(clock: asyncio.Timeout, memory: Reservation) -> Reserve:
    """Return what reserves memory; the time that is waited for it is not the image host's."""

    async def reserve(size_bytes: int) -> None:
        if memory.try_grow(size_bytes):
            return
        loop = asyncio.get_running_loop()
        began_s, ends_s = loop.time(), clock.when()
        clock.reschedule(None)
        await memory.grow(size_bytes)
        clock.reschedule(None if ends_s is None else ends_s + loop.time() - began_s)

    return reserve


def _scheme_of(url: str) -> str:
    scheme = _SCHEME.match(url)
    if scheme is None:
        raise ImageReferenceError(detail="a URL starts with a scheme such as https://")
    return scheme[1].lower()
