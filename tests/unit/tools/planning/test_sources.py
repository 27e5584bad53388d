from typing import get_args

from service.tools.planning.cost import CostQuestion
from service.tools.planning.gpus import GPUS, find_gpu
from service.tools.planning.models import find_model
from service.tools.planning.plan import GpuPlan, plan_gpu
from service.tools.planning.sources import Kind, Source, cost_sources, plan_sources
from service.tools.planning.workload import TYPICAL

QUESTION = CostQuestion(5000, gpu_hour=2.5, usd_rate=7.1, images_per_s=100.0, utilisation=0.8)


def plan(gpu: str) -> GpuPlan:
    return plan_gpu(find_gpu(gpu), find_model("8B"), TYPICAL)


def of(sources: list[Source], figure: str) -> Source:
    return next(each for each in sources if figure in each.figure)


def test_no_rate_of_a_gpu_is_called_measured() -> None:
    for gpu in GPUS:
        assert of([*plan_sources(plan(gpu.name))], "images/s").kind == "calculated"
    assert of([*cost_sources(QUESTION, measured=False, rate_given=False)], "images/s").kind == "calculated"


def test_every_figure_has_a_kind_and_a_source() -> None:
    for each in (*plan_sources(plan("H100")), *cost_sources(QUESTION, measured=False, rate_given=True)):
        assert each.kind in get_args(Kind)
        assert each.source


def test_the_published_shares_name_their_document_and_the_cards_they_are_of() -> None:
    share = of([*plan_sources(plan("L4"))], "language model")
    assert "TensorRT-LLM" in share.source
    assert "L40S" in share.source


def test_what_you_gave_is_called_given() -> None:
    given = [*cost_sources(QUESTION, measured=True, rate_given=True)]
    assert [of(given, name).kind for name in ("images/s of a card", "price of a card", "currency")] == ["given"] * 3
    assert of([*cost_sources(QUESTION, measured=True, rate_given=False)], "currency").kind == "assumed"
