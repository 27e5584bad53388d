"""The model's pass over one batch, where what rows have in common is computed once.

All images of a batch stand after the same policy text, and several questions after each image, so the text is passed
once, each image once, and each question once: a fraction of the work of whole prompts, with the same result.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from transformers import Qwen3VLForConditionalGeneration
from transformers.cache_utils import DynamicCache

from service.core.pixels import RgbPixels
from testing.tiny_model.questions import Row

_PATCH, _MERGE, _FRAMES = 16, 2, 2
# Rows come by length, so that few at a time waste little on padding.
_ROWS_A_CHUNK = 24


@dataclass(frozen=True, slots=True)
class Batch:
    """Images of one size and the questions about them."""

    prefix: Sequence[int]
    """What stands before the images, or the end of it."""
    image_place: int
    """How many tokens the whole prefix has."""
    images: Sequence[RgbPixels]
    rows: Sequence[Row]
    """The shortest first."""
    image_of_row: Sequence[int]


def target_log_probabilities(model: Qwen3VLForConditionalGeneration, batch: Batch) -> torch.Tensor:
    """Return log-probabilities over the vocabulary, shape (targets, vocabulary), in the order of rows and targets."""
    language = model.model.language_model
    start = batch.image_place
    cache = DynamicCache(config=model.config.text_config)
    before = torch.arange(start - len(batch.prefix), start).expand(3, 1, -1)
    language(
        inputs_embeds=language.embed_tokens(torch.tensor([batch.prefix])),
        position_ids=before,
        past_key_values=cache,
        use_cache=True,
    )

    height, width = (side // _PATCH // _MERGE for side in batch.images[0].shape[:2])
    cache = _picked(cache, [0] * len(batch.images))
    _see(model, batch.images, cache, _places(start, height, width))

    after = start + max(height, width)
    chunks = range(0, len(batch.rows), _ROWS_A_CHUNK)
    hidden = [_read(language, batch, cache, slice(first, first + _ROWS_A_CHUNK), after) for first in chunks]
    return torch.log_softmax(model.lm_head(torch.cat(hidden)), -1)


def _read(language: torch.nn.Module, batch: Batch, seen: DynamicCache, part: slice, start: int) -> torch.Tensor:
    """Return the hidden states at the targets of some rows, which are padded to the longest of them."""
    rows = batch.rows[part]
    cache = _picked(seen, batch.image_of_row[part])
    longest = max(len(row.ids) for row in rows)
    padded = torch.tensor([[*row.ids, *[0] * (longest - len(row.ids))] for row in rows])
    places = start + torch.arange(longest).expand(3, len(rows), -1)
    embedded = language.embed_tokens(padded)
    hidden = language(inputs_embeds=embedded, position_ids=places, past_key_values=cache).last_hidden_state
    at = [(number, target.place) for number, row in enumerate(rows) for target in row.targets]
    numbers, positions = torch.tensor(at).T
    return hidden[numbers, positions]


def _see(
    model: Qwen3VLForConditionalGeneration, images: Sequence[RgbPixels], cache: DynamicCache, places: torch.Tensor
) -> None:
    pixels = np.stack(images)
    seen = model.model.visual(patches(pixels), grid_thw=grid(pixels), return_dict=True)
    embedded = seen.pooler_output.view(len(images), places.shape[-1], -1)
    model.model.language_model(
        inputs_embeds=embedded,
        position_ids=places.unsqueeze(1).expand(3, len(images), -1),
        past_key_values=cache,
        visual_pos_masks=torch.ones(embedded.shape[:2], dtype=torch.bool),
        deepstack_visual_embeds=seen.deepstack_features,
    )


def grid(images: np.ndarray) -> torch.Tensor:
    """Return how many patches images have, shape (count, 3): in time, down and across."""
    count, height, width, _ = images.shape
    return torch.tensor([[1, height // _PATCH, width // _PATCH]] * count)


def patches(images: np.ndarray) -> torch.Tensor:
    """Return what Qwen's processor makes of images, uint8 (count, height, width, 3): (patches, 1536), in [-1, 1]."""
    count, height, width, _ = images.shape
    scaled = torch.from_numpy(images).permute(0, 3, 1, 2).float() / 127.5 - 1
    rows, columns = height // _PATCH // _MERGE, width // _PATCH // _MERGE
    split = scaled.view(count, 3, rows, _MERGE, _PATCH, columns, _MERGE, _PATCH).permute(0, 2, 5, 3, 6, 1, 4, 7)
    frames = split.unsqueeze(6).expand(*split.shape[:6], _FRAMES, _PATCH, _PATCH)
    return frames.reshape(-1, 3 * _FRAMES * _PATCH * _PATCH)


def _places(start: int, height: int, width: int) -> torch.Tensor:
    """Return time, row and column of merged patches, shape (3, height × width)."""
    axes = torch.meshgrid(torch.arange(1), torch.arange(height), torch.arange(width), indexing="ij")
    return torch.stack([axis.reshape(-1) for axis in axes]) + start


def _picked(cache: DynamicCache, entries: Sequence[int]) -> DynamicCache:
    """Return a cache whose rows are rows of another."""
    picked = DynamicCache()
    index = torch.tensor(entries)
    for number, layer in enumerate(cache.layers):
        picked.update(layer.keys[index], layer.values[index], number)
    return picked
