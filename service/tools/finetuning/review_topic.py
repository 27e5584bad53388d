"""Reviews from the topic into a file of JSON lines: what is committed there now."""

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import BinaryIO

from service.core.errors import RejectedError
from service.events.review_codec import decode_review
from service.kafka.connection import KafkaConnection
from service.kafka.reader import open_snapshot
from service.settings.settings import Settings

TOPIC = "images.reviews"
"""The topic's name in the contract."""


@dataclass(slots=True)
class Collected:
    """What was read of the topic."""

    reviews: int = 0
    skipped: Counter[str] = field(default_factory=Counter)
    """Records that are no reviews, by reason code."""


async def collect_reviews(
    settings: Settings, topic: str, file: BinaryIO, on_progress: Callable[[int, int], None]
) -> Collected:
    """Write a line for each review that is committed in the topic now; raises `FatalError` and `OSError`."""
    found = Collected()
    async with open_snapshot(KafkaConnection(settings.kafka), topic, setting="--topic", since=None) as snapshot:
        async for records in snapshot.batches():
            for record in records:
                try:
                    review = decode_review(record)
                except RejectedError as error:
                    found.skipped[error.reason] += 1
                    continue
                file.write(review.model_dump_json(exclude_defaults=True).encode() + b"\n")
                found.reviews += 1
            on_progress(snapshot.passed, snapshot.total)
    return found
