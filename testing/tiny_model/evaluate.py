"""Print what the tiny model achieves on held-out images in the engine: `python -m testing.tiny_model.evaluate`."""

import asyncio
import sys
import time
from collections.abc import Sequence
from pathlib import Path

from service.core.instructions import ModelInstructions
from service.inference.vision.token_model import TokenModel
from testing.tiny_model.held_out import Asker, Judged, altered, samples, shrunk, swapped
from testing.tiny_model.report import (
    accuracy,
    answer_accuracy,
    confusion,
    harm_accuracy,
    mean_mass,
    tag_accuracy,
    tags_schema,
    ways_table,
)
from testing.tiny_model.running import runtime
from testing.tiny_model.shapes import ADAPTED_INSTRUCTIONS, ALL_INSTRUCTIONS
from testing.tiny_model.tiny import adapter_folder, model_folder

_IMAGES = 300
_TAGGED = 100


async def main() -> None:
    """Ask the model, or one whose folder is given, and print the figures."""
    folder = Path(sys.argv[1]) if len(sys.argv) > 1 else model_folder()
    model = runtime(folder)
    await model.start()
    try:
        for instructions in ALL_INSTRUCTIONS[: 3 if len(sys.argv) < 3 else 1]:
            await _evaluate(model, instructions)
        if adapter_folder().exists():
            await _evaluate(model, ADAPTED_INSTRUCTIONS)
    finally:
        await model.stop()


async def _evaluate(model: TokenModel, instructions: ModelInstructions) -> None:
    asker = Asker(model, instructions)
    started_s = time.monotonic()
    judged = await asker.judge(samples(_IMAGES), one_by_one=True)
    attributes, adapter = instructions.attributes is not None, instructions.adapter
    _report(f"\n{instructions.language}, attributes {attributes}, adapter {adapter}")
    _report(f"{time.monotonic() - started_s:.0f} s for {_IMAGES} images")
    _report(f"right labels {accuracy(judged, instructions):.3f}, of harm {harm_accuracy(judged, instructions):.3f}")
    _report(f"right yes and no {answer_accuracy(judged, instructions):.3f}, label mass {mean_mass(judged):.4f}")
    for change in (swapped, shrunk):
        changed = await asker.judge(altered(samples(_IMAGES), change))
        _report(f"right labels of harm, {change.__name__}: {harm_accuracy(changed, instructions):.3f}")
    if instructions.attributes is not None:
        _report(f"right tags {await _tags(asker, instructions)}")
    _report(f"{confusion(judged, instructions)}\n\n{ways_table(await _by_count(asker, judged), instructions)}")


async def _tags(asker: Asker, instructions: ModelInstructions) -> object:
    if instructions.attributes is None:
        return {}
    schema, tagged = tags_schema(instructions.attributes), samples(_TAGGED)
    texts = await asyncio.gather(*(asker.write_tags(sample, schema) for sample in tagged))
    return tag_accuracy(list(zip(tagged, texts, strict=True)), instructions)


async def _by_count(asker: Asker, judged: Sequence[Judged]) -> dict[str, Sequence[Judged]]:
    one = await asker.judge(samples(_IMAGES // 2, harmful=1), one_by_one=True)
    two = await asker.judge(samples(_IMAGES // 2, harmful=2), one_by_one=True)
    return {"mixed": judged, "one category": one, "two categories": two}


def _report(line: str) -> None:
    sys.stdout.write(f"{line}\n")
    sys.stdout.flush()


if __name__ == "__main__":
    asyncio.run(main())
