"""One server with OpenAI's API: the requests, what is read from its answers, and what its errors mean."""

import asyncio
import math
from typing import Any

import numpy as np
import pytest

from service.core.errors import ModstreamError
from service.inference.errors import (
    EngineConfigurationError,
    EngineFailedError,
    EngineNotRunningError,
    EngineRejectedError,
    UnknownAdapterError,
)
from service.inference.openai.model import OpenAIModel
from service.inference.vision.prompt import Prompt
from service.inference.vision.token_model import GeneratedText, ModelRequest
from testing.http_server import serving, status
from testing.openai_server import KEY, model_server, painted_pixels
from testing.waiting import wait_until
from tests.integration.engine_remote.remote import LABELS, ask, read, settings, started

PAINTED = pytest.approx({"A": 0.2, "B": 0.1, "C": 0.05})


async def test_every_labels_own_probability_is_read() -> None:
    async with model_server() as server, started(server) as (model, facts):
        assert facts.label_source == "exact"
        assert await read(model, ask((200, 100, 50))) == PAINTED


async def test_labels_without_a_chance_are_marked_so() -> None:
    async with model_server() as server, started(server) as (model, _):
        words = await model.prepare(None, LABELS)
        assert (await model.read(ask((200, 0, 0)), words))["B"] == -math.inf


async def test_restricted_answers_are_read_where_a_server_offers_no_more() -> None:
    async with model_server(sources=("allowed", "top")) as server, started(server) as (model, facts):
        assert facts.label_source == "allowed"
        assert await read(model, ask((200, 100, 50))) == pytest.approx({"A": 20 / 35, "B": 10 / 35, "C": 5 / 35})


async def test_the_likeliest_tokens_are_read_where_a_server_offers_no_more() -> None:
    async with model_server(sources=("top",)) as server, started(server) as (model, facts):
        assert facts.label_source == "top"
        assert await read(model, ask((200, 100, 50))) == PAINTED


async def test_a_strict_server_gets_no_unknown_fields() -> None:
    strict: dict[str, Any] = {"owner": "someone-else", "sources": ("top",), "tokenizes": False}
    async with model_server(**strict) as server, started(server) as (model, facts):
        assert facts.label_source == "top"
        assert await read(model, ask((200, 100, 50))) == PAINTED
        assert await model.write(ask(), {"type": "object"}, max_tokens=9) == GeneratedText('{"size":[64,96]}')
    assert server.bodies[-1]["response_format"]["json_schema"]["schema"] == {"type": "object"}


@pytest.mark.parametrize("source", ["exact", "allowed"])
async def test_a_way_of_reading_that_is_asked_for_and_not_offered_is_an_error(source: str) -> None:
    async with model_server(sources=("top",)) as server:
        with pytest.raises(EngineConfigurationError, match=r"engine\.openai\.label_source: .*does not offer"):
            async with started(server, label_source=source):
                pass


async def test_a_way_of_reading_that_is_asked_for_is_taken() -> None:
    async with model_server() as server, started(server, label_source="top") as (_, facts):
        assert facts.label_source == "top"


async def test_the_question_comes_after_the_image_and_at_temperature_zero() -> None:
    async with model_server() as server, started(server) as (model, _):
        await read(model, ask(key="sha256:1", caption="Which letter?"))
    body = server.bodies[-1]
    system, user = body["messages"]
    assert system == {"role": "system", "content": "Judge."}
    assert [part["type"] for part in user["content"]] == ["image_url", "text"]
    assert user["content"][0]["uuid"] == "sha256:1"
    assert user["content"][1]["text"] == "Which letter?"
    assert (body["temperature"], body["max_tokens"], body["model"]) == (0, 1, "painted")


@pytest.mark.parametrize("image_format", ["bmp", "webp", "png"])
async def test_pixels_arrive_as_they_are(image_format: str) -> None:
    asked = ask()
    asked.pixels[:] = np.random.default_rng(0).integers(0, 200, asked.pixels.shape)
    async with model_server() as server, started(server, image_format=image_format) as (model, _):
        await read(model, asked)
    assert np.array_equal(painted_pixels(server.bodies[-1]), asked.pixels)


async def test_an_image_of_megabytes_arrives() -> None:
    large = ModelRequest("test", Prompt("Judge.", "Which?"), np.full((1024, 1024, 3), 100, np.uint8), "large", None)
    async with model_server() as server, started(server) as (model, _):
        assert await read(model, large) == pytest.approx({"A": 0.1, "B": 0.1, "C": 0.1})


async def test_json_is_kept_to_the_schema_without_white_space() -> None:
    async with model_server() as server, started(server) as (model, _):
        assert await model.write(ask(), {"type": "object"}, max_tokens=40) == GeneratedText('{"size":[64,96]}')
    body = server.bodies[-1]
    assert body["structured_outputs"] == {"json": {"type": "object"}, "disable_any_whitespace": True}
    assert body["max_tokens"] == 40


async def test_what_servers_do_not_report_comes_from_the_settings() -> None:
    async with model_server() as server:
        async with started(server) as (_, facts):
            assert (facts.name, facts.revision, facts.precision) == ("painted", "unknown", "unknown")
        async with started(server, revision="abc", precision="fp8", max_in_flight=3) as (_, facts):
            assert (facts.revision, facts.precision, facts.concurrency) == ("abc", "fp8", 3)


async def test_a_model_that_is_not_served_is_named_with_those_that_are() -> None:
    async with model_server() as server:
        with pytest.raises(EngineConfigurationError, match=r"engine\.openai\.model: .* serves painted, not another"):
            async with started(server, model="another"):
                pass


async def test_an_adapter_is_a_model_of_its_own() -> None:
    async with model_server(adapters=("fashion",)) as server, started(server) as (model, facts):
        assert facts.name == "painted"
        await read(model, ask(adapter="fashion"))
        assert server.bodies[-1]["model"] == "fashion"


async def test_an_unknown_adapter_is_named_with_what_is_served() -> None:
    async with model_server(adapters=("fashion",)) as server, started(server) as (model, _):
        with pytest.raises(UnknownAdapterError, match=r"'cars' cannot be used: .* serves painted, fashion"):
            await model.prepare("cars", LABELS)


async def test_the_key_opens_the_server_and_is_never_shown() -> None:
    async with model_server(key=KEY) as server:
        async with started(server, api_key=KEY) as (model, _):
            assert await read(model, ask()) == PAINTED
        with pytest.raises(EngineConfigurationError, match=r"engine\.openai\.api_key: the key is refused") as raised:
            async with started(server, api_key="wrong key"):
                pass
        assert "wrong key" not in str(raised.value)


@pytest.mark.parametrize(
    ("code", "error"),
    [
        (400, EngineRejectedError),
        (413, EngineRejectedError),
        (422, EngineRejectedError),
        (401, EngineConfigurationError),
        (404, EngineConfigurationError),
        (307, EngineConfigurationError),
        (429, EngineFailedError),
        (500, EngineFailedError),
        (503, EngineFailedError),
    ],
)
async def test_a_status_says_what_to_do_and_no_word_of_the_caption(code: int, error: type[ModstreamError]) -> None:
    async with model_server() as server, started(server) as (model, _):
        words = await model.prepare(None, LABELS)
        server.status = code
        server.spares_checks = error is not EngineConfigurationError
        with pytest.raises(error) as raised:
            await model.read(ask(caption="a secret caption"), words)
    assert f"answered {code}: no answer to …" in str(raised.value)


@pytest.mark.parametrize("code", [400, 401, 403, 404, 422])
async def test_a_server_that_refuses_everything_is_set_up_wrongly_whatever_it_answers(code: int) -> None:
    async with model_server() as server, started(server) as (model, _):
        words = await model.prepare(None, LABELS)
        server.status = code
        with pytest.raises(EngineConfigurationError, match=rf"engine\.openai\..*answered {code}"):
            await model.read(ask(), words)


@pytest.mark.parametrize("code", [401, 403, 404])
async def test_a_request_that_is_refused_as_if_the_settings_were_wrong_is_its_own_fault_if_others_are_answered(
    code: int,
) -> None:
    async with model_server(spares_checks=True) as server, started(server) as (model, _):
        words = await model.prepare(None, LABELS)
        server.status = code
        with pytest.raises(EngineRejectedError, match="other requests are answered"):
            await model.read(ask(), words)


async def test_a_model_that_a_server_no_longer_serves_is_named() -> None:
    async with model_server() as server, started(server) as (model, _):
        words = await model.prepare(None, LABELS)
        server.model = "replaced"
        with pytest.raises(EngineConfigurationError, match=r"engine\.openai\.model"):
            await model.read(ask(), words)


async def test_generation_that_broke_off_is_a_failure() -> None:
    async with model_server(spares_checks=True) as server, started(server) as (model, _):
        words = await model.prepare(None, LABELS)
        server.finish_reason = "error"
        with pytest.raises(EngineFailedError):
            await model.read(ask(), words)
        with pytest.raises(EngineFailedError):
            await model.write(ask(), {}, max_tokens=9)


async def test_labels_that_a_server_leaves_out_all_at_once_are_a_failure() -> None:
    async with model_server(spares_checks=True) as server, started(server) as (model, _):
        words = await model.prepare(None, LABELS)
        server.sources = ("top",)
        with pytest.raises(EngineFailedError, match="returned only some labels"):
            await model.read(ask(), words)


async def test_an_answer_in_time_is_waited_for_and_no_longer() -> None:
    async with model_server(spares_checks=True) as server, started(server, request_timeout_s=0.2) as (model, _):
        words = await model.prepare(None, LABELS)
        server.hold.clear()
        with pytest.raises(EngineFailedError, match=r"gave no answer in 0\.2 s"):
            await model.read(ask(), words)
        await wait_until(lambda: server.in_flight == 0, description="the server gave the request up")


async def test_cancelling_gives_the_request_up_at_the_server() -> None:
    async with model_server() as server, started(server) as (model, _):
        words = await model.prepare(None, LABELS)
        server.hold.clear()
        task = asyncio.create_task(model.read(ask(), words), name="read")
        await wait_until(lambda: server.in_flight == 1, description="the request arrived")
        task.cancel()
        await wait_until(lambda: server.given_up == 1, description="the server gave the request up")
        server.hold.set()
        assert await read(model, ask()) == PAINTED


async def test_stopping_ends_what_is_in_flight_and_what_waits() -> None:
    async with model_server() as server, started(server, max_in_flight=1) as (model, _):
        words = await model.prepare(None, LABELS)
        server.hold.clear()
        tasks = [asyncio.create_task(model.read(ask(), words), name="read") for _ in range(3)]
        await wait_until(lambda: server.in_flight == 1, description="a request arrived")
        await model.stop()
        ends = await asyncio.wait_for(asyncio.gather(*tasks, return_exceptions=True), 5)
        assert [type(end) for end in ends] == [EngineNotRunningError] * 3
        with pytest.raises(EngineNotRunningError):
            await model.read(ask(), words)


async def test_stopping_twice_or_before_the_start_is_harmless() -> None:
    model = OpenAIModel(settings("http://127.0.0.1:1"))
    await model.stop()
    await model.stop()
    with pytest.raises(EngineNotRunningError):
        await model.prepare(None, LABELS)


async def test_no_task_and_no_connection_outlives_the_model() -> None:
    before = asyncio.all_tasks()
    async with model_server() as server:
        around = asyncio.all_tasks()
        async with started(server) as (model, _):
            await read(model, ask())
        await wait_until(lambda: asyncio.all_tasks() <= around, description="only the server's tasks are left")
    await wait_until(lambda: asyncio.all_tasks() == before, description="no task is left")


async def test_a_server_that_says_nothing_at_the_start_is_waited_for() -> None:
    async with model_server() as server:
        url, port = server.url, int(server.url.rpartition(":")[2])
    model = OpenAIModel(settings(url))
    starting = asyncio.create_task(model.start(), name="start")
    async with serving(status(503), port=port) as loading:
        await wait_until(lambda: len(loading.requests) > 1, description="it was asked again and again")
    async with model_server(port=port):
        assert (await starting).name == "painted"
        await model.stop()


async def test_waiting_for_the_first_server_has_an_end() -> None:
    reported = r"engine\.openai\.base_urls: no server answers in 0\.2 s .*127\.0\.0\.1:1 did not answer"
    with pytest.raises(EngineConfigurationError, match=reported):
        async with started("http://127.0.0.1:1", startup_timeout_s=0.2):
            pass
