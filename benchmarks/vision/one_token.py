"""One token an image against the JSON that models are usually asked for: the same images, policy and engine."""

from collections.abc import Mapping
from typing import Any

from benchmarks.runner import Comparison, Contender
from benchmarks.vision.model import RunningModel
from service.inference.vision.prompt import Prompt, prompter
from testing.asking import INSTRUCTIONS

IMAGES = 32
# A bare model goes on as long as the schema lets it; this is more than the longest answer takes.
MAX_TOKENS = 1024


def one_token(running: RunningModel) -> Comparison:
    """Compare three ways of learning which category an image shows."""
    names = [category.name for category in INSTRUCTIONS.categories]
    score = {"type": "integer", "minimum": 0, "maximum": 100}
    return Comparison(
        f"{len(names)} categories, images of 256 vision tokens",
        (
            _json(running, "JSON with a score for every category", _object(dict.fromkeys(names, score))),
            _json(running, "JSON that names one category", _object({"category": {"enum": ["none", *names]}})),
            _label(running, "one token, every category's score"),
        ),
        rounds=3,
    )


def _object(properties: Mapping[str, Any]) -> Mapping[str, Any]:
    required = list(properties)
    return {"type": "object", "properties": properties, "required": required, "additionalProperties": False}


def _json(running: RunningModel, name: str, schema: Mapping[str, Any]) -> Contender:
    prompt = Prompt(prompter(INSTRUCTIONS).system, "Which category is it? Answer as JSON.")

    async def ask() -> None:
        await running.model.write(running.ask(prompt), schema, max_tokens=MAX_TOKENS)

    return Contender(name, lambda: running.side_by_side(ask, IMAGES))


def _label(running: RunningModel, name: str) -> Contender:
    asker = prompter(INSTRUCTIONS)
    words = running.runner.run(running.model.prepare(None, list(asker.labels)))

    async def ask() -> None:
        await running.model.read(running.ask(asker.which(None)), words)

    return Contender(name, lambda: running.side_by_side(ask, IMAGES))
