import asyncio
import json
from collections.abc import Sequence

import pytest
from aiohttp import web
from rich.console import Console
from typer.testing import CliRunner, Result

from service.cli.commands import app
from service.cli.top_screen import duration, screen
from service.tools.top.arithmetic import ScrapeInterval
from service.tools.top.figures import Figures, figures
from service.tools.top.scrape import parse
from testing.http_server import Handler, serving
from testing.scrapes import api_scrape, scrape


def answers(texts: Sequence[str]) -> Handler:
    """Answer with one text after the other, the last one for ever."""
    left = list(texts)

    async def handler(_request: web.BaseRequest) -> web.Response:
        return web.Response(text=left.pop(0) if len(left) > 1 else left[0])

    return handler


def top(*arguments: str, **environment: str) -> Result:
    env = {"COLUMNS": "120", "NO_COLOR": "1", **environment}
    return CliRunner().invoke(app, ["top", "--interval", "0.1", *arguments], env=env)


def figures_of_a_busy_service() -> Figures:
    before, now = scrape(judged=1000, failed=40), scrape(judged=1200, failed=80)
    url = "http://127.0.0.1:9464/metrics"
    stretch = ScrapeInterval(parse(before, at_s=0.0), parse(now, at_s=10.0))
    return figures({url: stretch}, {"http://127.0.0.1:9465/metrics": "no answer within 5 s"})


async def test_one_frame_shows_rate_lag_window_stages_engine_and_errors() -> None:
    async with serving(answers([scrape(judged=1000), scrape(judged=1200, failed=80)])) as server:
        result = await asyncio.to_thread(lambda: top("--once", "--url", server.url))
    assert result.exit_code == 0, result.output
    for text in ("images/s", "lag 1,240", "images.uploaded", "records", "100%", "fetch", "p99", "waiting", "gpu 0"):
        assert text in result.stdout
    assert "fetch.failed" in result.stdout
    assert "● ready" in result.stdout


async def test_an_api_without_a_stream_is_shown_without_partitions() -> None:
    async with serving(answers([api_scrape(answered=10), api_scrape(answered=90)])) as server:
        result = await asyncio.to_thread(lambda: top("--once", "--url", server.url))
    assert result.exit_code == 0, result.output
    for text in ("requests/s", "refused (429)/s", "5 images in work", "/v1/verdicts", "api.busy", "m, HTTP API"):
        assert text in result.stdout
    assert "partition" not in result.stdout
    assert "lag" not in result.stdout


async def test_scripts_get_json() -> None:
    async with serving(answers([scrape(judged=0)])) as server:
        result = await asyncio.to_thread(lambda: top("--once", "--json", "--url", server.url))
    reported = json.loads(result.stdout)
    assert reported["lag"] == 1240
    assert reported["partitions"][0]["partition"] == 1


async def test_several_processes_are_one_service_and_one_that_is_gone_is_named() -> None:
    async with serving(answers([scrape(judged=0)])) as one:
        async with serving(answers([scrape(judged=0)])) as other:
            gone = other.url
        result = await asyncio.to_thread(lambda: top("--once", "--url", one.url, "--url", gone))
    assert result.exit_code == 0
    assert "1 of 2" in result.stdout
    assert f"✗ {gone}" in result.stdout.replace("\n", "")


async def test_without_an_address_the_settings_name_it() -> None:
    async with serving(answers([scrape(judged=0)])) as server:
        result = await asyncio.to_thread(
            lambda: top(
                "--once", "--json", MODSTREAM_MONITORING__PORT=str(server.port), MODSTREAM_MONITORING__HOST="::"
            )
        )
    assert result.exit_code == 0, result.output


def test_settings_without_an_endpoint_are_said_to_have_none() -> None:
    result = top("--once", MODSTREAM_MONITORING__PORT="0")
    assert result.exit_code == 2
    assert "--url" in result.stderr


async def test_a_service_that_does_not_answer_is_a_failure() -> None:
    async with serving(answers([""])) as server:
        gone = server.url
    result = await asyncio.to_thread(lambda: top("--once", "--url", gone))
    assert result.exit_code == 1
    assert gone in result.stderr.replace("\n", "")


@pytest.mark.parametrize("width", [80, 120])
def test_a_frame_fits_its_terminal(width: int) -> None:
    console = Console(width=width, color_system=None)
    with console.capture() as capture:
        console.print(screen(figures_of_a_busy_service()))
    lines = capture.get().splitlines()
    assert len(lines) <= 24
    assert max(map(len, lines)) <= width


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(0.00002, "20 µs"), (0.25, "250 ms"), (61.5, "61.5 s"), (600, "10 min"), (36_000, "10 h"), (float("nan"), "–")],
)
def test_times_have_the_digits_that_a_reader_needs(seconds: float, text: str) -> None:
    assert duration(seconds) == text
