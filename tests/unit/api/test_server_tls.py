"""The API over TLS: certificates are read again when they change, and clients are bounded as without."""

import asyncio
import re
import shutil
from contextlib import AsyncExitStack
from pathlib import Path

import pytest
from structlog.testing import capture_logs

from service.api.connections.certificate import CertificateUnusableError
from service.settings.api import ApiSettings
from testing.badly_treated_api import GET, MIB, App, post, serving
from testing.certificates import common_name, trusting_all, write_certificate
from testing.raw_client import raw_client
from testing.secured_kafka import CERTIFICATES
from testing.waiting import wait_until

CLIENT = trusting_all()


@pytest.fixture
async def app() -> App:
    return App()


@pytest.fixture
def settings(tmp_path: Path) -> ApiSettings:
    certificate, key = write_certificate(tmp_path, "first")
    return ApiSettings(tls_certificate=certificate, tls_key=key)


async def served_name(port: int) -> str:
    """Return the name in the certificate that a new client sees."""
    async with raw_client(port, tls=CLIENT) as client:
        return common_name(client.writer.get_extra_info("ssl_object").getpeercert(binary_form=True))


def replace(settings: ApiSettings, certificate: Path, key: Path) -> None:
    assert settings.tls_certificate is not None
    assert settings.tls_key is not None
    shutil.copy(certificate, settings.tls_certificate)
    shutil.copy(key, settings.tls_key)


async def test_it_answers_over_tls(app: App, settings: ApiSettings) -> None:
    async with serving(app, settings) as server, raw_client(server.port, tls=CLIENT) as client:
        await client.send(post("/size", MIB), b"x" * MIB)
        assert (await client.answer()).json == MIB


async def test_a_client_that_speaks_no_tls_is_sent_away(app: App, settings: ApiSettings) -> None:
    async with serving(app, settings) as server, raw_client(server.port) as client:
        await client.send(GET)
        await client.rest()
        await wait_until(lambda: server.connections == 0, description="the connection is ended")
    assert app.begun == 0


async def test_a_replaced_certificate_is_for_new_connections(app: App, settings: ApiSettings, tmp_path: Path) -> None:
    async with serving(app, settings) as server, raw_client(server.port, tls=CLIENT) as client:
        assert await served_name(server.port) == "first"
        replace(settings, *write_certificate(tmp_path, "second"))

        async def is_served() -> bool:
            return await served_name(server.port) == "second"

        await wait_until(is_served, description="the new certificate is served")
        await client.send(GET)
        assert (await client.answer()).status == 200


async def test_a_certificate_may_be_replaced_by_a_link_to_another_folder(app: App, tmp_path: Path) -> None:
    for name in ("first", "second"):
        (tmp_path / name).mkdir()
        certificate, key = write_certificate(tmp_path / name, name)
        certificate.rename(certificate.with_name("tls.crt"))
        key.rename(key.with_name("tls.key"))
    link, swapped = tmp_path / "data", tmp_path / "data_tmp"
    link.symlink_to("first")
    async with serving(app, ApiSettings(tls_certificate=link / "tls.crt", tls_key=link / "tls.key")) as server:
        swapped.symlink_to("second")
        swapped.rename(link)

        async def is_served() -> bool:
            return await served_name(server.port) == "second"

        await wait_until(is_served, description="the new certificate is served")


async def test_a_new_pair_that_cannot_be_used_is_logged_and_the_previous_one_stays(
    app: App, settings: ApiSettings, tmp_path: Path
) -> None:
    certificate, _ = write_certificate(tmp_path, "second")
    _, key = write_certificate(tmp_path, "third")
    with capture_logs() as lines:
        async with serving(app, settings) as server:
            replace(settings, certificate, key)
            await wait_until(
                lambda: any(line["event"] == "api.certificate_refused" for line in lines), description="it is refused"
            )
            assert await served_name(server.port) == "first"
            await asyncio.sleep(0.1)  # several looks at the files
            assert [line["event"] for line in lines].count("api.certificate_refused") == 1
            shutil.copy(tmp_path / "second-key.pem", str(settings.tls_key))

            async def is_served() -> bool:
                return await served_name(server.port) == "second"

            await wait_until(is_served, description="the pair is complete")


@pytest.mark.parametrize("content", [None, b"", b"MIIB"], ids=["missing", "empty", "no PEM"])
@pytest.mark.parametrize("setting", ["tls_certificate", "tls_key"])
async def test_a_file_that_cannot_be_used_at_the_start_is_named_with_its_setting(
    app: App, settings: ApiSettings, tmp_path: Path, setting: str, content: bytes | None
) -> None:
    unusable = tmp_path / "unusable.pem"
    if content is not None:
        unusable.write_bytes(content)
    with pytest.raises(CertificateUnusableError, match=re.escape(f"{unusable} (setting api.{setting})")):
        async with serving(app, settings.model_copy(update={setting: unusable})):
            pytest.fail("it listens")


@pytest.mark.parametrize("key", ["of another", "locked"])
async def test_a_key_that_does_not_fit_is_named_with_its_setting(
    app: App, settings: ApiSettings, tmp_path: Path, key: str
) -> None:
    _, other = write_certificate(tmp_path, "other")
    path = other if key == "of another" else CERTIFICATES / "locked_key.pem"
    with pytest.raises(CertificateUnusableError, match=r"setting api\.tls_key"):
        async with serving(app, settings.model_copy(update={"tls_key": path})):
            pytest.fail("it listens")


async def test_a_handshake_that_never_ends_is_given_up(app: App, settings: ApiSettings) -> None:
    async with serving(app, settings, limits={"handshake_timeout_s": 0.05}) as server:
        async with raw_client(server.port) as silent, raw_client(server.port) as halfway:
            await halfway.send(b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03")
            assert await silent.is_closed()
            assert await halfway.is_closed()
        await wait_until(lambda: server.connections == 0, description="both are ended")


async def test_a_handshake_that_never_ends_makes_room_for_a_new_client(app: App, settings: ApiSettings) -> None:
    one = settings.model_copy(update={"max_connections": 1})
    async with serving(app, one) as server, raw_client(server.port) as silent:
        await wait_until(lambda: server.connections == 1, description="the handshake is waited for")
        async with raw_client(server.port, tls=CLIENT) as client:
            await client.send(GET)
            assert (await client.answer()).status == 200
        assert await silent.is_closed()


async def test_a_handshake_does_not_hold_up_the_end(app: App, settings: ApiSettings) -> None:
    async with AsyncExitStack() as clients:
        async with serving(app, settings) as server:
            silent = await clients.enter_async_context(raw_client(server.port))
            await wait_until(lambda: server.connections == 1, description="the handshake is waited for")
        assert await silent.is_closed()


async def test_refusals_reach_the_client_over_tls(app: App, settings: ApiSettings) -> None:
    limits = {"linger_s": 0.05}
    async with serving(app, settings, limits=limits) as server, raw_client(server.port, tls=CLIENT) as client:
        await client.send(post("/size", 33 * MIB))
        assert (await client.answer()).status == 413
        await wait_until(lambda: server.connections == 0, description="the connection is ended")


async def test_a_handler_ends_when_its_client_leaves(app: App, settings: ApiSettings) -> None:
    async with serving(app, settings) as server:
        async with raw_client(server.port, tls=CLIENT) as client:
            await client.send(post("/wait", 5), b"hello")
            await wait_until(lambda: app.begun == 1, description="the handler begins")
        await wait_until(lambda: app.cancelled == 1, description="the handler is cancelled")


@pytest.mark.parametrize("path", ["/large", "/stream"])
async def test_a_client_that_does_not_read_the_answer_is_given_up(app: App, settings: ApiSettings, path: str) -> None:
    limits = {"answer_window_s": 0.1, "idle_timeout_s": 0.1}
    async with serving(app, settings, limits=limits) as server, raw_client(server.port, tls=CLIENT) as client:
        client.writer.transport.pause_reading()  # type: ignore[attr-defined] # uvloop's transport has it
        await client.send(f"GET {path} HTTP/1.1\r\nHost: a\r\n\r\n".encode())
        await wait_until(lambda: app.begun == 1, description="the request arrives")
        await wait_until(lambda: server.connections == 0, description="the connection is ended")
