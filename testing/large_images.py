"""`python -m testing.large_images URL COUNT`: judges one image COUNT times, and prints the memory that it took.

The service's own parts on a stream in memory, in a process of its own, whose memory can be measured. Prints resident
MiB before the first image and at the highest, then the images that were judged.
"""

import asyncio
import sys

import orjson

from service.delivery.processor import Processor
from service.delivery.window import images_bytes
from service.inference.factory import build_engine
from service.media.decode_pool import ImageDecoder
from service.media.decode_queue import DecodeQueue
from service.media.fetch.fetcher import ImageFetcher
from service.media.image_memory import ImageMemory
from service.moderation.engine_client import EngineClient
from service.moderation.moderate import Moderator
from service.moderation.reading import read_upload
from service.policy.loader import load_policies
from service.runtime.memory import give_large_blocks_back
from service.settings.engine import EngineSettings, RehearsalSettings
from service.settings.media import DecodeSettings, FetchSettings, MediaSettings
from service.settings.settings import Settings
from testing.handlers import committed
from testing.memory_stream import MemoryStream, record
from testing.peak_memory import peak_memory_mib

SETTINGS = Settings(
    engine=EngineSettings(kind="rehearsal", rehearsal=RehearsalSettings(batch_s=0.01)),
    media=MediaSettings(
        fetch=FetchSettings(allow_networks=("127.0.0.0/8",), timeout_s=60), decode=DecodeSettings(workers=2)
    ),
)


async def judge(url: str, count: int) -> None:
    """Judge all of them at once, as far as the window lets."""
    value = orjson.dumps({"image_id": "42", "image": {"url": url}})
    stream = MemoryStream([record(offset, value=value) for offset in range(count)])
    engine = build_engine(SETTINGS.engine)
    decoder = ImageDecoder(SETTINGS.media.decode)
    await engine.start()
    await decoder.start()
    async with ImageFetcher(SETTINGS.media.fetch) as fetcher:
        moderator = Moderator(
            fetcher=fetcher,
            decoder=DecodeQueue(decoder),
            engine_client=EngineClient(engine, timeout_s=60),
            policies=load_policies(SETTINGS.policy),
            topics=SETTINGS.topics,
            memory=ImageMemory(images_bytes(SETTINGS.window)),
        )
        before_mib = peak_memory_mib()
        processor = Processor(SETTINGS, moderator, read=read_upload, connect=stream.connect)
        run = asyncio.create_task(processor.run())
        await committed(stream, count, timeout_s=300)
        processor.drain()
        await run
    judged = sum(outcomes[0].topic == SETTINGS.topics.verdicts for outcomes in stream.committed.values())
    sys.stdout.write(f"{before_mib:.0f} {peak_memory_mib():.0f} {judged}\n")
    await decoder.close()
    await engine.stop()


if __name__ == "__main__":
    give_large_blocks_back()
    asyncio.run(judge(sys.argv[1], int(sys.argv[2])))
