"""What both first tries share: a consumer with its defaults, the policy as a chat, and one outcome an image.

Events are plain JSON to them, as one would read them at first.
"""

import asyncio
import json
from collections.abc import Awaitable, Callable, Sequence
from typing import Any

import orjson
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer

from benchmarks.peers.measured import Meter, Task
from service.inference.vision.prompt import prompter
from testing.tiny_model.shapes import INSTRUCTIONS

# What fits a step of the engine, and more: a batch per poll is what both keep in flight.
BATCH_RECORDS = 64
POLL_MS = 200

Chat = list[dict[str, Any]]
"""Messages in OpenAI's form."""
ModelRequest = Callable[[Sequence[Chat]], Awaitable[Sequence[str]]]
"""Answers a batch of chats with one token each."""


async def work(task: Task, ask: ModelRequest) -> None:
    """Poll, ask, publish, until all events are done; offsets are committed by the client, as they are by default."""
    meter, asker = Meter(task), prompter(INSTRUCTIONS)
    consumer = AIOKafkaConsumer(
        task.source, bootstrap_servers=task.address, group_id=task.group_id, auto_offset_reset="earliest"
    )
    producer = AIOKafkaProducer(bootstrap_servers=task.address)
    async with producer, consumer:
        while not meter.finished.is_set():
            polled = await consumer.getmany(timeout_ms=POLL_MS, max_records=BATCH_RECORDS)
            events = [orjson.loads(record.value) for records in polled.values() for record in records]
            if not events:
                continue
            meter.begin()
            answers = await ask([_chat(event, asker.system, asker.which(None).question) for event in events])
            await asyncio.gather(
                *[
                    await producer.send(task.target, _outcome(event, asker.labels.get(answer)))
                    for event, answer in zip(events, answers, strict=True)
                ]
            )
            meter.done(len(events))


def _chat(event: dict[str, Any], system: str, question: str) -> Chat:
    url = f"data:image/jpeg;base64,{event['image']['inline']}"
    content = [{"type": "image_url", "image_url": {"url": url}}, {"type": "text", "text": question}]
    return [{"role": "system", "content": system}, {"role": "user", "content": content}]


def _outcome(event: dict[str, Any], category: str | None) -> bytes:
    return json.dumps({"image_id": event["image_id"], "category": category}).encode()
