"""`python -m benchmarks.peers.plain_moderation TASK`: a plain loop that validates, decodes and encodes the same.

It has what costs CPU and nothing of what protects: no limits on files, no isolation of decoders, no attempts, no
tracing, no engine, no fencing, and offsets that are committed after the outcomes instead of with them.
"""

import asyncio
import base64
import hashlib
import io
from concurrent.futures import ProcessPoolExecutor

import numpy as np
import uvloop
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, ConsumerRecord
from PIL import Image

from benchmarks.peers.measured import Meter, Task, parse_task
from schemas.base import now_utc
from schemas.image_uploaded import ImageInlineV1, ImageUploadedV1
from service.core.records import OutgoingRecord, SourceRecord
from service.events.codec import encode_verdict
from service.inference.engine import EngineDescription
from service.inference.rehearsal_engine import NOTHING_JUDGED, RehearsalEngine
from service.media.types import DecodedImage
from service.moderation import outcomes
from service.moderation.outcomes import Subject
from service.policy.judged import JudgedImage, decide_image
from service.policy.loader import load_policies
from service.settings.engine import RehearsalSettings
from service.settings.settings import PolicySettings

CONCURRENCY = 256
BATCH_RECORDS = 512
POLL_MS = 200


def decode(data: bytes) -> tuple[str, int, int, bytes]:
    """Return a file's hash, its size, and its pixels; runs in a pool's process."""
    image = Image.open(io.BytesIO(data)).convert("RGB")
    return hashlib.sha256(data).hexdigest(), image.width, image.height, image.tobytes()


class PlainLoop:
    """Consumes, validates, decodes, encodes, produces, commits."""

    def __init__(
        self, consumer: AIOKafkaConsumer, producer: AIOKafkaProducer, pool: ProcessPoolExecutor, task: Task
    ) -> None:
        self._consumer = consumer
        self._producer = producer
        self._pool = pool
        self._target = task.target
        self._meter = Meter(task)
        self._slots = asyncio.Semaphore(CONCURRENCY)
        self._policy = load_policies(PolicySettings()).select(None)
        self._engine: EngineDescription = RehearsalEngine(RehearsalSettings()).describe(self._policy.instructions)

    async def run(self) -> None:
        """Work until all events are done."""
        while not self._meter.finished.is_set():
            batches = await self._consumer.getmany(timeout_ms=POLL_MS, max_records=BATCH_RECORDS)
            records = [record for batch in batches.values() for record in batch]
            if records:
                self._meter.begin()
                await asyncio.gather(*await asyncio.gather(*(self._handle(record) for record in records)))
                await self._consumer.commit()
                self._meter.done(len(records))

    async def _handle(self, record: ConsumerRecord) -> asyncio.Future[object]:
        source = SourceRecord(
            record.topic, record.partition, record.offset, record.timestamp, record.key, record.value, record.headers
        )
        async with self._slots:
            event = ImageUploadedV1.model_validate_json(record.value)
            subject = Subject(source, 1, event, await self._decode(event))
            outcome = self._verdict(subject)
            written: asyncio.Future[object] = await self._producer.send(
                self._target, outcome.value, outcome.key, headers=list(outcome.headers)
            )
            return written

    async def _decode(self, event: ImageUploadedV1) -> DecodedImage:
        if not isinstance(event.image, ImageInlineV1):
            raise TypeError("the benchmark's images are inline")
        data = base64.b64decode(event.image.inline)
        loop = asyncio.get_running_loop()
        sha256, width, height, pixels = await loop.run_in_executor(self._pool, decode, data)
        frame = np.frombuffer(pixels, dtype=np.uint8).reshape(height, width, 3)
        return DecodedImage(sha256, width, height, len(data), "image/jpeg", frames_total=1, frames=(frame,))

    def _verdict(self, subject: Subject) -> OutgoingRecord:
        verdict = outcomes.verdict(
            subject,
            engine=self._engine,
            outputs=[NOTHING_JUDGED],
            judged=JudgedImage(()),
            policy=self._policy,
            decided=decide_image(self._policy, JudgedImage(())),
            explanations={},
            timings_ms={},
            moderated_at=now_utc(),
        )
        return encode_verdict(verdict, topic=self._target, source=subject.record)


async def work(task: Task) -> None:
    """Run the loop with the same compression and the same acknowledgements as the service."""
    consumer = AIOKafkaConsumer(
        task.source,
        bootstrap_servers=task.address,
        group_id=task.group_id,
        enable_auto_commit=False,
        auto_offset_reset="earliest",
    )
    producer = AIOKafkaProducer(bootstrap_servers=task.address, acks="all", compression_type="gzip")
    with ProcessPoolExecutor() as pool:
        async with producer, consumer:
            await PlainLoop(consumer, producer, pool, task).run()


if __name__ == "__main__":
    uvloop.run(work(parse_task()))
