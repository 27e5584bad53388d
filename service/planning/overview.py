"""Every card at once: the table of docs/engine.md."""

from collections.abc import Iterator, Sequence
from dataclasses import replace

from service.planning.gpus import GPUS, Gpu
from service.planning.models import ModelShape, find_model, short_name
from service.planning.plan import GpuPlan, PrecisionPlan, plan_gpu
from service.planning.work import Work

_HEADER = (
    "| Card | Take | Weights GiB | Step tokens | Images in the cache | Images/s | if all are safe | with tags for all "
    "| Cores for 2 MP, 12 MP | Also fits (images/s) |",
    "|---|---|---:|---:|---:|---:|---:|---:|---|---|",
)


def overview(model: ModelShape, work: Work) -> Sequence[GpuPlan]:
    """Return a plan for each card; a smaller model where that one does not fit with published weights."""
    return [_plan(gpu, model, work) for gpu in GPUS]


def overview_markdown(model: ModelShape, work: Work) -> str:
    """Return the plans as a Markdown table, a card a row."""
    return "".join(f"{line}\n" for line in (*_HEADER, *_rows(overview(model, work))))


def alternatives(plan: GpuPlan) -> Sequence[PrecisionPlan]:
    """Return the other precisions that fit, fastest first."""
    others = [each for each in plan.precisions if each.memory and each is not plan.take]
    return sorted(others, key=lambda each: -each.images_per_s)


def with_tags_per_s(choice: PrecisionPlan, work: Work) -> float:
    """Return the images a second if every event wants tags."""
    return 1 / choice.time.average(replace(work, tags_share=1.0)) if choice.time else 0.0


def _plan(gpu: Gpu, model: ModelShape, work: Work) -> GpuPlan:
    plan = plan_gpu(gpu, model, work)
    return plan if plan.smaller is None else plan_gpu(gpu, find_model(short_name(plan.smaller)), work)


def _rows(plans: Sequence[GpuPlan]) -> Iterator[str]:
    for plan in plans:
        take, feeding = plan.take, plan.feeding
        if take is None or take.memory is None or feeding is None:
            yield f"| {plan.gpu.name} | nothing fits |" + " |" * 8
            continue
        cells = (
            plan.gpu.name,
            f"{short_name(plan.model)} {take.precision.name}",
            f"{take.weights_gib:.1f}",
            f"{take.memory.step_tokens:,}",
            f"{take.memory.images:,}",
            rate(take.images_per_s),
            rate(take.stage1_per_s),
            rate(with_tags_per_s(take, plan.work)),
            ", ".join(str(cores) for cores in feeding.cores.values()),
            ", ".join(f"{each.precision.name} ({rate(each.images_per_s)})" for each in alternatives(plan)) or "–",
        )
        yield f"| {' | '.join(cells)} |"


def rate(images_per_s: float) -> str:
    """Return a rate with the digits that an estimate has."""
    return f"{images_per_s:.0f}" if images_per_s >= 20 else f"{images_per_s:.1f}"  # noqa: PLR2004 - two digits
