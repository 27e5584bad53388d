import pytest
import yaml

from service.tools.planning.advice import card_remarks, plan_assumptions, settings_yaml
from service.tools.planning.gpus import GPUS, Gpu, find_gpu
from service.tools.planning.models import find_model, short_name
from service.tools.planning.plan import GpuPlan, PrecisionPlan, plan_gpu
from service.tools.planning.workload import TYPICAL


def plan(gpu: str, model: str = "8B") -> GpuPlan:
    return plan_gpu(find_gpu(gpu), find_model(model), TYPICAL)


def taken(gpu: str, model: str = "8B") -> str | None:
    take = plan(gpu, model).take
    return take.precision.name if take else None


def of(plan: GpuPlan, name: str) -> PrecisionPlan:
    return next(each for each in plan.precisions if each.precision.name == name)


def test_qwens_fp8_is_taken_where_vllm_computes_in_it() -> None:
    assert {taken(gpu) for gpu in ("H100", "H200", "H20", "B200", "RTX 5090")} == {"fp8-block"}


@pytest.mark.parametrize(
    ("gpu", "block", "bf16", "dynamic"),
    [("L4", 10.0, 11.4, 15.0), ("RTX 4090", 13.9, 15.8, 20.7), ("L40S", 30, 34, 45)],
)
def test_on_ada_fp8_with_scales_by_row_is_taken_and_made_of_the_bf16_model_while_it_loads(
    gpu: str, block: float, bf16: float, dynamic: float
) -> None:
    ada = plan(gpu)
    assert ada.take is not None
    settings = yaml.safe_load(settings_yaml(ada, ada.take))["engine"]["vllm"]
    assert ada.take.precision.name == "fp8-dynamic"
    assert (settings["model"], settings["precision"]) == ("Qwen/Qwen3-VL-8B-Instruct", "fp8")
    rates = [of(ada, name).images_per_s for name in ("fp8-block", "bf16", "fp8-dynamic")]
    assert rates == pytest.approx([block, bf16, dynamic], rel=0.03)
    assert "weights only" in of(ada, "fp8-block").how
    assert any("no kernels" in remark for remark in card_remarks(ada.gpu))


def test_of_two_that_are_as_fast_the_one_with_less_to_load_is_taken() -> None:
    hopper = plan("H100")
    assert of(hopper, "fp8-dynamic").images_per_s == pytest.approx(of(hopper, "fp8-block").images_per_s, rel=0.01)
    assert taken("H100") == "fp8-block"


def test_a_precision_that_is_asked_for_is_taken() -> None:
    asked = plan_gpu(find_gpu("L4"), find_model("8B"), TYPICAL, wanted="awq")
    assert asked.take is not None
    settings = yaml.safe_load(settings_yaml(asked, asked.take))["engine"]["vllm"]
    assert (settings["model"], settings["precision"]) == ("/models/Qwen3-VL-8B-Instruct-awq", "awq")
    assert plan_gpu(find_gpu("RTX 3090"), find_model("32B"), TYPICAL, wanted="bf16").take is None


def test_bf16_is_taken_where_fp8_would_only_save_memory() -> None:
    assert {taken(gpu) for gpu in ("RTX 3090", "A10", "A100 40GB", "A100 80GB")} == {"bf16"}
    assert any("no FP8 hardware" in remark for remark in card_remarks(find_gpu("RTX 3090")))


def test_a_faster_precision_that_takes_images_to_make_is_named_but_not_taken() -> None:
    ampere = plan("RTX 3090")
    assert ampere.faster is not None
    assert ampere.take is not None
    assert ampere.faster.precision.name == "int8"
    assert ampere.faster.images_per_s > 1.5 * ampere.take.images_per_s
    assert plan("H100").faster is None


def test_own_weights_are_taken_only_where_no_published_ones_fit() -> None:
    small = plan("RTX 3080 12GB")
    assert small.take is not None
    assert not small.take.precision.from_hub
    assert small.smaller is not None
    assert short_name(small.smaller) == "4B"


def test_a_card_that_is_too_small_gets_a_smaller_model() -> None:
    smallest = plan("RTX 3080 10GB")
    assert smallest.take is None
    assert smallest.feeding is None
    assert smallest.smaller is not None
    assert taken("RTX 3080 10GB", short_name(smallest.smaller)) == "fp8-block"
    assert "missing" in of(smallest, "fp8-block").how


def test_a_precision_without_kernels_is_not_offered() -> None:
    blackwell = of(plan("B200"), "int8")
    assert blackwell.memory is None
    assert "no INT8 kernels" in blackwell.how


@pytest.mark.parametrize("gpu", GPUS, ids=lambda gpu: gpu.name)
def test_all_assumptions_come_with_the_plan(gpu: Gpu) -> None:
    text = " ".join(plan_assumptions(plan(gpu.name)))
    assert gpu.source in text
    assert "256 vision and 40 text tokens" in text
    assert "not measured" in text
    assert "13.9 GFLOP" in text


def test_a_plan_reports_how_long_written_answers_take() -> None:
    text = " ".join(plan_assumptions(plan("H100")))
    assert "102 requests in flight" in text
    assert "engine.timeout_s" in text


@pytest.mark.parametrize(("gpu", "model"), [("RTX 3090", "8B"), ("A10", "8B"), ("A100 80GB", "32B"), ("H100", "8B")])
def test_no_more_records_are_in_flight_than_the_card_judges_in_time(gpu: str, model: str) -> None:
    planned = plan(gpu, model)
    take = planned.take
    assert take is not None
    assert take.pace is not None
    window = yaml.safe_load(settings_yaml(planned, take)).get("window", {}).get("max_records", 256)
    assert take.pace.in_flight <= window <= 256
    # Two thirds of `engine.timeout_s` are left for what varies.
    assert window / take.images_per_s <= 20


def test_what_does_not_fit_has_no_settings() -> None:
    small = plan("RTX 3080 10GB")
    assert settings_yaml(small, of(small, "bf16")) == ""


def test_a_card_without_bf16_is_never_advised_to_take_it() -> None:
    found = plan("T4", "2B")
    assert found.take is not None
    assert found.take.precision.name != "bf16"
    assert any("computed with in FP16" in remark for remark in card_remarks(found.gpu))
