"""What judging images again takes, for `modstream backtest`."""

from dataclasses import replace

from service.cli.cost import DEFAULT_GPU, UTILISATION
from service.cli.named_hardware import gpu_named, model_named
from service.tools.evaluation.backtest.result import JudgingAgain
from service.tools.planning.cost import SECONDS_AN_HOUR
from service.tools.planning.models import DEFAULT_MODEL, short_name
from service.tools.planning.plan import plan_gpu
from service.tools.planning.workload import TYPICAL


def priced(
    again: JudgingAgain, *, gpu: str | None = None, model: str = DEFAULT_MODEL, gpu_hour_usd: float | None = None
) -> JudgingAgain:
    """Return the same with the hours of a GPU, and with the price if that of an hour is given.

    The rate is that of `modstream engine plan`. A model that does not fit the GPU leaves the hours unknown. Ends the
    command for a GPU or a model that is not known.
    """
    plan = plan_gpu(gpu_named(gpu or DEFAULT_GPU), model_named(model), TYPICAL)
    what = f"{plan.gpu.name} and Qwen3-VL {short_name(plan.model)}"
    if plan.take is None:
        return replace(again, assumption=f"{what} do not fit each other.")
    hours = again.images / plan.take.images_per_s / SECONDS_AN_HOUR / UTILISATION
    assumption = (
        f"Calculated for one {what} as by 'modstream engine plan', which is busy {UTILISATION:.0%} of the time."
    )
    usd = None if gpu_hour_usd is None else hours * gpu_hour_usd
    return replace(again, gpu_hours=hours, usd=usd, assumption=assumption)
