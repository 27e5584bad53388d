"""The whole service with an engine that answers at once, against a plain loop that does the same work unprotected.

Inline images of about 10 KB that already have the model's size: what is measured is validation, decoding, encoding
and Kafka. Timed from the first event to the last commit.
"""

import base64
import io
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from functools import cache

import numpy as np
import orjson
from PIL import Image

from benchmarks.contest import Contest, running_contest
from benchmarks.runner import Comparison, Contender, TimedRun
from service.inference.rehearsal_engine import IMAGE_SPEC

EVENTS = 2000
ROUNDS = 3
TARGET_RATIO = 0.7
# 512 × 512: the largest square that the rehearsal engine takes as it is.
SIDE = round(IMAGE_SPEC.max_pixels**0.5)
# Gives about 10 KB for the picture below.
JPEG_QUALITY = 30


@contextmanager
def comparisons() -> Iterator[Sequence[Comparison]]:
    """Compare the service with a plain loop."""
    with running_contest() as contest:
        yield (
            Comparison(
                "inline images of 10 KB, engine that answers at once",
                (
                    _contender(contest, "plain loop, unprotected, at least once", "benchmarks.peers.plain_moderation"),
                    _contender(contest, "modstream, exactly once", "benchmarks.peers.modstream_service", "0"),
                ),
                unit="events/s",
                target_ratio=TARGET_RATIO,
                rounds=ROUNDS,
                warm_ups=0,
            ),
        )


def upload(number: int) -> bytes:
    """Return an upload event with its image inside."""
    image = {"inline": _inline_image(), "media_type": "image/jpeg"}
    return orjson.dumps({"image_id": str(number), "image": image})


def _contender(contest: Contest, name: str, module: str, *arguments: str) -> Contender:
    def run() -> TimedRun:
        return TimedRun(EVENTS, contest.run(module, *arguments, records=EVENTS, value=upload).seconds)

    return Contender(name, run)


@cache
def _inline_image() -> str:
    """Return a picture with soft shapes and a little grain, as photographs have."""
    rng = np.random.default_rng(1)
    small = Image.fromarray(rng.integers(0, 256, (8, 8, 3), dtype=np.uint8))
    smooth = np.asarray(small.resize((SIDE, SIDE), Image.Resampling.BICUBIC), dtype=np.int16)
    grain = rng.normal(0, 3, (SIDE, SIDE, 1)).astype(np.int16)
    file = io.BytesIO()
    Image.fromarray(np.clip(smooth + grain, 0, 255).astype(np.uint8)).save(file, "JPEG", quality=JPEG_QUALITY)
    return base64.b64encode(file.getvalue()).decode()
