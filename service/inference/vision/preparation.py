"""Prepares instructions once, before their first image."""

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from service.core.instructions import ModelInstructions
from service.inference.engine import EngineDescription
from service.inference.errors import VisionBudgetError
from service.inference.vision import label_prior, tagging, trials
from service.inference.vision.follow_ups import calibration
from service.inference.vision.image_input import image_spec, preprocessing
from service.inference.vision.labels import NO_FORMS, YES_FORMS, check_first_tokens, forms, label_map_hash
from service.inference.vision.prompt import Prompter, prompter
from service.inference.vision.scores import LogPrior
from service.inference.vision.token_model import ModelFacts, TokenModel
from service.settings.engine import JudgingSettings


@dataclass(frozen=True, slots=True)
class Preparation:
    """The instructions' prompts, the tokens of their answers, and the engine's description."""

    prompter: Prompter
    labels: Mapping[str, int]
    """The token that each category's label begins with."""
    yes: Mapping[str, int]
    """The tokens that the forms of yes begin with."""
    no: Mapping[str, int]
    tag_schema: Mapping[str, Any]
    """Empty for the instructions without attributes."""
    max_tag_tokens: int
    description: EngineDescription
    log_prior: LogPrior
    """Of the labels; empty where priors count as equal."""

    @property
    def mass_is_known(self) -> bool:
        """Whether the probability of answers other than the labels is known."""
        return self.description.label_source != "allowed"


async def prepared(
    instructions: ModelInstructions, model: TokenModel, facts: ModelFacts, settings: JudgingSettings, *, kind: str
) -> Preparation:
    """Prepare a started model for the instructions.

    Raises `LabelCollisionError`, `TooManyCategoriesError`, `UnknownAdapterError` or `VisionBudgetError` if it cannot be
    answered, and `EngineConfigurationError` if the model refuses the largest question, does not answer in labels, or
    does not show every label's probability where their prior is measured.
    """
    if facts.max_vision_tokens is not None and instructions.vision_tokens > facts.max_vision_tokens:
        raise VisionBudgetError(asked=instructions.vision_tokens, limit=facts.max_vision_tokens)
    prompts = prompter(instructions)
    words = [*prompts.labels, *YES_FORMS, *NO_FORMS]
    # In a thread: the noise of an image of all vision tokens takes the event loop up to a tenth of a second.
    largest = await asyncio.to_thread(trials.largest_question, prompts)
    tokens = await model.prepare(instructions.adapter, words, largest)
    check_first_tokens(prompts.labels, tokens)
    labels = {label: tokens[label] for label in prompts.labels}
    if facts.label_source != "allowed":
        await trials.check_form(model, prompts, labels, min_label_mass=settings.min_label_mass)
    log_prior = await _log_prior(model, prompts, labels, facts, settings)
    yes, no = forms(tokens, yes=prompts.phrases.yes, no=prompts.phrases.no)
    attributes = instructions.attributes
    return Preparation(
        prompts,
        labels=labels,
        yes=yes,
        no=no,
        tag_schema=tagging.json_schema(attributes) if attributes else {},
        max_tag_tokens=min(settings.max_tag_tokens, tagging.longest_answer(attributes)) if attributes else 0,
        description=_description(prompts, facts, settings, log_prior, kind=kind),
        log_prior=log_prior,
    )


async def _log_prior(
    model: TokenModel, prompts: Prompter, labels: Mapping[str, int], facts: ModelFacts, settings: JudgingSettings
) -> LogPrior:
    if settings.label_prior == "uniform":
        return {}
    return await label_prior.measured(model, prompts, labels, at_a_time=facts.concurrency)


def _description(
    prompts: Prompter, facts: ModelFacts, settings: JudgingSettings, log_prior: LogPrior, *, kind: str
) -> EngineDescription:
    instructions = prompts.instructions
    return EngineDescription(
        kind=kind,
        model_name=facts.name,
        model_revision=facts.revision,
        covers=frozenset(category.name for category in instructions.categories),
        hints=frozenset(),
        image_spec=image_spec(instructions.vision_tokens),
        concurrency=facts.concurrency,
        attribute_schema=instructions.attributes.name if instructions.attributes else None,
        adapter=instructions.adapter,
        precision=facts.precision,
        runtime=facts.runtime,
        prompt_hash=prompts.hash,
        label_map=label_map_hash(prompts.labels),
        label_source=facts.label_source,
        preprocessing=preprocessing(instructions.vision_tokens),
        calibration=calibration(settings, log_prior),
        explains=True,
    )
