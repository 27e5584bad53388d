from dataclasses import replace
from pathlib import Path

import pytest

from service.tools.planning.advice import plan_assumptions
from service.tools.planning.gpus import GPUS, Gpu, MeasuredShares, find_gpu
from service.tools.planning.models import find_model
from service.tools.planning.plan import GpuPlan, plan_gpu
from service.tools.planning.sources import plan_sources
from service.tools.planning.workload import TYPICAL

BENCHMARKS = Path(__file__).parents[4] / "benchmarks/gpu"
SHARES = MeasuredShares(bf16=0.3, fp8=0.225, encoder=0.2, bandwidth=0.35, source="l4.jsonl, NVIDIA L4")
MEASURED = replace(find_gpu("L4"), measured=SHARES)


def plan(gpu: Gpu, precision: str) -> GpuPlan:
    return plan_gpu(gpu, find_model("8B"), TYPICAL, wanted=precision)


@pytest.mark.parametrize("precision", ["bf16", "fp8-dynamic"])
def test_a_measured_card_is_planned_with_what_was_measured_on_it(precision: str) -> None:
    assumed, measured = plan(find_gpu("L4"), precision).take, plan(MEASURED, precision).take
    assert assumed is not None
    assert measured is not None
    # All shares are half of the assumed ones.
    assert measured.stage1_per_s == pytest.approx(assumed.stage1_per_s / 2)


def test_a_measured_card_is_named_with_the_file_of_its_measurements() -> None:
    measured = plan(MEASURED, "bf16")
    assert "l4.jsonl, NVIDIA L4" in next(plan_assumptions(measured))
    kinds = {each.kind for each in plan_sources(measured) if each.figure.startswith("share of")}
    assert kinds == {"measured"}


@pytest.mark.parametrize("gpu", GPUS, ids=lambda gpu: gpu.name)
def test_what_is_called_measured_is_kept_in_a_file(gpu: Gpu) -> None:
    if gpu.measured:
        assert (BENCHMARKS / gpu.measured.source.partition(",")[0]).exists()
    else:
        assert "not measured" in next(plan_assumptions(plan(gpu, "bf16")))
