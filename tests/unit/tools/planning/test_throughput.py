from dataclasses import replace

import pytest

from service.tools.planning.plan import plan_precision
from service.tools.planning.throughput import MAX_STEP_S, STEP_TOKENS, Pace, pace, steps_an_image
from service.tools.planning.workload import TYPICAL, Workload
from tests.unit.tools.planning.candidates import candidate, time_of

SAFE = replace(TYPICAL, stage2_share=0.0)
TAGGED = replace(TYPICAL, tags_share=1.0)


def planned(gpu: str, work: Workload = TYPICAL, of: str = "fp8-dynamic") -> Pace:
    plan = plan_precision(candidate(gpu, of, work=work))
    assert plan.pace is not None
    return plan.pace


def test_a_card_that_is_kept_full_is_as_fast_as_its_arithmetic() -> None:
    time = time_of("H100")
    assert pace(time, SAFE, 16384).images_per_s == pytest.approx(1 / time.stage1)
    assert pace(time, TYPICAL, 16384).images_per_s == pytest.approx(1 / time.average(TYPICAL))


def test_a_safe_image_holds_a_place_for_two_steps_and_a_written_answer_for_one_a_token() -> None:
    assert steps_an_image(SAFE) == 2
    assert steps_an_image(replace(SAFE, tags_share=1.0)) == 2 + 2 + 60
    assert steps_an_image(TYPICAL) == pytest.approx(2 + 0.05 * (4 + 2 + 40))


def test_with_small_steps_there_are_too_few_answers_to_read_the_weights_for() -> None:
    time = time_of("L4", work=TAGGED)
    small, large = pace(time, TAGGED, 1024), pace(time, TAGGED, 16384)
    assert small.step_s == time.weights
    assert small.images_per_s < large.images_per_s / 2


@pytest.mark.parametrize("gpu", ["RTX 4090", "L4", "L40S", "H100", "B200"])
@pytest.mark.parametrize("work", [TYPICAL, TAGGED, SAFE])
def test_steps_are_as_large_as_written_answers_can_wait_for(gpu: str, work: Workload) -> None:
    chosen, time = planned(gpu, work), time_of(gpu, "fp8-dynamic", work=work)
    assert chosen.step_s <= MAX_STEP_S
    larger = [tokens for tokens in STEP_TOKENS if tokens > chosen.step_tokens]
    assert all(pace(time, work, tokens).step_s > MAX_STEP_S for tokens in larger)


def test_a_card_that_is_too_slow_for_short_steps_gets_the_smallest() -> None:
    slow = planned("RTX 3090", replace(SAFE, vision_tokens=1024), "awq")
    assert (slow.step_tokens, slow.step_s > MAX_STEP_S) == (STEP_TOKENS[-1], True)
