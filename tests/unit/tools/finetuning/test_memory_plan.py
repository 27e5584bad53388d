"""What is calculated about training on a card."""

from dataclasses import replace

import pytest

from service.tools.finetuning.memory_plan import (
    CARDS,
    MODELS,
    TrainingPlan,
    TrainingWork,
    adapter_parameters,
    plan_training,
    training_plans,
)
from service.tools.planning.gpus import find_gpu
from service.tools.planning.models import find_model

WORK = TrainingWork()


def plan(gpu: str, model: str, work: TrainingWork = WORK) -> TrainingPlan | None:
    return plan_training(find_gpu(gpu), find_model(model), work)


@pytest.mark.parametrize("card", ["T4", "L4", "RTX 3090"])
@pytest.mark.parametrize("model", MODELS)
def test_every_model_up_to_8b_has_settings_for_16_and_24_gb(card: str, model: str) -> None:
    found = plan(card, model)
    assert found is not None
    assert found.total_gib < 0.91 * found.gpu.usable_gib


def test_weights_are_kept_in_4_bits_only_where_they_do_not_fit_otherwise() -> None:
    chosen = {gpu.name: found.quantize for gpu, _, found in training_plans(WORK, models=["8B"]) if found}
    large = {"L40S": "none", "A100 80GB": "none", "H100": "none"}
    assert chosen == {"T4": "nf4", "L4": "nf4", "RTX 3090": "nf4", "RTX 4090": "nf4", **large}


def test_what_does_not_fit_has_no_plan() -> None:
    assert plan("RTX 3060 Ti", "32B") is None


def test_an_adapters_parameters_are_those_of_every_layers_products() -> None:
    # Qwen3-VL-8B: 36 layers; q and o 4096 to 4096, k and v 4096 to 1024, gate, up and down 4096 to 12288.
    sides = 2 * (4096 + 4096) + 2 * (4096 + 1024) + 3 * (4096 + 12288)
    assert adapter_parameters(find_model("8B"), 16) == 36 * 16 * sides


def test_the_table_has_every_model_on_every_card() -> None:
    found = [(gpu.name, model.name) for gpu, model, _ in training_plans(WORK)]
    assert found == [(find_gpu(card).name, find_model(model).name) for card in CARDS for model in MODELS]


@pytest.mark.parametrize("work", [replace(WORK, images=10_000), replace(WORK, epochs=6)])
def test_hours_grow_with_the_work(work: TrainingWork) -> None:
    once, twice = plan("L40S", "4B"), plan("L40S", "4B", work)
    assert once is not None
    assert twice is not None
    assert twice.hours == pytest.approx(2 * once.hours)
