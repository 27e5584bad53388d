"""Servers that keep to no book, read as browsers read them, and what uploaders learn of those that they cannot see."""

import asyncio

import pytest
from structlog.testing import capture_logs

from schemas.image_uploaded import ImageByUrlV1
from service.media.errors import FetchFailedError, ImageNotFoundError, UnsupportedFormatError
from service.media.fetch.fetcher import ImageFetcher
from testing.fetching import IMAGE, LOCAL, failure, fetching
from testing.http_server import (
    Handler,
    answer,
    body,
    raw,
    redirect,
    request_head,
    scripted,
    serving,
    status,
)


class TestServersInTheWild:
    @pytest.mark.parametrize(
        "coding",
        ["aws-chunked", "UTF-8", "none", "base64", "binary", "", "identity, utf-8", "aws-chunked,", "ISO-8859-1"],
    )
    async def test_a_coding_that_compresses_nothing_is_ignored(self, coding: str) -> None:
        async with fetching(body(IMAGE, Content_Encoding=coding)) as (fetcher, server):
            assert (await fetcher.fetch(ImageByUrlV1(url=f"{server.url}/i.jpg"))).data == IMAGE

    @pytest.mark.parametrize("coding", ["gzip", "x-gzip", "deflate", "br", "zstd", "aws-chunked, GZIP"])
    async def test_a_coding_that_compresses_is_refused_by_name(self, coding: str) -> None:
        error = await failure(body(IMAGE, Content_Encoding=coding))
        assert isinstance(error, UnsupportedFormatError)
        assert coding.rsplit(maxsplit=1)[-1].lower() in str(error)

    async def test_a_part_that_is_the_whole_is_the_image(self) -> None:
        whole = answer(206, IMAGE, Content_Range=f"bytes 0-{len(IMAGE) - 1}/{len(IMAGE)}")
        async with fetching(whole) as (fetcher, server):
            assert (await fetcher.fetch(ImageByUrlV1(url=f"{server.url}/i.jpg"))).data == IMAGE

    @pytest.mark.parametrize("content_range", ["bytes 0-9/100", "bytes 1-99/100", "bytes 0-9/*", "bytes */10", "x"])
    async def test_any_other_part_is_no_image(self, content_range: str) -> None:
        assert isinstance(await failure(answer(206, b"x" * 10, Content_Range=content_range)), ImageNotFoundError)

    @pytest.mark.parametrize(
        ("location", "asked"),
        [
            (b"/caf\xe9.jpg", "/caf%E9.jpg"),
            ("/café.jpg".encode(), "/caf%C3%A9.jpg"),
            (b"/a b.jpg ", "/a%20b.jpg"),
            (b"/a%2Fb%7Ec d.jpg", "/a%2Fb%7Ec%20d.jpg"),
            (b"/a.jpg?q=\xe9&s=a%2Fb+c#\xe9", "/a.jpg?q=%E9&s=a%2Fb+c"),
            (b"/" + b"x" * 9000 + b".jpg", "/" + "x" * 9000 + ".jpg"),
            (b"?x=1", "/i.jpg?x=1"),
        ],
        ids=["latin-1", "UTF-8", "blanks", "escapes", "query", "9 KB", "query alone"],
    )
    async def test_a_redirect_leads_where_it_leads_browsers(self, location: bytes, asked: str) -> None:
        paths: list[str] = []

        async def script(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            while True:
                paths.append((await request_head(reader)).split()[1].decode())
                if len(paths) == 1:
                    head = b"HTTP/1.1 302 Found\r\nContent-Length: 0\r\nLocation: " + location + b"\r\n\r\n"
                else:
                    head = b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nimage"
                writer.write(head)

        async with scripted(script) as server, ImageFetcher(LOCAL) as fetcher:
            assert (await fetcher.fetch(ImageByUrlV1(url=f"{server.url}/i.jpg"))).data == b"image"
        assert paths[1] == asked

    async def test_a_redirect_of_the_same_scheme_may_leave_it_out(self) -> None:
        async with serving(body(IMAGE), host="127.0.0.2") as other:
            leading = redirect(f"//127.0.0.2:{other.port}/i.jpg")
            async with fetching(leading) as (fetcher, server):
                assert (await fetcher.fetch(ImageByUrlV1(url=f"{server.url}/i.jpg"))).data == IMAGE

    @pytest.mark.parametrize(
        ("value", "seconds"), [("7", 7.0), ("999999999", 86400.0), ("Wed, 21 Oct 2015 07:28:00 GMT", 0.0)]
    )
    async def test_when_to_come_back_is_kept(self, value: str, seconds: float) -> None:
        error = await failure(answer(503, b"", Retry_After=value))
        assert isinstance(error, FetchFailedError)
        assert error.retry_after_s == seconds

    @pytest.mark.parametrize(
        "value",
        ["soon", "-5", "", "1.5", "²", "Mon, 01 Jan 2020 00:00:00 +99999999999999", "Mon, 01 Jan 99999999999999 0:0:0"],
    )
    async def test_what_is_no_time_to_come_back_is_ignored(self, value: str) -> None:
        error = await failure(answer(429, b"", Retry_After=value))
        assert isinstance(error, FetchFailedError)
        assert error.retry_after_s == 0


class TestWhatUploadersLearn:
    """The address 127.0.0.1 is opened by a setting: a host inside the operator's network."""

    @pytest.mark.parametrize(
        "handler",
        [
            raw(b""),
            raw(b"SSH-2.0-OpenSSH_9.2\r\n"),
            raw(b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nhalf"),
            raw(b"", then_close=False),
        ],
        ids=["closed", "another protocol", "truncated", "silent"],
    )
    async def test_why_an_internal_host_gave_no_answer_is_for_the_log(self, handler: Handler) -> None:
        settings = LOCAL.model_copy(update={"read_timeout_s": 0.2})
        async with fetching(handler, settings) as (fetcher, server):
            with pytest.raises(FetchFailedError) as raised, capture_logs() as logs:
                await fetcher.fetch(ImageByUrlV1(url=f"{server.url}/i.jpg"))
        assert str(raised.value) == "The image could not be fetched: 127.0.0.1 gave no usable answer"
        assert [line["event"] for line in logs] == ["image.internal_fetch_failed"]

    async def test_a_closed_port_and_one_without_tls_look_the_same(self) -> None:
        async with fetching(body(IMAGE)) as (fetcher, server):
            open_port = server.port
            messages = set()
            for port in (open_port, 1):
                with pytest.raises(FetchFailedError) as raised, capture_logs():
                    await fetcher.fetch(ImageByUrlV1(url=f"https://127.0.0.1:{port}/i.jpg"))
                messages.add(f"{raised.value.reason} {raised.value}")
        assert len(messages) == 1

    @pytest.mark.parametrize("handler", [status(404), status(503), raw(b""), body(b"x", Content_Encoding="gzip")])
    async def test_where_a_redirect_leads_is_in_no_message(self, handler: Handler) -> None:
        async with serving(handler, host="127.0.0.2") as hidden:
            error = await failure(redirect(f"{hidden.url}/i.jpg"))
        assert "127.0.0.2" not in f"{error} {error.facts}"
        assert "a host that 127.0.0.1 redirects to" in str(error)

    async def test_a_refused_redirect_reports_neither_its_host_nor_its_address(self) -> None:
        settings = LOCAL.model_copy(update={"allow_networks": ("127.0.0.1/32",)})
        error = await failure(redirect("http://127.0.0.2/i.jpg"), settings)
        assert str(error).startswith("a host that 127.0.0.1 redirects to may not be contacted")
        assert "127.0.0.2" not in f"{error.facts}"
