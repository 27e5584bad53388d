"""Teaches the tiny model to answer about drawn images."""

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
import torch
from transformers import PreTrainedTokenizerFast, Qwen3VLForConditionalGeneration

from service.core.instructions import ModelInstructions
from testing.tiny_model.forward import Batch, target_log_probabilities
from testing.tiny_model.questions import Questions, Row
from testing.tiny_model.scenes import draw, random_scene, random_size
from testing.tiny_model.shapes import ALL_INSTRUCTIONS, HARMLESS, INSTRUCTIONS, INSTRUCTIONS_ZH, Kind

IMAGES_A_BATCH = 16
# English with attributes is what tests ask most; the others share nearly everything with it.
SHARES: Mapping[ModelInstructions, float] = {INSTRUCTIONS: 0.6, INSTRUCTIONS_ZH: 0.2, ALL_INSTRUCTIONS[2]: 0.2}
_WARM_UP = 0.1
_SHORT_PREFIX = 24


@dataclass(frozen=True, slots=True)
class Plan:
    """How long to train, and on how much of the policy text.

    The text is the same for all images, and half of the time goes into looking back at it; most is learnt as well while
    only its end is there.
    """

    steps: int
    steps_on_short_prefix: int
    highest_rate: float = 2e-3
    all_instructions: Mapping[ModelInstructions, float] = field(default_factory=lambda: SHARES)
    """With their shares of the steps."""
    harmless: Sequence[Kind] = HARMLESS
    """What is drawn beside harmful shapes; kinds that stand there twice are drawn more often."""

    def prefix_tokens(self, step: int) -> int | None:
        """Return how many tokens of the policy text stand before the images at a step; None for all."""
        return _SHORT_PREFIX if step < self.steps_on_short_prefix else None


@dataclass(frozen=True, slots=True)
class Progress:
    """How training goes: the loss, and the share of right answers by kind of question."""

    step: int
    loss: float
    right: Mapping[str, float]


def train(
    model: Qwen3VLForConditionalGeneration, tokenizer: PreTrainedTokenizerFast, plan: Plan, *, seed: int
) -> Iterator[Progress]:
    """Train step by step; the model has learnt a step when its progress is returned."""
    embed_patches_by_product(model)
    parameters = [each for each in model.parameters() if each.requires_grad]
    optimizer = torch.optim.AdamW(parameters, lr=plan.highest_rate, weight_decay=0.01, betas=(0.9, 0.98))
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, plan.highest_rate, plan.steps, pct_start=_WARM_UP)
    rng = np.random.default_rng(seed)
    questions = {instructions: Questions(tokenizer, instructions) for instructions in plan.all_instructions}
    model.train()
    for step in range(plan.steps):
        shares = plan.all_instructions
        instructions = list(shares)[rng.choice(len(shares), p=list(shares.values()))]
        prefix_tokens = plan.prefix_tokens(step)
        batch = random_batch(questions[instructions], rng, prefix_tokens=prefix_tokens, harmless=plan.harmless)
        likely = target_log_probabilities(model, batch)
        loss = chosen_loss(likely, batch)
        optimizer.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(parameters, 1.0)
        optimizer.step()
        schedule.step()
        yield Progress(step + 1, loss.item(), right_share(likely, batch.rows))


def embed_patches_by_product(model: Qwen3VLForConditionalGeneration) -> None:
    """Train the same weights faster: patches do not overlap, so their convolution is a product."""
    embed = model.model.visual.patch_embed
    embed.forward = lambda patches: torch.nn.functional.linear(patches, embed.proj.weight.flatten(1), embed.proj.bias)


def random_batch(
    questions: Questions,
    rng: np.random.Generator,
    *,
    prefix_tokens: int | None = None,
    harmless: Sequence[Kind] = HARMLESS,
) -> Batch:
    """Return images of one size, by chance, with questions about each."""
    size = random_size(rng)
    scenes = [random_scene(rng, size=size, harmless=harmless) for _ in range(IMAGES_A_BATCH)]
    asked = [(number, row) for number, scene in enumerate(scenes) for row in questions.about(scene, rng)]
    rows = sorted(asked, key=lambda each: len(each[1].ids))
    prefix = questions.prefix
    return Batch(
        prefix=prefix[-prefix_tokens:] if prefix_tokens else prefix,
        image_place=len(prefix),
        images=[draw(scene) for scene in scenes],
        rows=[row for _, row in rows],
        image_of_row=[number for number, _ in rows],
    )


def right_share(likely: torch.Tensor, rows: Sequence[Row]) -> Mapping[str, float]:
    """Return the share of rows, by kind, in which the likeliest token was right everywhere."""
    best = iter(likely.argmax(-1).tolist())
    right: dict[str, list[bool]] = defaultdict(list)
    for row in rows:
        by_place: dict[int, bool] = defaultdict(bool)
        for target in row.targets:
            by_place[target.place] |= next(best) == target.token
        right[row.kind].append(all(by_place.values()))
    return {kind: sum(each) / len(each) for kind, each in right.items()}


def chosen_loss(likely: torch.Tensor, batch: Batch) -> torch.Tensor:
    """Return the mean negative log-probability of the right tokens, weighted as the questions say."""
    return -(_chosen(likely, batch) * _weights(batch)).sum() / _weights(batch).sum()


def _chosen(likely: torch.Tensor, batch: Batch) -> torch.Tensor:
    tokens = torch.tensor([target.token for row in batch.rows for target in row.targets])
    return likely.gather(1, tokens.unsqueeze(1)).squeeze(1)


def _weights(batch: Batch) -> torch.Tensor:
    return torch.tensor([target.weight for row in batch.rows for target in row.targets])
