"""Each kind of reference goes its own way, within one time limit."""

import asyncio
import base64
import socket
from pathlib import Path

import pytest
from aiohttp.abc import AbstractResolver, ResolveResult
from hypothesis import given
from hypothesis import strategies as st

from schemas.image_uploaded import ImageByUrlV1, ImageInlineV1
from service.core.errors import RejectedError, TransientError
from service.media.errors import (
    FetchTimeoutError,
    ImageReferenceError,
    ImageTooLargeError,
    SchemeNotAllowedError,
)
from service.media.fetch.fetcher import ImageFetcher
from service.media.fetch.hosts import host_of_url
from service.settings.media import FetchSettings
from testing.metrics import counting, scraped


class NoSuchName(AbstractResolver):
    """Knows no name."""

    async def resolve(
        self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_INET
    ) -> list[ResolveResult]:
        raise socket.gaierror(socket.EAI_NONAME, "no such name")

    async def close(self) -> None:
        """Hold nothing open."""


class SilentResolver(AbstractResolver):
    """Never answers, like the name servers of some hosts."""

    async def resolve(
        self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_INET
    ) -> list[ResolveResult]:
        await asyncio.Event().wait()
        raise AssertionError("nothing wakes it")

    async def close(self) -> None:
        """Hold nothing open."""


async def test_an_inline_image_is_decoded_within_the_limit() -> None:
    reference = ImageInlineV1(inline=base64.b64encode(b"an image").decode(), media_type="image/jpeg")
    with counting() as metrics:
        async with ImageFetcher(FetchSettings(max_bytes=8)) as fetcher:
            assert (await fetcher.fetch(reference)).data == b"an image"
        assert scraped(metrics).by("scheme", "modstream_fetch_io_bytes_total") == {"inline": 8}
    async with ImageFetcher(FetchSettings(max_bytes=7)) as fetcher:
        with pytest.raises(ImageTooLargeError):
            await fetcher.fetch(reference)


async def test_a_file_is_read_below_the_root_only(tmp_path: Path) -> None:
    (tmp_path / "a.jpg").write_bytes(b"an image")
    reference = ImageByUrlV1(url=(tmp_path / "a.jpg").as_uri())
    async with ImageFetcher(FetchSettings(file_root=tmp_path)) as fetcher:
        assert (await fetcher.fetch(reference)).data == b"an image"
    async with ImageFetcher(FetchSettings()) as fetcher:
        with pytest.raises(SchemeNotAllowedError, match=r"media\.fetch\.file_root"):
            await fetcher.fetch(reference)


@pytest.mark.parametrize(
    "url", ["ftp://h/a.jpg", "data:image/png;base64,AAAA", "gs://bucket/key", "javascript:x", "x:"]
)
async def test_other_schemes_are_refused_by_name(url: str) -> None:
    async with ImageFetcher(FetchSettings()) as fetcher:
        with pytest.raises(SchemeNotAllowedError, match=f"by {url.partition(':')[0]} are not"):
            await fetcher.fetch(ImageByUrlV1(url=url))


@pytest.mark.parametrize(
    "url", ["cdn.example.com/42.jpg", "/srv/42.jpg", "//h/42.jpg", "://", " http://h/", "s" * 99 + ":"]
)
async def test_a_url_starts_with_its_scheme(url: str) -> None:
    async with ImageFetcher(FetchSettings()) as fetcher:
        with pytest.raises(ImageReferenceError):
            await fetcher.fetch(ImageByUrlV1(url=url))


async def test_a_name_server_that_never_answers_ends_with_the_time_limit() -> None:
    async with ImageFetcher(FetchSettings(timeout_s=0.1), resolver=SilentResolver()) as fetcher:
        with pytest.raises(FetchTimeoutError, match=r"media\.fetch\.timeout_s"):
            await fetcher.fetch(ImageByUrlV1(url="http://silent.test/a.jpg"))


@given(
    st.sampled_from(["", "http://h", "https://h/", "http://", "s3://uploads/", "s3:", "file:///", "file:", "data:"]),
    st.text(st.characters(), max_size=40),
)
async def test_every_reference_ends_as_an_image_or_with_a_reason(start: str, rest: str) -> None:
    settings = FetchSettings(file_root=Path(__file__).parent, timeout_s=5)
    reference = ImageByUrlV1.model_construct(url=start + rest)
    async with ImageFetcher(settings, resolver=NoSuchName()) as fetcher:
        with pytest.raises((RejectedError, TransientError)):
            await fetcher.fetch(reference)


@pytest.mark.parametrize(
    ("url", "host"),
    [
        ("https://CDN.example.com/42.jpg", "cdn.example.com"),
        ("http://cdn.example.com.:80/42.jpg", "cdn.example.com"),
        ("https://cdn.example.com:443/42.jpg?sig=1", "cdn.example.com"),
        ("https://cdn.example.com:8443/42.jpg", "cdn.example.com:8443"),
        ("http://[::1]:9000/42.jpg", "::1:9000"),
        ("https://user:secret@cdn.example.com/42.jpg", "cdn.example.com"),
        ("s3://uploads/42.jpg", "s3"),
        ("file:///images/42.jpg", "file"),
        ("https://" + "a" * 8000 + "/42.jpg", "a" * 260),
        ("a" * 8000 + ":42.jpg", "a" * 260),
        ("http://[::1/42.jpg", ""),
        ("http://a:99999/42.jpg", ""),
        ("no url", ""),
    ],
)
def test_shares_are_counted_by_host_and_port_whatever_the_spelling(url: str, host: str) -> None:
    assert host_of_url(url) == host
