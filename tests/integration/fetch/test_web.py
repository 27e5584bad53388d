"""Images by HTTP from a real server on this machine, which the tests' settings open."""

import asyncio
import gzip
import ssl
from pathlib import Path

import pytest
from aiohttp import web

from schemas.image_uploaded import ImageByUrlV1
from service.media.errors import (
    AddressNotAllowedError,
    FetchFailedError,
    FetchTimeoutError,
    ImageNotFoundError,
    ImageReferenceError,
    ImageTooLargeError,
    SchemeNotAllowedError,
    TooManyRedirectsError,
    UnsupportedFormatError,
)
from service.media.fetch.fetcher import ImageFetcher
from testing.fetching import IMAGE, LIMIT, LOCAL, failure, fetching
from testing.http_server import (
    body,
    endless,
    raw,
    redirect,
    serving,
    status,
)
from testing.public_host import as_if_public
from testing.waiting import wait_until


async def test_the_bytes_arrive_unchanged() -> None:
    async with fetching(body(IMAGE)) as (fetcher, server):
        assert (await fetcher.fetch(ImageByUrlV1(url=f"{server.url}/i.jpg"))).data == IMAGE


async def test_connections_are_used_again() -> None:
    async with fetching(body(IMAGE)) as (fetcher, server):
        for _ in range(3):
            await fetcher.fetch(ImageByUrlV1(url=f"{server.url}/i.jpg"))
        assert (len(server.requests), server.connections) == (3, 1)


@pytest.mark.parametrize(
    ("sent", "asked"),
    [
        ("/a%2Fb.jpg?sig=a%2Fb%2Bc+d%3D&x=%41", "/a%2Fb.jpg?sig=a%2Fb%2Bc+d%3D&x=%41"),
        ("/ü b.jpg?q=ü", "/%C3%BC%20b.jpg?q=%C3%BC"),
        ("?only=query", "/?only=query"),
        ("/a.jpg#fragment", "/a.jpg"),
    ],
    ids=["signed", "unescaped", "no path", "fragment"],
)
async def test_the_path_is_sent_as_given(sent: str, asked: str) -> None:
    async with fetching(body(IMAGE)) as (fetcher, server):
        await fetcher.fetch(ImageByUrlV1(url=server.url + sent))
        assert [request.raw_path for request in server.requests] == [asked]


async def test_neither_cookies_nor_compression_are_asked_for() -> None:
    async with fetching(body(IMAGE, Set_Cookie="a=b")) as (fetcher, server):
        for _ in range(2):
            await fetcher.fetch(ImageByUrlV1(url=f"{server.url}/i.jpg"))
        assert "Cookie" not in server.requests[1].headers
        assert server.requests[1].headers["Accept-Encoding"] == "identity"


async def test_the_environment_names_no_proxy(monkeypatch: pytest.MonkeyPatch) -> None:
    async with serving(body(b"proxied")) as proxy, fetching(body(IMAGE)) as (fetcher, server):
        monkeypatch.setenv("http_proxy", proxy.url)
        monkeypatch.setenv("HTTP_PROXY", proxy.url)
        assert (await fetcher.fetch(ImageByUrlV1(url=f"{server.url}/i.jpg"))).data == IMAGE
        assert proxy.connections == 0


@pytest.mark.parametrize("code", [400, 401, 403, 404, 405, 410, 418, 451, 204, 206, 304])
async def test_an_answer_that_will_stay_rejects_the_record(code: int) -> None:
    error = await failure(status(code))
    assert isinstance(error, ImageNotFoundError)
    assert f"127.0.0.1 answered {code}" in str(error)


@pytest.mark.parametrize("code", [202, 408, 423, 425, 429, 500, 502, 503, 504])
async def test_an_answer_that_may_change_is_worth_another_attempt(code: int) -> None:
    error = await failure(status(code))
    assert isinstance(error, FetchFailedError)
    assert f"answered {code}" in str(error)


async def test_no_message_holds_more_of_a_url_than_its_host() -> None:
    for handler in (status(403), status(500), redirect("ftp://u:secret@h/secret"), raw(b"nonsense\r\n\r\n")):
        error = await failure(handler, path="/secret/i.jpg?secret=1")
        assert "secret" not in f"{error} {error.facts} {error.__cause__}"


class TestLimits:
    async def test_an_image_of_exactly_the_limit_passes(self) -> None:
        async with fetching(body(b"x" * LIMIT)) as (fetcher, server):
            assert len((await fetcher.fetch(ImageByUrlV1(url=f"{server.url}/i.jpg"))).data) == LIMIT

    async def test_one_byte_more_is_refused(self) -> None:
        assert isinstance(await failure(body(b"x" * (LIMIT + 1))), ImageTooLargeError)

    async def test_a_declared_length_over_the_limit_is_refused_before_the_body(self) -> None:
        declared = raw(f"HTTP/1.1 200 OK\r\nContent-Length: {LIMIT + 1}\r\n\r\n".encode(), then_close=False)
        assert isinstance(await failure(declared), ImageTooLargeError)

    async def test_an_endless_body_is_cut_and_its_server_rid_of_us(self) -> None:
        async with fetching(endless(b"x" * 10_000)) as (fetcher, server):
            with pytest.raises(ImageTooLargeError):
                await fetcher.fetch(ImageByUrlV1(url=f"{server.url}/i.jpg"))
            await asyncio.wait_for(server.hung_up.wait(), timeout=10)

    async def test_an_endless_error_page_is_cut(self) -> None:
        page = b"HTTP/1.1 404 Not Found\r\nTransfer-Encoding: chunked\r\n\r\n" + b"1000\r\n" + b"x" * 4096 + b"\r\n"
        assert isinstance(await failure(raw(page, then_close=False)), ImageNotFoundError)

    async def test_a_server_that_falls_silent_is_left(self) -> None:
        settings = LOCAL.model_copy(update={"read_timeout_s": 0.2})
        started = raw(b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nabc", then_close=False)
        error = await failure(started, settings)
        assert isinstance(error, FetchTimeoutError)
        assert "media.fetch.read_timeout_s" in str(error)

    async def test_a_server_that_never_answers_is_left(self) -> None:
        settings = LOCAL.model_copy(update={"read_timeout_s": 0.2})
        assert isinstance(await failure(raw(b"", then_close=False), settings), FetchTimeoutError)

    async def test_a_slow_drip_ends_with_the_time_in_all(self) -> None:
        settings = LOCAL.model_copy(update={"timeout_s": 0.5})
        error = await failure(endless(b"x", pause_s=0.05), settings)
        assert isinstance(error, FetchTimeoutError)
        assert "media.fetch.timeout_s" in str(error)

    async def test_no_more_connections_than_allowed_are_open(self) -> None:
        gate = asyncio.Event()
        open_now: list[int] = [0]

        async def handler(_request: web.BaseRequest) -> web.Response:
            open_now.append(open_now[-1] + 1)
            await gate.wait()
            open_now.append(open_now[-1] - 1)
            return web.Response(body=IMAGE)

        settings = LOCAL.model_copy(update={"max_connections": 2})
        async with fetching(handler, settings) as (fetcher, server), asyncio.TaskGroup() as group:
            for number in range(8):
                group.create_task(fetcher.fetch(ImageByUrlV1(url=f"{server.url}/{number}.jpg")), name=f"fetch {number}")
            await wait_until(lambda: max(open_now) == 2, description="two requests are under way")
            gate.set()
        assert max(open_now) == 2


class TestHostileServers:
    async def test_a_compressed_answer_is_refused_unopened(self) -> None:
        bomb = gzip.compress(b"\0" * 10_000_000)
        assert len(bomb) < LIMIT
        assert isinstance(await failure(body(bomb, Content_Encoding="gzip")), UnsupportedFormatError)

    async def test_identity_is_no_compression(self) -> None:
        async with fetching(body(IMAGE, Content_Encoding="identity")) as (fetcher, server):
            assert (await fetcher.fetch(ImageByUrlV1(url=f"{server.url}/i.jpg"))).data == IMAGE

    @pytest.mark.parametrize(
        "answer",
        [
            b"HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\nonly this",
            b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n",
            b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n",
            b"HTTP/1.1 200 OK\r\nContent-Length: nine\r\n\r\n",
            b"HTTP/1.1 200 OK\r\nContent-Length: " + b"9" * 5000 + b"\r\n\r\n",
            b"HTTP/1.1 200 OK\r\nX: " + b"x" * 1_000_000,
            b"HTTP/1.1 200 OK\r\n" + b"X: x\r\n" * 100_000,
            b"HTTP/1.1 100 Continue\r\n\r\n" * 10_000,
            b"SSH-2.0-OpenSSH_9.2\r\n",
            b"\0" * 100,
            b"",
        ],
        ids=[
            "truncated",
            "cut chunks",
            "bad chunk",
            "bad length",
            "huge length",
            "huge header",
            "many headers",
            "continue",
            "ssh",
            "zeros",
            "gone",
        ],
    )
    async def test_a_broken_answer_is_worth_another_attempt(self, answer: bytes) -> None:
        assert isinstance(await failure(raw(answer)), FetchFailedError)

    async def test_a_closed_port_is_worth_another_attempt(self) -> None:
        async with fetching(body(IMAGE)) as (fetcher, server):
            url = f"{server.url}/i.jpg"
        async with ImageFetcher(LOCAL) as fetcher:
            with pytest.raises(FetchFailedError, match=r"no connection to 127\.0\.0\.1$"), as_if_public():
                await fetcher.fetch(ImageByUrlV1(url=url))

    async def test_a_name_that_does_not_resolve_is_worth_another_attempt(self) -> None:
        async with ImageFetcher(LOCAL) as fetcher:
            with pytest.raises(FetchFailedError, match=r"the name of nowhere\.invalid does not resolve"):
                await fetcher.fetch(ImageByUrlV1(url="http://nowhere.invalid/i.jpg"))


class TestTls:
    async def test_a_server_without_tls_is_no_https(self) -> None:
        async with fetching(body(IMAGE)) as (fetcher, server):
            with pytest.raises(FetchFailedError, match="no secure connection"), as_if_public():
                await fetcher.fetch(ImageByUrlV1(url=f"https://127.0.0.1:{server.port}/i.jpg"))

    async def test_a_self_signed_certificate_is_not_trusted(self) -> None:
        tls = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
        tls.load_cert_chain(Path(__file__).with_name("self_signed.pem"))
        async with serving(body(IMAGE), tls=tls) as server, ImageFetcher(LOCAL) as fetcher:
            with pytest.raises(FetchFailedError, match="certificate"), as_if_public():
                await fetcher.fetch(ImageByUrlV1(url=f"https://127.0.0.1:{server.port}/i.jpg"))
            assert server.requests == []


class TestRedirects:
    @pytest.mark.parametrize("code", [301, 302, 303, 307, 308])
    async def test_a_redirect_is_followed(self, code: int) -> None:
        async def handler(request: web.BaseRequest) -> web.StreamResponse:
            return await (body(IMAGE) if request.path == "/there/b.jpg" else redirect("there/b.jpg", code))(request)

        async with fetching(handler) as (fetcher, server):
            assert (await fetcher.fetch(ImageByUrlV1(url=f"{server.url}/a.jpg"))).data == IMAGE

    async def test_a_loop_ends_at_the_limit(self) -> None:
        async with fetching(redirect("/i.jpg")) as (fetcher, server):
            with pytest.raises(TooManyRedirectsError, match="More than 3 redirects"):
                await fetcher.fetch(ImageByUrlV1(url=f"{server.url}/i.jpg"))
            assert len(server.requests) == 4

    async def test_none_is_followed_where_none_is_allowed(self) -> None:
        settings = LOCAL.model_copy(update={"max_redirects": 0})
        assert isinstance(await failure(redirect("/b.jpg"), settings), TooManyRedirectsError)

    @pytest.mark.parametrize(
        "location", ["file:///etc/passwd", "s3://bucket/key", "ftp://h/i", "data:,x", "gopher://h/"]
    )
    async def test_a_redirect_to_another_scheme_is_refused(self, location: str) -> None:
        settings = LOCAL.model_copy(update={"file_root": Path("/etc")})
        error = await failure(redirect(location), settings)
        assert isinstance(error, SchemeNotAllowedError)
        assert "in redirects" in str(error)

    @pytest.mark.parametrize(
        "location", ["http://u:p@127.0.0.1/", "http://@", "http://127.1/", "http://[::1", "//a b/"]
    )
    async def test_a_redirect_is_read_as_strictly_as_a_first_url(self, location: str) -> None:
        assert isinstance(await failure(redirect(location)), ImageReferenceError)

    async def test_a_redirect_without_a_target_is_no_image(self) -> None:
        assert isinstance(await failure(status(302)), ImageNotFoundError)

    async def test_a_redirect_to_a_private_address_is_refused_unconnected(self) -> None:
        async with serving(body(IMAGE), host="127.0.0.2") as private:
            settings = LOCAL.model_copy(update={"allow_networks": ("127.0.0.1/32",)})
            error = await failure(redirect(f"{private.url}/i.jpg"), settings)
            assert isinstance(error, AddressNotAllowedError)
            assert private.connections == 0
