import gzip

import aiohttp
import pytest

from service.tools.top.scrape import EndpointUnreadableError, look, metrics_url, parse
from testing.http_server import Handler, body, endless, serving, status
from testing.scrapes import scrape


@pytest.mark.parametrize(
    "address",
    ["host:9464", "http://host:9464", "http://host:9464/", "http://host:9464/metrics"],
)
def test_what_people_type_is_completed(address: str) -> None:
    assert metrics_url(address) == "http://host:9464/metrics"


def test_another_path_is_kept() -> None:
    assert metrics_url("https://host/proxy/a") == "https://host/proxy/a"


def test_samples_are_found_by_their_name_with_their_labels() -> None:
    (sample,) = parse(scrape(judged=7), at_s=0.0).of("modstream_decode_queue")
    assert (dict(sample.labels), sample.value) == ({}, 3.0)
    assert parse("", at_s=0.0).of("modstream_lag") == ()


async def test_an_endpoint_is_read_with_the_time_of_reading() -> None:
    async with serving(body(scrape(judged=7).encode())) as server, aiohttp.ClientSession() as session:
        seen = await look(session, f"{server.url}/metrics", clock=lambda: 42.0)
    assert seen.at_s == 42.0
    assert len(seen.of("modstream_lag")) == 2


@pytest.mark.parametrize(("answer", "why"), [(status(503), "status 503"), (body(b"<html>no metrics"), "html")])
async def test_what_is_no_metrics_endpoint_is_said_to_be_none(answer: object, why: str) -> None:
    assert callable(answer)
    async with serving(answer) as server, aiohttp.ClientSession() as session:
        with pytest.raises(EndpointUnreadableError, match=why):
            await look(session, server.url)


PACKED = gzip.compress(bytes(64 * 1024 * 1024))


@pytest.mark.parametrize("answer", [endless(b"# a comment\n" * 100_000), body(PACKED, Content_Encoding="gzip")])
async def test_an_answer_without_end_is_left_at_a_bound(answer: Handler) -> None:
    async with serving(answer) as server, aiohttp.ClientSession() as session:
        with pytest.raises(EndpointUnreadableError, match="more than 16,777,216 bytes"):
            await look(session, server.url)


async def test_a_process_that_is_not_there_is_said_to_be_missing() -> None:
    async with serving(status(200)) as server, aiohttp.ClientSession() as session:
        gone = server.url
    async with aiohttp.ClientSession() as session:
        with pytest.raises(EndpointUnreadableError, match="nothing listens there: start `modstream serve`"):
            await look(session, gone)
