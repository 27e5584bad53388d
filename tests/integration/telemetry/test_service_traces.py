"""The running service: one trace from the uploader to the outcome, and logs that name the record."""

import base64
import io
import json
import signal
from pathlib import Path

from opentelemetry.proto.trace.v1.trace_pb2 import Span, Status
from PIL import Image

from service.settings.delivery import TopicSettings
from testing.otlp_receiver import Collector
from testing.service import running_service
from testing.tansu import running_tansu
from testing.topics import committed_reader, create_topics, publish

TRACE_ID = "0af7651916cd43dd8448eb211c80319c"
OTHER_TRACE_ID = "1af7651916cd43dd8448eb211c80319c"
UPLOADER_SPAN_ID = "b7ad6b7169203331"
TOPICS = TopicSettings()


def upload(image_id: str, *, image: bytes) -> bytes:
    inline = {"inline": base64.b64encode(image).decode(), "media_type": "image/png"}
    return json.dumps({"image_id": image_id, "image": inline, "tasks": ["moderation", "tags"]}).encode()


def png() -> bytes:
    file = io.BytesIO()
    Image.new("RGB", (64, 64), "teal").save(file, "PNG")
    return file.getvalue()


def traced_by(trace_id: str) -> tuple[tuple[str, bytes], ...]:
    return (("traceparent", f"00-{trace_id}-{UPLOADER_SPAN_ID}-01".encode()),)


def in_trace(spans: list[Span], trace_id: str) -> dict[str, Span]:
    return {span.name: span for span in spans if span.trace_id.hex() == trace_id}


async def test_one_trace_leads_through_the_running_service(tmp_path: Path, collector: Collector) -> None:
    with running_tansu() as broker:
        names = [TOPICS.uploads, TOPICS.verdicts, TOPICS.tags, TOPICS.dead_letters]
        await create_topics(broker, names, partitions=1)
        good = (b"1", upload("good", image=png()), traced_by(TRACE_ID))
        broken = (b"2", upload("broken", image=b"no image"), traced_by(OTHER_TRACE_ID))
        await publish(broker, TOPICS.uploads, [good, broken])
        settings = {
            "delivery": "at_least_once",
            "kafka": {"bootstrap_servers": broker, "session_timeout_s": 4.0},
            "telemetry": {"otlp_endpoint": collector.endpoint},
        }
        async with committed_reader(broker, names[1:]) as reader:
            with running_service(tmp_path, settings) as service:
                await reader.until(3)
                service.signal(signal.SIGTERM)
                assert service.wait() == 0
                lines = [json.loads(line) for line in service.log().splitlines()]
        (verdict,), (tags,) = reader.of(TOPICS.verdicts), reader.of(TOPICS.tags)

    spans = in_trace(collector.spans(), TRACE_ID)
    send_verdict, send_tags = spans[f"send {TOPICS.verdicts}"], spans[f"send {TOPICS.tags}"]
    process = spans[f"process {TOPICS.uploads}"]
    assert {"fetch", "decode", "engine", "decide"} < set(spans)
    assert process.parent_span_id.hex() == UPLOADER_SPAN_ID
    assert {span.parent_span_id for span in spans.values() if span.name != "wait engine"} == {
        process.parent_span_id, process.span_id
    }  # fmt: skip
    assert dict(verdict.headers)["traceparent"].decode() == f"00-{TRACE_ID}-{send_verdict.span_id.hex()}-01"
    assert dict(tags.headers)["traceparent"].decode() == f"00-{TRACE_ID}-{send_tags.span_id.hex()}-01"

    failed = in_trace(collector.spans(), OTHER_TRACE_ID)
    assert {name for name, span in failed.items() if span.status.code == Status.STATUS_CODE_ERROR} == {
        f"process {TOPICS.uploads}",
        "decode",
    }
    assert f"send {TOPICS.dead_letters}" in failed
    (reported,) = [line for line in lines if line["event"] == "record.dead_lettered"]
    assert (reported["reason"], reported["partition"], reported["offset"]) == ("image.unsupported_format", 0, 1)
    assert (reported["trace_id"], reported["event_id"]) == (OTHER_TRACE_ID, "broken")
    assert {"timestamp", "level", "logger"} <= set.intersection(*(set(line) for line in lines))
