"""The table of `modstream finetune plan`."""

from collections.abc import Sequence

from rich.table import Table

from service.tools.finetuning.memory_plan import TrainingPlan
from service.tools.planning.gpus import Gpu
from service.tools.planning.models import ModelShape, short_name

_HEAD = ("Card", "Model", "Options", "Weights", "Adapter", "Activations", "In all", "Hours")

Plans = Sequence[tuple[Gpu, ModelShape, TrainingPlan | None]]


def plan_table(plans: Plans) -> Table:
    """Return the plans as a table for a terminal."""
    table = Table(*_HEAD, box=None)
    for row in _rows(plans):
        table.add_row(*row)
    return table


def plan_markdown(plans: Plans) -> str:
    """Return the plans as a table of Markdown."""
    rows = [f"| {' | '.join(row)} |" for row in _rows(plans)]
    return "\n".join([f"| {' | '.join(_HEAD)} |", "|---" * len(_HEAD) + "|", *rows])


def _rows(plans: Plans) -> Sequence[Sequence[str]]:
    return [_row(*each) for each in plans]


def _row(gpu: Gpu, model: ModelShape, plan: TrainingPlan | None) -> Sequence[str]:
    card = f"{gpu.name} ({gpu.usable_gib:.0f} GiB)"
    if plan is None:
        return (card, short_name(model), "does not fit", *["-"] * 5)
    memory = (plan.weights_gib, plan.adapter_gib, plan.activations_gib, plan.total_gib)
    return (card, short_name(model), plan.options, *[f"{value:.1f} GiB" for value in memory], f"{plan.hours:.1f}")
