"""`python -m benchmarks.encodings`: which questions make vLLM encode an image again, under load, with the tiny model.

vLLM keeps the encoded images of one step. Images are judged as fast as the engine takes them; a share of them gets
follow-up questions, or tags. A line a load: how many had them, and how many of those were encoded again for them.
"""

import asyncio
import os
import tempfile
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from benchmarks.vision.model import SIDE, STALL_S, prepare_for_a_cpu, require_engine, tiny_settings
from service.inference.vision.engine import VisionEngine
from service.settings.engine import JudgingSettings
from testing.asking import INSTRUCTIONS, engine_request

IMAGES = 200
# The step of a card like an L4: as many images as its encoder cache holds and not one more.
STEP_TOKENS = 2048
# Always, or never, whatever the first answer says.
ASKED_AGAIN, LEFT_ALONE = (replace(INSTRUCTIONS, follow_up_threshold=threshold) for threshold in (0.0, 2.0))


@dataclass(frozen=True, slots=True)
class Load:
    """Shares of the images."""

    follow_ups: float = 0.0
    tags: float = 0.0


LOADS = (
    Load(follow_ups=0.05),
    Load(follow_ups=0.2),
    Load(follow_ups=1.0),
    Load(tags=0.02),
    Load(tags=0.1),
    Load(tags=0.3),
)


async def measure(counts: Path) -> None:
    """Start the engine, and print a line for each load."""
    from service.inference.vllm.model import VllmModel  # noqa: PLC0415 - where vLLM is missing it cannot be imported

    counting = {"scheduler_cls": "benchmarks.encodings.counting.CountingScheduler"}
    settings = tiny_settings().model_copy(update={"max_batched_tokens": STEP_TOKENS, "engine_args": counting})
    model = VllmModel(settings, stall_s=STALL_S, on_failure=print)
    # The tiny model's answers to the default policy mean nothing; they count all the same.
    engine = VisionEngine(model, JudgingSettings(max_tag_tokens=40, min_label_mass=0.0), kind="vllm")
    await engine.start()
    try:
        for instructions in (ASKED_AGAIN, LEFT_ALONE):
            await engine.prepare(instructions)
        for number, load in enumerate(LOADS):
            before = _encoded(counts)
            asked, tagged = await _judge(engine, load, number)
            print(_line(load, asked, tagged, _encoded(counts) - before), flush=True)
    finally:
        await engine.stop()


async def _judge(engine: VisionEngine, load: Load, number: int) -> tuple[int, int]:
    """Judge the images side by side; return how many were asked about again, and how many got tags."""
    chance = np.random.default_rng(number)
    drawn = chance.random((IMAGES, 2)) < (load.follow_ups, load.tags)
    picture = chance.integers(0, 256, (SIDE, SIDE, 3), np.uint8)

    async def one(place: int) -> None:
        again, tags = map(bool, drawn[place])
        request = engine_request(picture, instructions=ASKED_AGAIN if again else LEFT_ALONE, wants_tags=tags)
        name = f"{number}-{place}"
        await engine.judge(replace(request, request_id=name, image_key=name, deadline_s=request.deadline_s + place))

    await asyncio.gather(*map(one, range(IMAGES)))
    return int(drawn[:, 0].sum()), int(drawn[:, 1].sum())


def _encoded(counts: Path) -> int:
    return len(counts.read_text(encoding="utf-8").splitlines())


def _line(load: Load, asked: int, tagged: int, encoded: int) -> str:
    what = f"{asked} with follow-ups" if load.follow_ups else f"{tagged} with tags"
    return f"{IMAGES} images, {what}: {encoded - IMAGES} encoded again"


def main() -> None:
    """Measure with a file for the counts."""
    require_engine()
    prepare_for_a_cpu()
    with tempfile.TemporaryDirectory() as folder:
        counts = Path(folder) / "encodings"
        counts.touch()
        os.environ["MODSTREAM_ENCODINGS"] = str(counts)  # `counting` reads it in the engine's process
        asyncio.run(measure(counts))


if __name__ == "__main__":
    main()
