from dataclasses import replace

import pytest

from service.tools.planning.memory import GIB, MEMORY_FRACTION, MemoryPlan, missing_gib, needed_gib, plan_memory
from service.tools.planning.models import find_model
from service.tools.planning.precisions import weight_bytes
from service.tools.planning.throughput import STEP_TOKENS, images_a_step
from service.tools.planning.workload import TYPICAL, Workload
from tests.unit.tools.planning.candidates import candidate, precision


def planned(gpu: str, of: str = "fp8-block", *, work: Workload = TYPICAL, step_tokens: int = 8192) -> MemoryPlan:
    plan = plan_memory(candidate(gpu, of, work=work), step_tokens)
    assert plan is not None
    return plan


@pytest.mark.parametrize(
    ("of", "gib"), [("bf16", 16.3), ("fp8-block", 9.9), ("fp8-dynamic", 9.9), ("int8", 9.9), ("awq", 6.8)]
)
def test_only_the_language_models_layers_shrink_with_the_precision(of: str, gib: float) -> None:
    assert weight_bytes(find_model("8B"), precision(of)) / GIB == pytest.approx(gib, abs=0.1)


@pytest.mark.parametrize("gpu", ["RTX 3090", "L4", "H100"])
def test_all_that_vllm_may_use_is_accounted_for(gpu: str) -> None:
    plan, card = planned(gpu), candidate(gpu).gpu
    used = plan.weights + plan.activations + plan.overhead + plan.kv_cache
    assert used == pytest.approx(card.usable_gib * GIB * MEMORY_FRACTION)
    assert plan.kv_tokens == int(plan.kv_cache / find_model("8B").kv_bytes())


def test_images_share_one_copy_of_the_policy() -> None:
    short, long = (planned("H100", work=replace(TYPICAL, policy_tokens=tokens)) for tokens in (100, 3060))
    assert short.images - long.images == pytest.approx((3060 - 100) / 396, abs=1)


def test_larger_steps_leave_less_for_the_cache() -> None:
    small, large = planned("H100", step_tokens=1024), planned("H100", step_tokens=16384)
    assert large.step_tokens == 16384
    assert large.activations > small.activations
    assert large.kv_tokens < small.kv_tokens


def test_the_cache_holds_all_images_that_run_side_by_side_and_one_of_the_greatest_length() -> None:
    for gpu, of in (("RTX 3090", "bf16"), ("A10", "bf16"), ("L4", "fp8-block"), ("B200", "fp8-block")):
        plan = planned(gpu, of, step_tokens=1024)
        assert plan.images >= plan.sequences
        assert plan.kv_tokens >= plan.max_model_len


def test_on_a_small_card_fewer_images_run_side_by_side_but_always_those_of_a_step() -> None:
    plans = [plan for tokens in STEP_TOKENS if (plan := plan_memory(candidate("RTX 3090", "bf16"), tokens))]
    assert plans
    assert all(images_a_step(plan.step_tokens) <= plan.sequences < 256 for plan in plans)
    assert plan_memory(candidate("RTX 3090", "bf16"), 16384) is None
    assert planned("H100").sequences == 256


def test_what_is_missing_is_reported() -> None:
    assert missing_gib(candidate("RTX 3080 10GB", "bf16")) > missing_gib(candidate("RTX 3080 10GB", "awq")) > 0
    assert missing_gib(candidate("H100")) == 0


def test_a_longer_policy_needs_a_longer_context() -> None:
    lengths = [planned("H100", work=replace(TYPICAL, policy_tokens=tokens)).max_model_len for tokens in (700, 5000)]
    assert lengths == [4096, 6656]


@pytest.mark.parametrize("of", ["bf16", "fp8-block", "awq"])
def test_a_card_fits_exactly_if_it_has_what_is_needed(of: str) -> None:
    for name in ("RTX 3080 10GB", "RTX 3080 12GB", "RTX 3090", "L4", "H100"):
        card = candidate(name, of)
        assert (plan_memory(card, 1024) is not None) == (card.gpu.usable_gib >= needed_gib(card)), name
