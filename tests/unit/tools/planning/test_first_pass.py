from dataclasses import replace

import pytest

from service.tools.planning.first_pass import FirstPass, FirstPassError, FirstPassPlan, plan_first_pass
from service.tools.planning.gpus import find_gpu
from service.tools.planning.models import find_model
from service.tools.planning.plan import GpuPlan, plan_gpu
from service.tools.planning.workers import gpu_worker
from service.tools.planning.workload import FewTokensFirst, Workload

WORK = Workload(stage2_share=0.0)
SMALL = find_model("2B")


def full(work: Workload = WORK, gpu: str = "H100") -> GpuPlan:
    return plan_gpu(find_gpu(gpu), find_model("8B"), work)


def passes(first: FirstPass, work: Workload = WORK) -> FirstPassPlan:
    found = plan_first_pass(full(work), first)
    assert found is not None
    return found


def test_an_image_costs_the_first_pass_and_the_full_pass_of_what_is_left() -> None:
    found = passes(FirstPass(0.8, 64))
    assert 1 / found.images_per_s == pytest.approx(1 / found.at_most_per_s + 0.2 / found.without_per_s, rel=1e-6)
    assert found.factor > 1.8


def test_cards_of_two_engines_are_counted_together() -> None:
    found = passes(FirstPass(0.8, 64, SMALL))
    assert found.main_per_s == pytest.approx(found.without_per_s / 0.2)
    assert found.images_per_s == pytest.approx(found.main_per_s / (1 + found.first_cards))


def test_a_first_pass_that_clears_nothing_costs_images_a_second() -> None:
    for first in (FirstPass(0.0, 64), FirstPass(0.0, 64, SMALL)):
        assert passes(first).factor < 1


def test_the_share_from_which_it_pays_is_where_the_rates_meet() -> None:
    worth_from = passes(FirstPass(0.5, 64)).worth_from
    assert worth_from is not None
    assert passes(FirstPass(worth_from, 64)).factor > 1
    assert passes(FirstPass(worth_from - 0.01, 64)).factor <= 1


def test_it_is_never_worth_it_where_every_image_gets_tags() -> None:
    found = passes(FirstPass(0.9, 64), replace(WORK, tags_share=1.0))
    assert found.worth_from is None
    assert found.factor == pytest.approx(1.0)


def test_fewer_tokens_are_worth_little_where_text_is_most_of_the_work() -> None:
    short, long = (passes(FirstPass(0.8, 64), replace(WORK, text_tokens=tokens)).factor for tokens in (40, 2000))
    assert short > 1.8
    assert long < 1


def test_tags_and_follow_ups_take_from_the_gain() -> None:
    factors = [
        passes(FirstPass(0.8, 64), Workload(stage2_share=stage2, tags_share=tags)).factor
        for stage2, tags in ((0.0, 0.0), (0.1, 0.0), (0.1, 0.3))
    ]
    assert factors == sorted(factors, reverse=True)
    assert len(set(factors)) == 3


@pytest.mark.parametrize(
    ("first", "work", "words"),
    [
        (FirstPass(0.8, 256), WORK, "--first-pass-tokens 256: give fewer than the 256"),
        (FirstPass(0.8, 64, find_model("8B")), WORK, "--first-pass-model: Qwen/Qwen3-VL-8B-Instruct is not smaller"),
        (FirstPass(0.98, 64), Workload(stage2_share=0.05), "--cleared 0.98 leaves 2.0%"),
    ],
)
def test_a_first_pass_that_cannot_be_names_the_option(first: FirstPass, work: Workload, words: str) -> None:
    with pytest.raises(FirstPassError, match=words):
        plan_first_pass(full(work), first)


def test_a_process_hands_an_image_over_more_often_and_its_interpreter_may_limit_the_gain() -> None:
    plan = plan_gpu(find_gpu("H100"), find_model("2B"), WORK)
    found = plan_first_pass(plan, FirstPass(0.8, 64))
    assert found is not None
    worker = gpu_worker(plan, 2.0, passes=found)
    assert worker is not None
    assert worker.limited_by == "one process's interpreter"
    assert worker.images_per_s < found.images_per_s
    assert found.passes == pytest.approx(1.2)


def test_few_tokens_first_are_a_part_of_the_work() -> None:
    work = Workload(tags_share=0.25, first_pass=FewTokensFirst(64, 0.8))
    assert [work.first_share, work.full_share, work.passes] == pytest.approx([0.75, 0.4, 1.15])
