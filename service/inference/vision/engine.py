"""The two-stage judgement by a vision-language model, wherever it runs.

Stage 1 asks which of the policy's categories fits best, and reads every category's share of the answer off one
generated token: that is all that a harmless image costs. What reaches the follow-up threshold is asked about further,
over the same beginning of the prompt and the same image, so that the model's caches hold all but the question. Tags do
not depend on the scores, so they are asked for beside the first question.
`service.inference.vision.follow_ups` says why a list of categories comes first and single categories after it.
"""

import asyncio
import itertools
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace

import structlog

from service.core.errors import RejectedError
from service.core.instructions import ModelInstructions
from service.inference.chat import ChatServer
from service.inference.engine import EngineDescription, EngineLoad, EngineOutput, EngineRequest, Tag
from service.inference.errors import EngineNotRunningError
from service.inference.fail_together import fail_together
from service.inference.vision.follow_ups import all_follow_ups, follow_ups, shares_by_category
from service.inference.vision.preparation import Preparation, prepared
from service.inference.vision.prompt import prompter
from service.inference.vision.questions import Questions
from service.inference.vision.request_limiter import RequestLimiter
from service.inference.vision.scores import LabelReading, without_prior
from service.inference.vision.token_model import ModelFacts, TokenModel
from service.settings.engine import JudgingSettings
from service.telemetry.instruments import ENGINE_LABEL_MASS

log = structlog.get_logger(__name__)

CheckAdapter = Callable[[str, ModelFacts, str], None]
"""Takes an adapter's name, the model's facts and the hash of the prompts. It may read files, and raises
`EngineConfigurationError` for an adapter that was trained for others."""

OFF_FORM = "answer_off_form"
"""Why there are no scores: the model would rather have said something else than any label."""


class VisionEngine:
    """Judges images with a `TokenModel`. `kind` names its runtime in verdicts."""

    def __init__(
        self,
        model: TokenModel,
        settings: JudgingSettings,
        *,
        kind: str,
        chat: ChatServer | None = None,
        check_adapter: CheckAdapter = lambda _name, _facts, _prompt_hash: None,
    ) -> None:
        """`chat` is the same model for chat completions; None for a model without."""
        self.chat = chat
        self._check_adapter = check_adapter
        self._model = model
        self._settings = settings
        self._kind = kind
        self._facts: ModelFacts | None = None
        self._limiter: RequestLimiter | None = None
        self._preparations: dict[ModelInstructions, Preparation] = {}
        self._holders: Counter[ModelInstructions] = Counter()
        """How many calls of `prepare` no call of `forget` has undone."""
        self._numbers = itertools.count()

    def describe(self, instructions: ModelInstructions) -> EngineDescription:
        """Return the engine's description for prepared instructions."""
        return self._preparation(instructions).description

    def load(self) -> EngineLoad:
        """Return the requests that have a place in the model, and those that wait."""
        limiter, is_reachable = self._limiter, self._model.is_reachable()
        return EngineLoad(limiter.taken, limiter.waiting, is_reachable) if limiter else EngineLoad(0, 0, is_reachable)

    async def start(self) -> None:
        """Start the model."""
        self._facts = await self._model.start()
        self._preparations.clear()
        self._holders.clear()
        self._limiter = RequestLimiter(self._facts.concurrency)

    async def prepare(self, instructions: ModelInstructions) -> None:
        """Work out the instructions' prompts and tokens, and make its adapter usable; once for each instructions.

        Raises `LabelCollisionError`, `TooManyCategoriesError` or `UnknownAdapterError` if it cannot be answered, and
        `EngineConfigurationError` for an adapter that was trained for another model or for other questions.
        """
        if self._facts is None:
            raise EngineNotRunningError
        if instructions not in self._preparations:
            if instructions.adapter is not None:
                asked = prompter(instructions).hash
                await asyncio.to_thread(self._check_adapter, instructions.adapter, self._facts, asked)
            self._preparations[instructions] = await prepared(
                instructions, self._model, self._facts, self._settings, kind=self._kind
            )
        self._holders[instructions] += 1

    def forget(self, instructions: ModelInstructions) -> None:
        """Free the instructions' prompts and tokens with the last of those who had them prepared.

        An adapter stays loaded: the settings name all there can be.
        """
        self._holders[instructions] -= 1
        if self._holders[instructions] <= 0:
            del self._holders[instructions]
            self._preparations.pop(instructions, None)

    async def judge(self, request: EngineRequest) -> EngineOutput:
        """Ask for the category that fits best, and for tags beside it if they are wanted; then follow-ups."""
        questions = self._questions(request)
        if not request.wants_scores:
            tags, is_complete = await questions.tags() if request.wants_tags else ({}, True)
            return EngineOutput(None, tags, is_complete)
        if not request.wants_tags:
            return await self._scored(questions, request)
        # Both in the same step of the model: it encodes the image once. A step later it may have to do so again.
        async with fail_together() as group:
            scored = group.create_task(self._scored(questions, request), name="scores")
            tagged = group.create_task(_tags_beside_scores(questions), name="tags")
        values, is_complete = tagged.result()
        return replace(scored.result(), tags=values, tags_complete=is_complete)

    async def explain(self, request: EngineRequest, categories: Sequence[str]) -> Mapping[str, str]:
        """Request an explanation of the evidence for each category."""
        return await self._questions(request).why(categories) if categories else {}

    async def stop(self) -> None:
        """Refuse new requests, and stop the model."""
        limiter, self._limiter = self._limiter, None
        if limiter is not None:
            limiter.close()
        await self._model.stop()

    async def _scored(self, questions: Questions, request: EngineRequest) -> EngineOutput:
        """Return the scores; categories that are asked for one by one are asked for side by side."""
        reading = await questions.which()
        output = _output_of_the_list(reading, questions.preparation, self._settings)
        if not output.scores:
            return output
        if request.asks_all:
            rounds = all_follow_ups(request.instructions, self._settings)
        else:
            rounds = (follow_ups(request.instructions, output.scores, self._settings),)
        found: dict[str, float] = {}
        for asked in rounds:
            found |= await _answers(questions, asked)
        return replace(output, scores={**output.scores, **found}, asked=frozenset(found))

    def _preparation(self, instructions: ModelInstructions) -> Preparation:
        try:
            return self._preparations[instructions]
        except KeyError:
            raise EngineNotRunningError from None

    def _questions(self, request: EngineRequest) -> Questions:
        if self._limiter is None:
            raise EngineNotRunningError
        preparation = self._preparation(request.instructions)
        # A record's attempts share its request id; a model must distinguish what it still runs of an earlier one.
        request_id = f"{request.request_id}#{next(self._numbers)}"
        return Questions(self._model, self._limiter, self._settings, preparation, request, request_id=request_id)


async def _answers(questions: Questions, asked: Sequence[str]) -> Mapping[str, float]:
    """Ask for categories side by side; return the score of each that was answered."""
    async with fail_together() as group:
        answers = {name: group.create_task(questions.is_it(name), name=f"is it {name}") for name in asked}
    return {name: score for name, answer in answers.items() if (score := answer.result()) is not None}


def _output_of_the_list(reading: LabelReading, preparation: Preparation, settings: JudgingSettings) -> EngineOutput:
    mass = reading.mass if preparation.mass_is_known else None
    if mass is not None:
        ENGINE_LABEL_MASS.record(mass)
    if mass is not None and mass < settings.min_label_mass:
        return EngineOutput(scores=None, label_mass=mass, unjudged=OFF_FORM)
    shares = shares_by_category(preparation.prompter.labels, without_prior(reading, preparation.log_prior))
    return EngineOutput(shares or None, label_mass=mass)


async def _tags_beside_scores(questions: Questions) -> tuple[Mapping[str, tuple[Tag, ...]], bool]:
    """Return the tags; if the model refuses to write them, the verdict is unaffected."""
    try:
        return await questions.tags()
    except RejectedError as error:
        log.warning("tags.refused", error=error)
        return {}, False
