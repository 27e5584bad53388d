"""What to run on a card: every precision weighed, and one to take."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

from service.tools.planning.cpu_sizing import CpuSizing, feed
from service.tools.planning.gpus import Gpu
from service.tools.planning.memory import GIB, MemoryPlan, missing_gib, plan_memory
from service.tools.planning.models import ModelShape, short_name, smaller_than
from service.tools.planning.precisions import PRECISIONS, Precision, computation, weight_bytes
from service.tools.planning.roofline import ImageTime, image_time
from service.tools.planning.throughput import MAX_STEP_S, STEP_TOKENS, Pace, pace
from service.tools.planning.workload import Candidate, Workload

# Weights that are not faster by a twentieth are not worth making.
WORTH_MAKING = 1.05


@dataclass(frozen=True, slots=True)
class PrecisionPlan:
    """One precision on one card."""

    precision: Precision
    weights_gib: float
    how: str
    """How the card computes with it, or why it cannot."""
    memory: MemoryPlan | None = None
    """None: it does not fit, or cannot be computed with."""
    time: ImageTime | None = None
    pace: Pace | None = None
    images_per_s: float = 0.0
    """With the shares of stage 2 and of tags that were asked for."""
    stage1_per_s: float = 0.0
    """If every image were safe and wanted no tags."""


@dataclass(frozen=True, slots=True)
class GpuPlan:
    """A model on one card."""

    gpu: Gpu
    model: ModelShape
    work: Workload
    precisions: Sequence[PrecisionPlan]
    take: PrecisionPlan | None
    """The one that was asked for; else the fastest of those that the hub's weights give; another one only if none of
    these fits. None: none fits."""
    faster: PrecisionPlan | None
    """One that is faster, whose weights you make yourself."""
    feeding: CpuSizing | None
    smaller: ModelShape | None
    """The largest model that fits with published weights, if this one does not."""


def plan_gpu(gpu: Gpu, model: ModelShape, work: Workload, *, wanted: str | None = None) -> GpuPlan:
    """Weigh every precision of a model on a card; `wanted` names the one to take, if it fits."""
    plans = [plan_precision(Candidate(gpu, model, precision, work)) for precision in PRECISIONS]
    fitting = sorted((plan for plan in plans if plan.memory), key=lambda plan: -plan.images_per_s)
    from_hub = [plan for plan in fitting if plan.precision.from_hub]
    chosen = [plan for plan in fitting if plan.precision.name == wanted] if wanted else from_hub or fitting
    take = _simplest(chosen)
    return GpuPlan(
        gpu=gpu,
        model=model,
        work=work,
        precisions=plans,
        take=take,
        faster=_faster(fitting, take),
        feeding=feed(take.images_per_s) if take else None,
        smaller=None if from_hub else _smaller(gpu, model, work),
    )


def _simplest(plans: Sequence[PrecisionPlan]) -> PrecisionPlan | None:
    """Return the first by `PRECISIONS` of those that are as good as the fastest: plans come fastest first."""
    as_good = [plan for plan in plans if plan.images_per_s * WORTH_MAKING > plans[0].images_per_s]
    return min(as_good, key=lambda plan: PRECISIONS.index(plan.precision), default=None)


def _faster(plans: Sequence[PrecisionPlan], than: PrecisionPlan | None) -> PrecisionPlan | None:
    """Return the first of plans, fastest first, if it is worth making weights for."""
    if than is None or not plans or plans[0].images_per_s < WORTH_MAKING * than.images_per_s:
        return None
    return plans[0]


def plan_precision(candidate: Candidate) -> PrecisionPlan:
    """Weigh one precision."""
    precision, work = candidate.precision, candidate.work
    weights_gib = weight_bytes(candidate.model, precision) / GIB
    how, time = computation(candidate.gpu, precision), image_time(candidate)
    if how is None or time is None:
        return PrecisionPlan(precision, weights_gib, f"not on this card: {candidate.gpu.note}")
    memory = _memory(candidate, time)
    if memory is None:
        return PrecisionPlan(precision, weights_gib, f"does not fit: {missing_gib(candidate):.1f} GiB are missing")
    kept_full = pace(time, work, memory.step_tokens)
    safe = pace(time, replace(work, stage2_share=0.0, tags_share=0.0), memory.step_tokens)
    return PrecisionPlan(
        precision,
        weights_gib,
        how.how,
        memory,
        time,
        kept_full,
        images_per_s=kept_full.images_per_s,
        stage1_per_s=safe.images_per_s,
    )


def _memory(candidate: Candidate, time: ImageTime) -> MemoryPlan | None:
    """Return the plan with the largest steps that fit and are short enough; with the smallest if none is."""
    plans = [plan for tokens in STEP_TOKENS if (plan := plan_memory(candidate, tokens))]
    short = (plan for plan in plans if pace(time, candidate.work, plan.step_tokens).step_s <= MAX_STEP_S)
    return next(short, plans[-1] if plans else None)


def model_name(plan: GpuPlan, choice: PrecisionPlan) -> str:
    """Return the name on the hub, or a place for your own weights."""
    if choice.precision.from_hub:
        return f"{plan.model.name}{choice.precision.suffix}"
    return f"/models/Qwen3-VL-{short_name(plan.model)}-Instruct-{choice.precision.name}"


def _smaller(gpu: Gpu, model: ModelShape, work: Workload) -> ModelShape | None:
    return next((other for other in smaller_than(model) if _published_fits(gpu, other, work)), None)


def _published_fits(gpu: Gpu, model: ModelShape, work: Workload) -> bool:
    candidates = (Candidate(gpu, model, precision, work) for precision in PRECISIONS if precision.from_hub)
    return any(plan_precision(candidate).memory for candidate in candidates)
