"""One trace from the uploader to the verdict, by way of the deployed collector, as a trace store reports it."""

import signal
from collections.abc import AsyncIterator, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import orjson
import pytest
import pytest_asyncio
import yaml
from aiohttp import web
from opentelemetry.proto.trace.v1.trace_pb2 import Span

from testing.house import House, inline
from testing.http_server import serving
from testing.kafka import KafkaBroker
from testing.otlp_receiver import Collector, running_collector
from testing.service import running_service
from testing.topics import committed_reader, create_topics, publish
from testing.trace_store import TraceStore, running_trace_store
from testing.waiting import wait_until

pytestmark = [
    pytest.mark.docker,
    pytest.mark.tool("otelcol"),
    pytest.mark.tool("zipkin"),
    pytest.mark.timeout(300),
    pytest.mark.asyncio(loop_scope="module"),
]

PHOTOGRAPH = (Path(__file__).parents[3] / "testing" / "data" / "photographs" / "coffee.png").read_bytes()
UPLOADER = "b7ad6b7169203331"
REVIEWED, BROKEN, FLAKY, BORING = ("a" * 32, "b" * 32, "c" * 32, "d" * 32)
UNEVENTFUL = 5


@dataclass(frozen=True, slots=True)
class Reported:
    """What the trace store and another receiver behind the collector know."""

    store: TraceStore
    received: Collector
    house: House

    def spans(self, name: str) -> list[Span]:
        """Return the kept spans of a name, with their links, which Zipkin has no place for."""
        return [span for span in self.received.spans() if span.name == name]

    def attempts(self, image_id: str) -> list[Span]:
        """Return the kept spans of the attempts at an image, in order."""
        spans = self.spans(f"process {self.house.uploads}")
        found = [span for span in spans if any(fact.value.string_value == image_id for fact in span.attributes)]
        return sorted(found, key=lambda span: span.start_time_unix_nano)


@pytest.fixture(scope="module")
def receiver() -> Iterator[Collector]:
    with running_collector() as server:
        yield server


def traced(trace_id: str) -> list[tuple[str, bytes]]:
    return [("traceparent", f"00-{trace_id}-{UPLOADER}-01".encode())]


def event(image_id: str, image: Mapping[str, str], **facts: object) -> bytes:
    return orjson.dumps({"image_id": image_id, "image": image, **facts})


def write_policies(folder: Path) -> Path:
    """Write a policy that allows everything, and one that sends everything to review."""
    policies = folder / "policies"
    policies.mkdir()
    for name, threshold in (("default", 0.999), ("strict", 1e-9)):
        categories = {"child_safety": {"review": 0.5}, "sexual_explicit": {"review": threshold}}
        content = {"name": name, "version": "1", "categories": categories}
        (policies / f"{name}.yaml").write_text(yaml.safe_dump(content), encoding="utf-8")
    return policies


def settings(house: House, store: TraceStore, policies: Path) -> Mapping[str, object]:
    return house.settings | {
        "policy": {"path": str(policies)},
        "media": {"fetch": {"allow_networks": ["127.0.0.0/8"]}},
        "retry": {"max_attempts": 1, "tiers": ["1s"]},
        "telemetry": {"otlp_endpoint": store.otlp},
    }


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def reported(
    kafka: KafkaBroker, receiver: Collector, tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[Reported]:
    """Run the service once, with an image for each story, and a web server that is busy at first."""
    folder = tmp_path_factory.mktemp("traces")
    house = House(kafka)
    await house.build(partitions=1)
    await create_topics(house.bootstrap_servers, [f"{house.uploads}.retry.1s"], partitions=1)
    answers = iter([200, 503])

    async def answer(_request: web.BaseRequest) -> web.StreamResponse:
        return web.Response(status=next(answers, 200), body=PHOTOGRAPH)

    kept = {"TRACES_KEEP_PERCENT": "0", "TRACES_SLOW_MS": "600000"}
    async with (
        running_trace_store(folder, also_to=receiver.endpoint, environment=kept) as store,
        serving(answer) as images,
        committed_reader(house.bootstrap_servers, house.outcomes) as reader,
    ):
        by_url, photograph = {"url": f"{images.url}/coffee.png?signature=secret"}, inline(PHOTOGRAPH)
        uploads = [(b"1", event("reviewed", by_url, policy="strict"), traced(REVIEWED))]
        with running_service(folder, settings(house, store, write_policies(folder))) as service:
            await publish(house.bootstrap_servers, house.uploads, uploads)
            await reader.until(1)
            uploads = [(b"2", event("flaky", by_url), traced(FLAKY))]
            uploads += [(b"3", event("broken", inline(b"no image")), traced(BROKEN))]
            uploads += [(b"4", event(f"boring-{n}", photograph), traced(BORING)) for n in range(UNEVENTFUL)]
            await publish(house.bootstrap_servers, house.uploads, uploads)
            await reader.until(3 + UNEVENTFUL)
            service.signal(signal.SIGTERM)
            assert service.wait() == 0
        await store.until(REVIEWED, f"send {house.verdicts}")
        await store.until(BROKEN, f"send {house.dead_letters}")
        await store.until(FLAKY, f"send {house.uploads}.retry.1s")
        reported = Reported(store, receiver, house)
        # Its second attempt is a trace of its own, which the collector decides on later.
        await wait_until(lambda: len(reported.attempts("flaky")) == 2, description="both attempts", timeout_s=60)
        yield reported


async def test_one_trace_leads_from_the_uploader_to_the_published_verdict(reported: Reported) -> None:
    spans = {span["name"]: span for span in await reported.store.trace(REVIEWED)}
    process, fetch = spans[f"process {reported.house.uploads}"], spans["fetch"]
    assert process["parentId"] == UPLOADER
    assert {spans[name]["parentId"] for name in ("fetch", "decode", "engine", "decide")} == {process["id"]}
    assert spans[f"send {reported.house.verdicts}"]["parentId"] == process["id"]
    assert spans["get"]["parentId"] == fetch["id"]
    assert spans["connect"]["parentId"] == spans["get"]["id"]
    assert (spans["get"]["kind"], process["kind"]) == ("CLIENT", "CONSUMER")
    assert spans["get"]["tags"]["http.response.status_code"] == "200"
    assert process["tags"]["modstream.decision"] == "review"
    assert process["tags"]["messaging.message.id"] == "reviewed"
    assert "secret" not in orjson.dumps(spans).decode()


async def test_a_verdict_links_to_the_commit_that_published_it(reported: Reported) -> None:
    (send,) = [span for span in reported.spans(f"send {reported.house.verdicts}") if span.trace_id.hex() == REVIEWED]
    (link,) = send.links
    assert link.attributes[0].value.string_value == "commit"
    assert link.trace_id.hex() != REVIEWED


async def test_a_record_that_waited_in_a_retry_topic_is_a_trace_of_its_own_with_links_to_its_past(
    reported: Reported,
) -> None:
    first, second = reported.attempts("flaky")
    assert (first.trace_id.hex(), first.parent_span_id.hex()) == (FLAKY, UPLOADER)
    assert (second.trace_id.hex() != FLAKY, second.parent_span_id) == (True, b"")
    links = {link.attributes[0].value.string_value: link for link in second.links}
    assert (links["earlier_attempt"].span_id, links["uploader"].span_id.hex()) == (first.span_id, UPLOADER)
    again = await reported.store.trace(second.trace_id.hex())
    assert f"send {reported.house.verdicts}" in {span["name"] for span in again}


async def test_errors_are_kept_and_uneventful_traces_are_not(reported: Reported) -> None:
    broken = {span["name"]: span for span in await reported.store.trace(BROKEN)}
    assert broken["decode"]["tags"]["error.type"] == "image.unsupported_format"
    assert await reported.store.trace(BORING) == []


async def test_spans_are_counted_before_they_are_sampled(reported: Reported) -> None:
    decoded: list[float] = []

    async def are_counted() -> bool:
        decoded.append(await reported.store.counted("decode"))
        return decoded[-1] >= 3 + UNEVENTFUL

    await wait_until(are_counted, description="the spans are counted", every_s=0.2)
    assert decoded[-1] == 3 + UNEVENTFUL
