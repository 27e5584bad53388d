"""The models that a card may run, side by side: how much faster a smaller one is, and what its images cost."""

from collections.abc import Sequence
from dataclasses import dataclass

from service.tools.planning.cost import SECONDS_AN_HOUR
from service.tools.planning.gpus import Gpu
from service.tools.planning.models import ModelShape, find_model
from service.tools.planning.overview import with_tags_per_s
from service.tools.planning.plan import plan_gpu
from service.tools.planning.workload import Workload

SIZES = ("2B", "4B", "8B")


@dataclass(frozen=True, slots=True)
class ModelChoice:
    """A model on a card, always busy."""

    model: ModelShape
    precision: str | None
    """None: it does not fit."""
    images_per_s: float = 0.0
    with_tags_per_s: float = 0.0

    def per_1000(self, gpu_hour: float) -> float:
        """Return the price of 1,000 images on a card of that price; 0 if the model does not fit."""
        if not self.images_per_s:
            return 0.0
        return gpu_hour / SECONDS_AN_HOUR / self.images_per_s * 1000


def choices(gpu: Gpu, work: Workload, *, also: ModelShape | None = None) -> Sequence[ModelChoice]:
    """Return the models of `SIZES`, and one more, each in the precision that the plan takes; smallest first."""
    models = {model.name: model for model in (*map(find_model, SIZES), *([also] if also else []))}
    return [_choice(gpu, model, work) for model in sorted(models.values(), key=lambda model: model.parameters)]


def _choice(gpu: Gpu, model: ModelShape, work: Workload) -> ModelChoice:
    plan = plan_gpu(gpu, model, work)
    if plan.take is None:
        return ModelChoice(model, None)
    return ModelChoice(model, plan.take.precision.name, plan.take.images_per_s, with_tags_per_s(plan, plan.take))
