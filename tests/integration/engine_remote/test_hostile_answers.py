"""A server that lies, breaks off, drips, never ends, floods, answers twice or leads elsewhere."""

import asyncio
import gzip
import math
import ssl
import time
from pathlib import Path

import pytest

from service.core.errors import EnginePoisonError
from service.inference.errors import EngineConfigurationError, EngineFailedError
from service.inference.openai.client import OpenAIClient
from service.inference.openai.fleet import Server
from testing.flood_server import flooding
from testing.http_server import body, endless, raw, redirect, request_head, scripted, serving, status
from testing.openai_server import model_server
from tests.integration.engine_remote.remote import LABELS, ask, settings, started


def reported(**logprob: str) -> bytes:
    """Return an answer with log-probabilities of tokens, written as they are to stand there."""
    top = ",".join(f'{{"token":"token_id:{ord(label)}","logprob":{value}}}' for label, value in logprob.items())
    step = f'{{"token":"?","logprob":-1,"top_logprobs":[{top}]}}'
    return f'{{"choices":[{{"message":{{"content":7}},"logprobs":{{"content":[{step}]}}}}]}}'.encode()


LIES = {
    "no JSON": b"<html>",
    "no object": b"[]",
    "empty": b"",
    "no choice": b'{"choices":[]}',
    "no list of choices": b'{"choices":7}',
    "no probabilities": b'{"choices":[{"logprobs":null}]}',
    "two choices": reported(A="-1").replace(b'{"message"', b'{},{"message"'),
    "not a number": reported(A="NaN", B="-1", C="-1"),
    "infinite": reported(A="1e999", B="-1", C="-1"),
    "null": reported(A="null", B="-1", C="-1"),
    "a text": reported(A='"high"', B="-1", C="-1"),
    "more than certain": reported(A="1000", B="-1", C="-1"),
    "only other tokens": reported(X="-1", Y="-1", Z="-1"),
}


@pytest.mark.parametrize("lie", LIES)
async def test_an_answer_of_another_form_is_a_failure(lie: str) -> None:
    answer = LIES[lie]
    async with model_server(spares_checks=True) as server, started(server) as (model, _):
        words = await model.prepare(None, LABELS)
        server.instead = answer
        with pytest.raises(EngineFailedError):
            await model.read(ask(), words)
        with pytest.raises(EngineFailedError):
            await model.write(ask(), {}, max_tokens=9)


async def test_counts_of_tokens_that_cannot_be_are_not_counted() -> None:
    usage = b'"usage":{"prompt_tokens":-5,"completion_tokens":99999999999999999,"prompt_tokens_details":7}'
    async with model_server() as server, started(server) as (model, _):
        words = await model.prepare(None, LABELS)
        server.instead = reported(A="-1", B="-1", C="-2")[:-1] + b"," + usage + b"}"
        assert math.exp((await model.read(ask(), words))["A"]) == pytest.approx(math.exp(-1))


@pytest.mark.parametrize("raw_answer", [b"HTTP/1.1 200 OK\r\nContent-Length: 9999\r\n\r\n{", b"SSH-2.0-OpenSSH\r\n"])
async def test_an_answer_that_breaks_off_is_a_failure_that_says_so(raw_answer: bytes) -> None:
    async with model_server() as server, started(server) as (model, _):
        words = await model.prepare(None, LABELS)
        server.spares_checks, server.misbehaves = True, raw(raw_answer)
        with pytest.raises((EngineFailedError, EnginePoisonError), match=r"did not answer in full|in another protocol"):
            await model.read(ask(), words)


async def test_an_answer_that_never_ends_is_given_up() -> None:
    async with model_server() as server, started(server, request_timeout_s=5.0) as (model, _):
        words = await model.prepare(None, LABELS)
        server.spares_checks, server.misbehaves = True, endless(b" " * 65536)
        with pytest.raises(EngineFailedError, match="answered with more than 4194304 bytes"):
            await model.read(ask(), words)


async def test_an_answer_that_drips_is_given_up_in_time() -> None:
    async with model_server() as server, started(server, request_timeout_s=0.2) as (model, _):
        words = await model.prepare(None, LABELS)
        server.spares_checks, server.misbehaves = True, endless(b" ", pause_s=0.02)
        with pytest.raises(EngineFailedError, match=r"gave no answer in 0\.2 s"):
            await model.read(ask(), words)


async def test_an_answer_that_unpacks_to_gigabytes_is_not_unpacked() -> None:
    bomb = body(gzip.compress(b" " * 100_000_000), Content_Encoding="gzip")
    async with model_server() as server, started(server) as (model, _):
        words = await model.prepare(None, LABELS)
        server.spares_checks, server.misbehaves = True, bomb
        with pytest.raises(EngineFailedError, match="something else than a JSON object"):
            await model.read(ask(), words)


async def test_a_redirect_is_not_followed() -> None:
    async with model_server() as elsewhere, model_server() as server, started(server) as (model, _):
        words = await model.prepare(None, LABELS)
        server.misbehaves = redirect(elsewhere.url + "/v1/chat/completions", 307)
        with pytest.raises(EngineConfigurationError, match=r"engine\.openai\.base_urls: no OpenAI API: .*answered 307"):
            await model.read(ask(), words)
        assert elsewhere.bodies == []


async def test_an_untrusted_certificate_is_named() -> None:
    tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    tls.load_cert_chain(Path(__file__).parents[1] / "fetch/self_signed.pem")
    async with serving(status(200), tls=tls) as server:
        with pytest.raises(EngineConfigurationError, match="shows a certificate that is not trusted"):
            async with started(server.url.replace("http:", "https:"), startup_timeout_s=0.3):
                pass


HEAD = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
FLOODS = {
    "interim answers": (b"", b"HTTP/1.1 103 Early Hints\r\n\r\n", "interim answers"),
    "one-byte chunks": (HEAD, b"1\r\n \r\n", "chunks that are too small"),
    "headers": (b"HTTP/1.1 200 OK\r\n", b"a: b\r\n", "bytes of headers"),
}


@pytest.mark.parametrize("flood", FLOODS)
async def test_a_flood_from_a_model_server_holds_nothing_up(flood: str) -> None:
    beginning, piece, refusal = FLOODS[flood]
    with flooding(beginning, piece) as port:
        server = Server(f"http://127.0.0.1:{port}")
        client = OpenAIClient(settings(server.url))
        await client.open()
        before = time.process_time()
        answers = await asyncio.gather(
            *(client.exchange(server, "/v1/chat/completions", b"{}") for _ in range(32)), return_exceptions=True
        )
        await client.close()
    assert {type(each) for each in answers} == {EngineFailedError}
    assert all(refusal in str(each) for each in answers)
    assert time.process_time() - before < 2.0


async def test_an_unrequested_answer_is_not_the_next_record_s() -> None:
    """A server that answers twice would have one image judged by what another one shows."""

    is_first_read, has_reported = asyncio.Event(), asyncio.Event()

    async def script(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while True:
            path = (await request_head(reader)).split()[1]
            writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n" + path)
            await is_first_read.wait()
            writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n/0")
            await writer.drain()
            has_reported.set()

    async with scripted(script) as listening:
        server = Server(listening.url)
        client = OpenAIClient(settings(server.url))
        await client.open()
        first = await client.exchange(server, "/1")
        is_first_read.set()
        await has_reported.wait()
        second = await client.exchange(server, "/2")
        await client.close()
    assert (first.body, second.body) == (b"/1", b"/2")
