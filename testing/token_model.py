"""A language model for tests that says what a script says."""

import asyncio
import hashlib
import math
import random
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from service.inference.errors import EngineNotRunningError, UnknownAdapterError
from service.inference.vision.token_model import GeneratedText, LabelSource, ModelFacts, ModelRequest

Reads = Callable[[ModelRequest, Sequence[str]], Mapping[str, float]]
"""Which words are said, with their probabilities; words left out have none."""

Writes = Callable[[ModelRequest, Mapping[str, Any]], str]
"""What is written, before it is cut off."""

Holds = Callable[[ModelRequest], bool]
"""Which questions wait for the test."""

PIECE_PROBABILITY = 0.9


def _chance(ask: ModelRequest) -> random.Random:
    """Equal pixels, questions and adapters get equal answers, as from a real model."""
    reported = f"{ask.prompt}{ask.adapter}".encode(errors="replace")
    return random.Random(hashlib.sha256(reported + ask.pixels.tobytes()).digest())


def guess(ask: ModelRequest, words: Sequence[str]) -> Mapping[str, float]:
    """Say any of the words, the first one likelier than all others together."""
    chance = _chance(ask)
    weights = [chance.random() * (1 + len(words) * (place == 0)) for place in range(len(words))]
    return {word: 0.99 * weight / sum(weights) for word, weight in zip(words, weights, strict=True)}


def fill_in(ask: ModelRequest, json_schema: Mapping[str, Any]) -> str:
    """Write any answer that the schema describes."""
    chance = _chance(ask)
    filled = (f'"{key}":{_value(each, chance)}' for key, each in json_schema["properties"].items())
    return "{" + ",".join(filled) + "}"


def _value(schema: Mapping[str, Any], chance: random.Random) -> str:
    if schema["type"] == "array":
        return f"[{_value(schema['items'], chance)}]"
    return f'"{chance.choice(schema.get("enum", ["paint", "noise"]))}"'


class ScriptedModel:
    """Answers after `busy_s`, and what `holds` picks once the test opens `hold`; a token is a character."""

    def __init__(
        self,
        *,
        reads: Reads = guess,
        writes: Writes = fill_in,
        concurrency: int = 4,
        adapters: frozenset[str] = frozenset(),
        label_source: LabelSource = "exact",
        busy_s: float = 0.0,
        hold: asyncio.Event | None = None,
        holds: Holds = lambda _: True,
        passes_trials: bool = True,
    ) -> None:
        self._reads = reads
        self._writes = writes
        self._facts = ModelFacts("scripted", "1", "fp64", concurrency, label_source)
        self._adapters = adapters
        self._busy_s = busy_s
        self._hold = hold
        self._holds = holds
        self._passes_trials = passes_trials
        self._in_flight: set[asyncio.Task[None]] = set()
        self._is_running = False
        self.asks: list[ModelRequest] = []
        """In the order of arrival, without their pixels."""
        self.most_in_flight = 0
        self.reachable = True

    @property
    def in_flight(self) -> int:
        """Requests that it is busy with."""
        return len(self._in_flight)

    def is_reachable(self) -> bool:
        """Return what a test said."""
        return self.reachable

    async def start(self) -> ModelFacts:
        """Nothing to load."""
        self._is_running = True
        return self._facts

    async def prepare(
        self, adapter: str | None, words: Sequence[str], largest: ModelRequest | None = None
    ) -> Mapping[str, int]:
        """Know the adapters it was made with."""
        if adapter is not None and adapter not in self._adapters:
            raise UnknownAdapterError(name=adapter, detail="the script knows no such adapter")
        return {word: ord(word[0]) for word in words}

    async def read(self, ask: ModelRequest, words: Mapping[str, int]) -> Mapping[str, float]:
        """Say what the script says. Trials before the first image are answered in form, if not wanted otherwise."""
        if self._passes_trials and ask.request_id.startswith("trial/"):
            return {word: -math.inf if place else 0.0 for place, word in enumerate(words)}
        await self._think(ask)
        said = self._reads(ask, tuple(words))
        return {word: math.log(said[word]) if said.get(word) else -math.inf for word in words}

    async def write(self, ask: ModelRequest, json_schema: Mapping[str, Any], *, max_tokens: int) -> GeneratedText:
        """Write what the script says, and be equally sure of every character."""
        await self._think(ask)
        text = self._writes(ask, json_schema)[:max_tokens]
        return GeneratedText(text, [(character, math.log(PIECE_PROBABILITY)) for character in text])

    async def stop(self) -> None:
        """Requests in flight end with `EngineNotRunningError`."""
        self._is_running = False
        for thought in self._in_flight:
            thought.cancel()

    async def _think(self, ask: ModelRequest) -> None:
        if not self._is_running:
            raise EngineNotRunningError
        self.asks.append(replace(ask, pixels=np.zeros((0, 0, 3), np.uint8)))
        thought = asyncio.create_task(self._pass_time(ask), name="thought")
        self._in_flight.add(thought)
        self.most_in_flight = max(self.most_in_flight, len(self._in_flight))
        try:
            await asyncio.wait([thought])
        finally:
            thought.cancel()
            self._in_flight.discard(thought)
        if not self._is_running:
            raise EngineNotRunningError

    async def _pass_time(self, ask: ModelRequest) -> None:
        await asyncio.sleep(self._busy_s)
        if self._hold is not None and self._holds(ask):
            await self._hold.wait()
