"""Models for the benchmark of a first pass: a tinier Qwen3-VL, and the tiny one taught to look with few tokens too.

Scenes have 512 × 512 pixels, 256 vision tokens, in the full pass, and a quarter of each side, 16 tokens, in the first
one. The tiny model of the package was taught neither shapes so large nor shapes so small. The weights are made
in the cache by `python -m testing.tiny_model.train_first_pass`, or `make first-pass-models`.
"""

import argparse
import sys
import time
from collections.abc import Iterator, Sequence
from functools import partial
from itertools import chain
from pathlib import Path

import numpy as np
import torch
from transformers import AutoTokenizer, PreTrainedTokenizerFast, Qwen3VLForConditionalGeneration

from service.core.pixels import RgbPixels
from testing.tiny_model.architecture import save, untrained
from testing.tiny_model.first_pass import FEW_SIDE, SIDE, TINIER, TWO_SIZES, reduced, scaled, scene_for_passes
from testing.tiny_model.forward import Batch, target_log_probabilities
from testing.tiny_model.questions import Questions
from testing.tiny_model.scenes import Scene, draw
from testing.tiny_model.seeing import learn_to_see
from testing.tiny_model.shapes import INSTRUCTIONS
from testing.tiny_model.tiny import model_folder
from testing.tiny_model.training import chosen_loss, embed_patches_by_product, right_share

_LAYERS = 2
_DRAWN = SIDE // 2
_IMAGES_A_BATCH, _FULL_IMAGES_A_BATCH = 16, 8
_SHORT_PREFIX = 24
_SHORT_SHARE = 0.8
# Of the scenes, as plainly harmless as those that a first pass is for: a background alone.
_PLAIN_SHARE = 0.2
_WARM_UP = 0.1
_REPORTED_EVERY = 25


def few_pictures(rng: np.random.Generator) -> tuple[np.ndarray, Sequence[Scene]]:
    """Return pictures for the first pass, with what they show at that size."""
    scenes = [scene_for_passes(rng) for _ in range(_IMAGES_A_BATCH)]
    return np.stack([_few(scene) for scene in scenes]), [scaled(scene, FEW_SIDE) for scene in scenes]


def _few(scene: Scene) -> RgbPixels:
    """Draw a scene for the first pass; half of the full size is drawn in a quarter of the time, and looks the same."""
    return reduced(draw(scaled(scene, _DRAWN)))


def random_batch(questions: Questions, rng: np.random.Generator, *, few: bool, prefix_tokens: int | None) -> Batch:
    """Return pictures of one size and what is asked of them: the first pass asks the list question alone."""
    count = _IMAGES_A_BATCH if few else _FULL_IMAGES_A_BATCH
    scenes = [scene_for_passes(rng, is_plain=bool(rng.random() < _PLAIN_SHARE)) for _ in range(count)]
    asked = [
        (number, row)
        for number, scene in enumerate(scenes)
        for row in questions.about(scene, rng)
        if not few or row.kind == "which"
    ]
    rows = sorted(asked, key=lambda each: len(each[1].ids))
    prefix = questions.prefix
    return Batch(
        prefix=prefix[-prefix_tokens:] if prefix_tokens else prefix,
        image_place=len(prefix),
        images=[_few(scene) if few else draw(scene) for scene in scenes],
        rows=[row for _, row in rows],
        image_of_row=[number for number, _ in rows],
    )


def _answer(
    model: Qwen3VLForConditionalGeneration,
    tokenizer: PreTrainedTokenizerFast,
    *,
    steps: int,
    rate: float,
    few_share: float,
    seed: int,
) -> Iterator[str]:
    """Train step by step; yield a line about some steps now and then."""
    embed_patches_by_product(model)
    parameters = [*model.parameters()]
    optimizer = torch.optim.AdamW(parameters, lr=rate, weight_decay=0.01, betas=(0.9, 0.98))
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, rate, steps, pct_start=_WARM_UP)
    rng, questions = np.random.default_rng(seed), Questions(tokenizer, INSTRUCTIONS)
    model.train()
    right: list[float] = []
    full: list[float] = []
    for step in range(steps):
        few = bool(rng.random() < few_share)
        prefix_tokens = _SHORT_PREFIX if step < _SHORT_SHARE * steps else None
        batch = random_batch(questions, rng, few=few, prefix_tokens=prefix_tokens)
        likely = target_log_probabilities(model, batch)
        optimizer.zero_grad()
        loss = chosen_loss(likely, batch)
        loss.backward()
        torch.nn.utils.clip_grad_norm_(parameters, 1.0)
        optimizer.step()
        schedule.step()
        if few:
            right.append(right_share(likely, batch.rows)["which"])
        else:
            full.append(right_share(likely, batch.rows)["which"])
        if (step + 1) % _REPORTED_EVERY == 0:
            shares = _mean(" few", right) + _mean(" full", full)
            yield f"step {step + 1} cpu {time.process_time():.0f} s loss {loss.item():.3f}{shares}"


def _mean(name: str, shares: list[float]) -> str:
    """Return the mean of shares in words, and forget them."""
    text = f"{name} {np.mean(shares):.3f}" if shares else ""
    shares.clear()
    return text


def make_tinier(*, seeing_steps: int, steps: int) -> Iterator[str]:
    """Train the tinier model on few tokens alone, and save it; yield lines of progress."""
    tokenizer = AutoTokenizer.from_pretrained(model_folder())
    model = untrained(tokenizer, text_layers=_LAYERS, vision_layers=_LAYERS)
    embed_patches_by_product(model)
    for step, loss, right in learn_to_see(model, steps=seeing_steps, seed=1, pictures=few_pictures):
        if step % _REPORTED_EVERY == 0:
            yield f"seeing step {step} cpu {time.process_time():.0f} s loss {loss:.3f} patches {right:.3f}"
    yield from _answer(model, tokenizer, steps=steps, rate=2e-3, few_share=1.0, seed=1)
    save(model, tokenizer, TINIER)


def make_two_sizes(*, steps: int, start: Path | None = None) -> Iterator[str]:
    """Teach the tiny model the small size beside the full one, and save it; yield lines of progress.

    `start` is a folder of a model to go on with, in place of the tiny one.
    """
    tokenizer = AutoTokenizer.from_pretrained(model_folder())
    model = Qwen3VLForConditionalGeneration.from_pretrained(start or model_folder(), dtype=torch.float32)
    for line in _answer(model, tokenizer, steps=steps, rate=1e-3, few_share=0.6, seed=2):
        save(model, tokenizer, TWO_SIZES)
        yield line


def main() -> None:
    """Make both models, and print the progress."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("model", choices=("tinier", "two-sizes", "both"), nargs="?", default="both")
    parser.add_argument("--seeing-steps", type=int, default=1200)
    parser.add_argument("--steps", type=int, default=1200)
    parser.add_argument("--start", type=Path, help="folder of a model of two sizes to go on with")
    parser.add_argument("--threads", type=int, default=1)
    arguments = parser.parse_args()
    torch.set_num_threads(arguments.threads)
    makers = {
        "tinier": partial(make_tinier, seeing_steps=arguments.seeing_steps, steps=arguments.steps),
        "two-sizes": partial(make_two_sizes, steps=arguments.steps, start=arguments.start),
    }
    chosen = makers if arguments.model == "both" else {arguments.model: makers[arguments.model]}
    for line in chain.from_iterable(make() for make in chosen.values()):
        sys.stdout.write(f"{line}\n")
        sys.stdout.flush()


if __name__ == "__main__":
    main()
