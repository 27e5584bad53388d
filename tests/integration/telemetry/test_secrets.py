"""Secrets go in by every way that there is; logs, spans and our own headers are searched for them on every way out."""

import base64
import io
import logging
from collections.abc import AsyncIterator, Iterator, Mapping, Sequence
from contextlib import asynccontextmanager
from typing import Any, Literal

import orjson
import pytest
import structlog
from aiohttp import web
from PIL import Image
from PIL.PngImagePlugin import PngInfo
from pydantic import SecretStr

from service.core.errors import FatalError, ModstreamError
from service.core.records import OutgoingRecord, SourceRecord
from service.delivery.attempts import Attempts
from service.inference.engine import EngineOutput, EngineRequest
from service.inference.openai.model import OpenAIModel
from service.kafka.publisher import open_publisher
from service.media.decode_pool import ImageDecoder
from service.media.decode_queue import DecodeQueue
from service.media.fetch.fetcher import ImageFetcher
from service.moderation.engine_client import EngineClient
from service.moderation.moderate import Moderator
from service.policy.loader import load_policies
from service.settings.delivery import RetrySettings
from service.settings.kafka import KafkaSettings
from service.settings.media import DecodeSettings, FetchSettings, S3Settings
from service.settings.monitoring import TelemetrySettings
from service.settings.openai import OpenAISettings
from service.settings.settings import Settings
from service.telemetry.commit_trace import committing
from service.telemetry.logs import configure_logging
from service.telemetry.record_trace import RecordTracer
from service.telemetry.sdk_spans import new_encoder
from testing.engine import PaintedEngine
from testing.http_server import serving
from testing.resources import NotedRecord
from testing.spans import KeptSpans

QUERY, PASSWORD, CAPTION = "Signature=5ecre7", "pa55word", "a capti0n of one's own"
S3_KEY, S3_SECRET, API_KEY, KAFKA_PASSWORD = "AKIDHIDDEN", "s3-h1dden", "sk-h1dden", "kafka-h1dden"
IN_IMAGE = "hidden-in-the-1mage"
IMAGE_TEXT = base64.b64encode(b"\x00" + IN_IMAGE.encode() + b"\x00").decode()
SECRETS = (QUERY, "5ecre7", PASSWORD, CAPTION, S3_KEY, S3_SECRET, API_KEY, KAFKA_PASSWORD, IN_IMAGE, IMAGE_TEXT)

Path = Literal["good", "userinfo", "missing", "busy", "broken", "s3", "inline"]


class IndiscreetError(Exception):
    """What a library could raise, with everything in its words."""


class IndiscreetEngine(PaintedEngine):
    """Fails with all that it was reported."""

    async def judge(self, request: EngineRequest) -> EngineOutput:
        """Fail."""
        raise IndiscreetError(f"{request.caption} {request.pixels.tobytes()!r} https://u:{PASSWORD}@host/?{QUERY}")


class Outputs:
    """Everything that leaves the process for others than the uploader and the readers of outcomes."""

    def __init__(self, stream: io.StringIO) -> None:
        self.stream = stream
        self.kept = KeptSpans()
        self.outcomes: list[OutgoingRecord] = []

    def text(self, source: SourceRecord) -> str:
        """Return all of it; a dead letter keeps the uploader's value, key and headers by contract."""
        headers = [header for record in self.outcomes for header in record.headers if header not in source.headers]
        verdicts = [record.value for record in self.outcomes if record.topic == "images.verdicts"]
        spans = new_encoder("1").encode(self.kept.spans)
        return "\n".join([self.stream.getvalue(), repr(headers), repr(verdicts), spans.decode("latin-1")])


@pytest.fixture(params=["json", "console"])
def outputs(request: pytest.FixtureRequest) -> Iterator[Outputs]:
    """Log all that can be logged."""
    root, ours = logging.getLogger(), logging.getLogger("service")
    before = (root.handlers, root.level, ours.level)
    stream = io.StringIO()
    logging.getLogger("aiohttp.access").disabled = True  # of the servers that stand in for others'
    configure_logging(TelemetrySettings(log_level="debug", log_format=request.param), stream=stream)
    yield Outputs(stream)
    logging.getLogger("aiohttp.access").disabled = False
    root.handlers, root.level, ours.level = before
    structlog.reset_defaults()
    structlog.contextvars.clear_contextvars()


def picture() -> bytes:
    """Return an image whose file holds a secret in the clear."""
    file, facts = io.BytesIO(), PngInfo()
    facts.add_text("Comment", f"\x00{IN_IMAGE}\x00")
    Image.new("RGB", (32, 32), "black").save(file, "PNG", pnginfo=facts)
    return file.getvalue()


async def answer(request: web.BaseRequest) -> web.StreamResponse:
    statuses = {"/missing": 404, "/busy": 500, "/bucket/s3": 403}
    return web.Response(status=statuses.get(request.path, 200), body=picture())


def settings(port: int, *, tiers: tuple[str, ...]) -> Settings:
    s3 = S3Settings(
        buckets=("bucket",),
        endpoint=f"http://127.0.0.1:{port}",
        access_key_id=S3_KEY,
        secret_access_key=SecretStr(S3_SECRET),
    )
    fetch = FetchSettings(allow_networks=("127.0.0.0/8",), s3=s3)
    return Settings.model_validate(
        {"retry": RetrySettings(max_attempts=2, tiers=tiers), "media": {"fetch": fetch, "decode": {"workers": 1}}}
    )


def upload(path: Path, port: int) -> SourceRecord:
    image: Mapping[str, str] = {
        "s3": {"url": "s3://bucket/s3"},
        "inline": {"inline": IMAGE_TEXT, "media_type": "image/png"},
        "userinfo": {"url": f"http://user:{PASSWORD}@127.0.0.1:{port}/good?{QUERY}"},
    }.get(path) or {"url": f"http://127.0.0.1:{port}/{path}?{QUERY}"}
    event = {"image_id": "42", "image": image, "caption": CAPTION, "tasks": ["moderation", "tags"]}
    trace = ("traceparent", b"00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01")
    return SourceRecord("images.uploaded", 0, 7, 0, b"key", orjson.dumps(event), (trace,))


@asynccontextmanager
async def attempts(outputs: Outputs, chosen: Settings, engine: PaintedEngine) -> AsyncIterator[Attempts]:
    async def at_once(_delay_s: float) -> None:
        """Do not wait."""

    decoder = ImageDecoder(DecodeSettings(workers=1))
    await decoder.start()
    async with ImageFetcher(chosen.media.fetch) as fetcher:
        handler = Moderator(
            fetcher=fetcher,
            decoder=DecodeQueue(decoder),
            engine_client=EngineClient(engine, timeout_s=5.0),
            policies=load_policies(chosen.policy),
            topics=chosen.topics,
        )
        tracer = RecordTracer(outputs.kept.sink(), group_id="group")
        yield Attempts(chosen, handler, tracer=tracer, sleep=at_once)
    await decoder.close()


async def judged(outputs: Outputs, path: Path, *, tiers: tuple[str, ...] = ()) -> tuple[SourceRecord, Sequence[str]]:
    """Send an image down a path; return its record, and the topics of its outcomes."""
    engine = IndiscreetEngine() if path == "broken" else PaintedEngine()
    async with serving(answer) as images:
        chosen = settings(images.port, tiers=tiers)
        source = upload(path, images.port)
        async with attempts(outputs, chosen, engine) as way:
            resolution = await way.resolve(NotedRecord(source))
    outputs.outcomes += resolution.outcomes
    with committing([record.span for record in resolution.outcomes], partition="images.uploaded/0", records=1):
        pass
    return source, [record.topic for record in resolution.outcomes]


@pytest.mark.parametrize(
    ("path", "tiers", "topics"),
    [
        ("good", (), ["images.verdicts", "images.tags"]),
        ("userinfo", (), ["images.uploaded.dead"]),
        ("missing", (), ["images.uploaded.dead"]),
        ("busy", (), ["images.uploaded.dead"]),
        ("busy", ("30s",), ["images.uploaded.retry.30s"]),
        ("s3", (), ["images.uploaded.dead"]),
        ("inline", (), ["images.uploaded.dead"]),
        ("broken", (), ["images.uploaded.dead"]),
        ("broken", ("30s",), ["images.uploaded.retry.30s"]),
    ],
)
async def test_no_secret_of_an_upload_gets_out(
    outputs: Outputs, path: Path, tiers: tuple[str, ...], topics: Sequence[str]
) -> None:
    source, reached = await judged(outputs, path, tiers=tiers)
    assert reached == topics
    text = outputs.text(source)
    assert "process images.uploaded" in text
    if path != "good":
        assert "record." in text
    assert [secret for secret in SECRETS if secret in text] == []


async def test_a_broken_handler_is_reported_by_type_and_place(outputs: Outputs) -> None:
    await judged(outputs, "broken")
    logged = outputs.stream.getvalue()
    assert "IndiscreetError" in logged
    assert "in judge" in logged or '"name":"judge"' in logged


async def test_the_servers_key_is_sent_to_no_other_host(outputs: Outputs) -> None:
    async def refuse(request: web.BaseRequest) -> web.StreamResponse:
        words = {"error": {"message": f"the key '{request.headers['Authorization']}' is unknown"}}
        return web.json_response(words, status=401)

    async with serving(refuse) as server:
        model = OpenAIModel(OpenAISettings(base_urls=(server.url,), api_key=SecretStr(API_KEY)))
        with pytest.raises(FatalError) as caught:
            await model.start()
        await model.stop()
    assert_unreported(outputs, caught.value)


async def test_the_brokers_password_is_sent_to_no_other_host(outputs: Outputs) -> None:
    chosen = KafkaSettings(
        bootstrap_servers="127.0.0.1:9",
        security_protocol="SASL_PLAINTEXT",
        sasl_username="user",
        sasl_password=SecretStr(KAFKA_PASSWORD),
    )
    with pytest.raises(FatalError) as caught:
        async with open_publisher(chosen):
            pass
    assert_unreported(outputs, caught.value)


def assert_unreported(outputs: Outputs, error: ModstreamError) -> None:
    log: Any = structlog.get_logger("service.tests")
    log.critical("service.fatal", error=error)
    log.exception("service.fatal", exc_info=error)
    reported = outputs.stream.getvalue() + str(error)
    assert "service.fatal" in reported
    assert [secret for secret in SECRETS if secret in reported] == []
