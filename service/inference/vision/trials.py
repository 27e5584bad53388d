"""Questions that a model has to answer before the first image of a policy is judged."""

import math
from collections.abc import Mapping

import numpy as np

from service.core.errors import RejectedError, TransientError
from service.core.pixels import RgbPixels
from service.inference.errors import EngineConfigurationError
from service.inference.vision.patch import PATCH
from service.inference.vision.prompt import MAX_CAPTION_BYTES, Prompter
from service.inference.vision.scores import read_labels
from service.inference.vision.token_model import ModelRequest, TokenModel

# Three bytes of UTF-8 that no vocabulary has a token for: each byte is a token.
_COSTLY_CHARACTER = "\ue000"
_DRAWN_SIDE = 8 * PATCH


def largest_question(prompter: Prompter) -> ModelRequest:
    """Return the first question with the longest caption, about an image of all vision tokens that is only noise."""
    tokens = prompter.instructions.vision_tokens
    columns = math.isqrt(tokens)
    shape = (tokens // columns * PATCH, columns * PATCH, 3)
    caption = _COSTLY_CHARACTER * (MAX_CAPTION_BYTES // len(_COSTLY_CHARACTER.encode()))
    # Noise, which no image format makes smaller.
    pixels = np.random.default_rng(0).integers(0, 256, shape, np.uint8)
    return ModelRequest(
        request_id="trial/largest",
        prompt=prompter.which(caption),
        pixels=pixels,
        image_key=f"modstream-largest/{tokens}",
        adapter=prompter.instructions.adapter,
    )


async def check_form(
    model: TokenModel, prompter: Prompter, labels: Mapping[str, int], *, min_label_mass: float
) -> None:
    """Ask about a drawn picture; raise `EngineConfigurationError` if there is no answer, or labels have little of it.

    A model of another kind, or with another chat template, would answer every image that way.
    """
    instructions = prompter.instructions
    ask = ModelRequest(
        request_id="trial/form",
        prompt=prompter.which(None),
        pixels=_drawn(),
        image_key="modstream-drawn",
        adapter=instructions.adapter,
    )
    names = ", ".join(category.name for category in instructions.categories[:3])
    try:
        answer = await model.read(ask, labels)
    except (RejectedError, TransientError) as error:  # it is about no record, so nothing else handles it
        detail = f"the model does not answer the question of the policy with {names} about a drawn picture: {error}"
        raise EngineConfigurationError(setting="policy.path", detail=detail) from error
    mass = read_labels(answer).mass
    if math.isnan(mass) or mass < min_label_mass:
        detail = (
            f"the model gives the labels {mass:.2f} of its answer about a drawn picture, and images need "
            f"{min_label_mass:g} (policy with {names}): the model, its chat template or the adapter "
            f"{instructions.adapter or 'none'} does not answer in labels"
        )
        raise EngineConfigurationError(setting="engine.judging.min_label_mass", detail=detail)


def _drawn() -> RgbPixels:
    """Return a dark disc on white."""
    rows, columns = np.ogrid[:_DRAWN_SIDE, :_DRAWN_SIDE]
    centre = _DRAWN_SIDE / 2
    is_inside = (rows - centre) ** 2 + (columns - centre) ** 2 < (_DRAWN_SIDE / 4) ** 2
    return np.where(is_inside[:, :, None], np.uint8(40), np.full(3, 255, np.uint8))
