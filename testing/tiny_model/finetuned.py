"""Teach the tiny model a new category, and measure it in the real engine: `python -m testing.tiny_model.finetuned`.

The same is done with shuffled labels, from which nothing may be learnt. `make test-finetune` runs it.
"""

import argparse
import asyncio
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from statistics import fmean

from service.inference.adapter_card import AdapterCard, Measured
from service.settings.settings import Settings
from service.tools.demo.tiny_model import with_tiny_model
from service.tools.finetuning.examples import Split
from service.tools.finetuning.measuring import measure
from service.tools.finetuning.training.session import Hooks, TrainingRequest, train_adapter
from service.tools.finetuning.training_options import TrainingOptions
from testing.prepared_data import prepared_new_category
from testing.tiny_model.new_category import NEW_CATEGORY
from testing.tiny_model.tiny import model_folder

OPTIONS = TrainingOptions(
    epochs=5,
    images_a_step=8,
    tokens_a_pass=2000,
    learning_rate=5e-3,
    rank=8,
    alpha=16,
    dropout=0.0,
    validations_an_epoch=1,
    min_vision_tokens=1,
    max_vision_tokens=256,
)
TRAIN, VALIDATION, HELD_OUT = 240, 60, 600
LEARNT, FORGOTTEN, CHANCE_GAIN = 0.9, 0.02, 0.05


def main() -> None:
    """Train on right and on shuffled labels, print all figures, and fail if they are not what they have to be."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--held-out", type=int, default=HELD_OUT, help="images that measure it")
    arguments = parser.parse_args()
    faults: list[str] = []
    for shuffled in (False, True):
        found = _measured(shuffled=shuffled, held_out=arguments.held_out)
        faults += [*_faults(found, shuffled=shuffled)]
    for fault in faults:
        _report(f"FAILED: {fault}")
    sys.exit(bool(faults))


def _measured(*, shuffled: bool, held_out: int) -> Measured:
    with tempfile.TemporaryDirectory() as made:
        folder = Path(made)
        images: dict[Split, int] = {"train": TRAIN, "validation": VALIDATION, "held_out": held_out}
        data = prepared_new_category(folder / "prepared", images, shuffled=shuffled)
        started_s = time.process_time()
        request = TrainingRequest(str(model_folder()), None, folder / "adapter", "ring", OPTIONS)
        card = train_adapter(data, request, Hooks())
        cpu_s = time.process_time() - started_s
        policy = folder / "prepared" / "new-category.yaml"
        settings = with_tiny_model(Settings())
        measured = measure(settings, data, folder / "adapter", card=card, policy=policy, progress=_quiet)
        found = asyncio.run(measured)
    _print(card, found.measured, shuffled=shuffled, cpu_s=cpu_s, calibrated=found.calibration is not None)
    return found.measured


def _print(card: AdapterCard, found: Measured, *, shuffled: bool, cpu_s: float, calibrated: bool) -> None:
    facts = card.training
    title = "shuffled labels" if shuffled else "right labels"
    _report(f"\n{title}: {facts.steps} steps, best {facts.best_step}, {cpu_s:.0f} s of CPU; calibrated {calibrated}")
    _report(f"validation loss {facts.validation_loss_before:.3f} -> {facts.validation_loss:.3f}")
    _report(f"{found.images} held-out images, not judged {found.not_judged}. {found.sentence}")
    _report("| category | images, shown | F1 before | F1 after | difference, 95 % |\n|---|---|---|---|---|")
    for each in found.categories:
        change = each.difference.get("f1")
        text = f"{change.value:+.3f} [{change.low:+.3f}, {change.high:+.3f}]" if change else "-"
        before, after = (f"{side.get('f1') or 0.0:.3f}" for side in (each.before, each.after))
        _report(f"| {each.category} | {each.images}, {each.positives} | {before} | {after} | {text} |")


def _faults(found: Measured, *, shuffled: bool) -> Iterator[str]:
    f1 = {each.category: (each.before.get("f1") or 0.0, each.after.get("f1") or 0.0) for each in found.categories}
    before, after = f1[NEW_CATEGORY]
    if shuffled:
        gain = fmean(side[1] - side[0] for side in f1.values())
        if gain > CHANCE_GAIN:
            yield f"shuffled labels gained {gain:.3f} of mean F1"
        return
    if after < LEARNT:
        yield f"{NEW_CATEGORY} has an F1 of {after:.3f}, from {before:.3f}"
    for name, (was, became) in f1.items():
        if became < was - FORGOTTEN:
            yield f"{name} fell from {was:.3f} to {became:.3f}"


@contextmanager
def _quiet(step: str, images: int) -> Iterator[Callable[[], None]]:
    _report(f"{step} {images} images")
    yield lambda: None


def _report(line: str) -> None:
    sys.stdout.write(f"{line}\n")
    sys.stdout.flush()


if __name__ == "__main__":
    main()
