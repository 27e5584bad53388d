"""Makes the tiny model's folder: `python -m testing.tiny_model.train`, or `make test-model`."""

import argparse
import sys
import time
from collections import defaultdict
from collections.abc import Iterable
from pathlib import Path

import torch
from transformers import AutoTokenizer, Qwen3VLForConditionalGeneration

from testing.tiny_model.architecture import save, untrained
from testing.tiny_model.seeing import learn_to_see
from testing.tiny_model.tiny import CACHE, TRAINED
from testing.tiny_model.tokenizer import build_tokenizer
from testing.tiny_model.training import Plan, Progress, embed_patches_by_product, train

SEEING_STEPS = 2000
STEPS = 2600
_SHORT_SHARE = 0.8
_SAVED_EVERY = 100
_REPORTED_EVERY = 25


def main() -> None:
    """Train, print the progress, and keep what was learnt so far in the cache while it lasts."""
    arguments = _arguments()
    torch.set_num_threads(arguments.threads)
    if arguments.start is None:
        tokenizer = build_tokenizer()
        model = untrained(tokenizer)
    else:
        tokenizer = AutoTokenizer.from_pretrained(arguments.start)
        model = Qwen3VLForConditionalGeneration.from_pretrained(arguments.start, dtype=torch.float32)
    embed_patches_by_product(model)
    for step, loss, right in learn_to_see(model, steps=arguments.seeing_steps, seed=arguments.seed):
        if step % _REPORTED_EVERY == 0:
            _report(f"seeing step {step} cpu {time.process_time():.0f} s loss {loss:.3f} patches {right:.3f}")
    save(model, tokenizer, CACHE / "training")
    plan = Plan(arguments.steps, int(_SHORT_SHARE * arguments.steps), arguments.rate)
    for step in reported(train(model, tokenizer, plan, seed=arguments.seed)):
        if step % _SAVED_EVERY == 0:
            save(model, tokenizer, CACHE / "training")
    save(model, tokenizer, arguments.folder)


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--folder", type=Path, default=TRAINED, help="where the trained model goes")
    parser.add_argument("--seeing-steps", type=int, default=SEEING_STEPS)
    parser.add_argument("--steps", type=int, default=STEPS)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--rate", type=float, default=2e-3, help="the highest learning rate")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--start", type=Path, help="folder of a model to go on with")
    return parser.parse_args()


def reported(progress: Iterable[Progress]) -> Iterable[int]:
    """Pass steps on, and print the mean of the last ones now and then."""
    recent: list[Progress] = []
    for each in progress:
        recent.append(each)
        if each.step % _REPORTED_EVERY == 0:
            _report(f"step {each.step} cpu {time.process_time():.0f} s {_mean(recent)}")
            recent.clear()
        yield each.step


def _report(line: str) -> None:
    sys.stdout.write(f"{line}\n")
    sys.stdout.flush()


def _mean(recent: list[Progress]) -> str:
    shares: dict[str, list[float]] = defaultdict(list)
    for each in recent:
        for kind, share in each.right.items():
            shares[kind].append(share)
    loss = sum(each.loss for each in recent) / len(recent)
    reported = [f"{kind} {sum(values) / len(values):.3f}" for kind, values in sorted(shares.items())]
    return " ".join([f"loss {loss:.3f}", *reported])


if __name__ == "__main__":
    main()
