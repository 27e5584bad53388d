from dataclasses import replace

import pytest

from service.tools.planning.evidence import PREFILLS, PublishedPrefill
from service.tools.planning.precisions import BF16_EFFICIENCY, EIGHT_BIT_EFFICIENCY
from service.tools.planning.roofline import image_time
from service.tools.planning.workload import LATER_ROUNDS, TYPICAL
from tests.unit.tools.planning.candidates import candidate, time_of


@pytest.mark.parametrize("published", PREFILLS, ids=lambda each: each.gpu)
def test_the_assumed_efficiencies_are_a_little_under_what_was_published(published: PublishedPrefill) -> None:
    assumed = BF16_EFFICIENCY if published.precision == "bf16" else EIGHT_BIT_EFFICIENCY
    assert 0.85 * published.efficiency < assumed <= published.efficiency


def test_an_h100_judges_133_safe_images_a_second_and_not_170() -> None:
    # 170 would be 4.5 TFLOP at 39 % of the FP8 peak, with the encoder in FP8 too, and without text and attention.
    assert 1 / time_of("H100").stage1 == pytest.approx(133, rel=0.01)


def test_an_images_time_is_its_tokens_through_encoder_and_language_model() -> None:
    time = time_of("H100")
    assert time.stage1 == time.vision + time.language
    assert time.vision == pytest.approx(256 * 4.13e9 / (989.5e12 * 0.40), rel=0.01)
    assert time.language == pytest.approx(296 * 14.63e9 / (1979e12 * 0.45), rel=0.01)


def test_without_fp8_hardware_fp8_saves_no_time() -> None:
    assert time_of("A100 80GB", "fp8-block").language > time_of("A100 80GB", "bf16").language
    assert time_of("H100", "fp8-block").language < time_of("H100", "bf16").language


def test_the_encoder_costs_the_same_in_every_precision() -> None:
    assert len({time_of("L40S", of).vision for of in ("bf16", "fp8-block", "fp8-dynamic", "int8", "awq")}) == 1


def test_bandwidth_matters_only_for_what_is_written() -> None:
    slow, fast = time_of("H100"), time_of("H200")
    assert slow.stage1 == fast.stage1
    assert slow.tagged > fast.tagged


def test_reading_the_weights_takes_their_bytes_over_the_bandwidth() -> None:
    # 6.95 billion weights in FP8, and the output layer in bf16.
    assert time_of("H100").weights == pytest.approx((6.95e9 + 1.24e9) / (3.35e12 * 0.7), rel=0.01)


def test_stage_two_and_tags_cost_their_share() -> None:
    time = time_of("H100")
    half = replace(TYPICAL, stage2_share=0.5, tags_share=0.25)
    assert time.average(half) == pytest.approx(time.stage1 + 0.5 * time.follow_ups + 0.25 * time.tagged)
    assert time.average(replace(TYPICAL, stage2_share=0.0)) == time.stage1


def test_what_is_asked_later_encodes_the_image_again_and_tags_beside_the_first_question_do_not() -> None:
    time, work = time_of("H100"), replace(TYPICAL, stage2_share=0.0, tags_share=1.0)
    assert LATER_ROUNDS * time.vision < time.follow_ups < 2 * time.stage1
    later = replace(time, tagged=time.tagged + time.vision)
    assert 1 / time.average(work) == pytest.approx(68, rel=0.01)
    assert 1 / later.average(work) == pytest.approx(58, rel=0.01)


def test_more_vision_tokens_cost_more_than_their_share() -> None:
    normal, fourfold = time_of("H100"), time_of("H100", work=replace(TYPICAL, vision_tokens=1024))
    assert fourfold.vision > 4 * normal.vision
    assert fourfold.stage1 > 3.5 * normal.stage1


def test_there_is_no_time_where_there_are_no_kernels() -> None:
    assert image_time(candidate("B200", "int8")) is None
