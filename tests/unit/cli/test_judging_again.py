import pytest
import typer

from service.cli.cost import UTILISATION
from service.cli.judging_again import priced
from service.cli.named_hardware import gpu_named, model_named
from service.tools.evaluation.backtest.result import JudgingAgain
from service.tools.planning.plan import plan_gpu
from service.tools.planning.workload import TYPICAL


def test_the_hours_are_those_of_the_plan_and_the_price_follows_them() -> None:
    take = plan_gpu(gpu_named("L4"), model_named("8B"), TYPICAL).take
    assert take is not None
    images = round(take.images_per_s * 3600)
    again = priced(JudgingAgain(images), gpu="L4", gpu_hour_usd=0.5)
    assert again.gpu_hours == pytest.approx(1 / UTILISATION, rel=1e-3)
    assert again.usd == pytest.approx(0.5 / UTILISATION, rel=1e-3)
    assert "L4" in again.assumption


def test_without_the_price_of_an_hour_no_price_is_given() -> None:
    again = priced(JudgingAgain(10))
    assert (again.usd, again.gpu_hours is None) == (None, False)


def test_a_model_that_does_not_fit_leaves_the_hours_unknown() -> None:
    again = priced(JudgingAgain(10), gpu="L4", model="32B", gpu_hour_usd=1.0)
    assert (again.gpu_hours, again.usd) == (None, None)
    assert "do not fit" in again.assumption


def test_a_gpu_that_is_not_known_ends_the_command() -> None:
    with pytest.raises(typer.Exit):
        priced(JudgingAgain(10), gpu="abacus")
