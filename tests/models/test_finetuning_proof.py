"""An adapter teaches the tiny model a category that it was never taught, and it forgets nothing."""

import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from statistics import fmean
from typing import Any

import pytest

from service.inference.vision.prompt import prompter
from service.tools.finetuning.encoding import EncodedImage, encoder
from service.tools.finetuning.examples import PreparedData
from service.tools.finetuning.training_options import TrainingOptions
from testing.prepared_data import prepared_new_category
from testing.tiny_model.new_category import NEW_CATEGORY
from testing.tiny_model.tiny import model_folder

# Torch, transformers and peft come with the extra `finetune`.
pytestmark = [pytest.mark.engine, pytest.mark.timeout(600)]

OPTIONS = TrainingOptions(
    epochs=3,
    images_a_step=8,
    tokens_a_pass=2000,
    learning_rate=5e-3,
    rank=8,
    alpha=16,
    dropout=0.0,
    validations_an_epoch=1,
    min_vision_tokens=1,
)
SIZE = {"shortest_edge": 32 * 32, "longest_edge": 1024 * 32 * 32}

LEARNT = 0.9
UNKNOWN = 0.4
"""Highest F1 of what is not known: an answer of yes to everything has 0.57 here."""
FORGOTTEN = 0.02


def f1_by_category(base: Any, data: PreparedData, images: Sequence[EncodedImage]) -> Mapping[str, float]:
    """Ask about every category, and compare what is above one half with what is drawn."""
    import torch  # noqa: PLC0415 - is not everywhere

    from service.tools.finetuning.training.answers import read_answers  # noqa: PLC0415 - as above
    from service.tools.finetuning.training.packing import Packer  # noqa: PLC0415 - as above

    writer = encoder(base.chat, data, prompter(data.manifest.instructions).labels)
    packer = Packer(writer.prefix, base.image_token, base.image_processor, SIZE, 2000)
    names = [each.name for each in data.manifest.instructions.categories]
    yes = base.chat.first_token("yes")
    answers: list[tuple[bool, bool]] = []
    with torch.no_grad():
        for packed in packer.passes(images):
            likely = read_answers(base.model, packed).likely.tolist()
            for question in packed.questions:
                chances = [math.exp(likely.pop(0)) for _ in question.targets]
                if question.kind == "is_it":
                    answers.append((question.targets[0].token == yes, chances[0] >= 0.5))
    assert len(answers) == len(names) * len(images)
    return {name: _f1(answers[place :: len(names)]) for place, name in enumerate(names)}


def _f1(answers: Sequence[tuple[bool, bool]]) -> float:
    hits = sum(shown and right for shown, right in answers)
    mistakes = sum(not right for _, right in answers)
    return 2 * hits / (2 * hits + mistakes)


def test_a_new_category_is_learnt_from_300_images_and_the_old_ones_stay(tmp_path: Path) -> None:
    from peft import PeftModel  # noqa: PLC0415 - is not everywhere

    from service.tools.finetuning.training.base_model import load_base, one_thread_on_cpu  # noqa: PLC0415 - as above
    from service.tools.finetuning.training.session import Hooks, TrainingRequest, train_adapter  # noqa: PLC0415 - torch

    data = prepared_new_category(tmp_path / "prepared", {"train": 240, "validation": 60, "held_out": 120})
    adapter = tmp_path / "adapter"
    card = train_adapter(data, TrainingRequest(str(model_folder()), None, adapter, "ring", OPTIONS), Hooks())
    assert card.training.validation_right["which"] > 0.9 > card.training.validation_right_before["which"]

    with one_thread_on_cpu():
        base = load_base(str(model_folder()), revision=None, quantize="none", device="cpu")
        writer = encoder(base.chat, data, prompter(data.manifest.instructions).labels)
        images = writer.images(data.examples("held_out"))
        before = f1_by_category(base, data, images)
        PeftModel.from_pretrained(base.model, adapter)
        after = f1_by_category(base, data, images)
    assert before[NEW_CATEGORY] <= UNKNOWN
    assert after[NEW_CATEGORY] >= LEARNT
    old = [name for name in before if name != NEW_CATEGORY]
    # Their mean: each has about ten images here, of which one is worth 0.05.
    assert fmean(after[name] for name in old) >= fmean(before[name] for name in old) - FORGOTTEN
