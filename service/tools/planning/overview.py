"""Every card at once: the table of docs/engine.md."""

from collections.abc import Iterator, Sequence
from dataclasses import replace

from service.tools.planning.gpus import GPUS, Gpu
from service.tools.planning.memory import GIB, needed_gib, plan_memory
from service.tools.planning.models import MODELS, ModelShape, find_model, short_name
from service.tools.planning.plan import GpuPlan, PrecisionPlan, plan_gpu, plan_precision
from service.tools.planning.precisions import PRECISIONS, Precision, computation, weight_bytes
from service.tools.planning.throughput import STEP_TOKENS
from service.tools.planning.workload import Candidate, Workload

_HEADER = (
    "| Card | Take | Weights GiB | Step tokens | Images in the cache | Images/s | if all are safe | with tags for all "
    "| Cores for 2 MP, 12 MP | Also fits (images/s) |",
    "|---|---|---:|---:|---:|---:|---:|---:|---|---|",
)
_NEEDS_HEADER = ("| Model | Precision | Weights GiB | Card GiB, at least | Fits |", "|---|---|---:|---:|---|")


def overview(model: ModelShape, work: Workload) -> Sequence[GpuPlan]:
    """Return a plan for each card; a smaller model where that one does not fit with published weights."""
    return [_plan(gpu, model, work) for gpu in GPUS]


def overview_markdown(model: ModelShape, work: Workload) -> str:
    """Return the plans as a Markdown table, a card a row."""
    return "".join(f"{line}\n" for line in (*_HEADER, *_rows(overview(model, work))))


def needs_markdown(work: Workload) -> str:
    """Return what each model needs in each precision as a Markdown table."""
    # Both kinds of FP8 take the same.
    precisions = [precision for precision in PRECISIONS if precision.name != "fp8-dynamic"]
    rows = (_needs(model, precision, work) for model in MODELS for precision in precisions)
    return "".join(f"{line}\n" for line in (*_NEEDS_HEADER, *rows))


def _needs(model: ModelShape, precision: Precision, work: Workload) -> str:
    candidates = [Candidate(gpu, model, precision, work) for gpu in GPUS]
    fits = [each.gpu.name for each in candidates if _fits(each)]
    others = [gpu.name for gpu in GPUS if gpu.name not in fits]
    cards = ", ".join(fits) if len(fits) < len(others) else f"all but {', '.join(others)}" if others else "all"
    weights, needed = weight_bytes(model, precision) / GIB, needed_gib(candidates[0])
    return f"| {short_name(model)} | {precision.setting} | {weights:.1f} | {needed:.1f} | {cards} |"


def _fits(candidate: Candidate) -> bool:
    runs = computation(candidate.gpu, candidate.precision) is not None
    return runs and plan_memory(candidate, STEP_TOKENS[-1]) is not None


def alternatives(plan: GpuPlan) -> Sequence[PrecisionPlan]:
    """Return the other precisions that fit, fastest first; FP8 by row only where it is taken, as it is no faster."""
    named = {plan.take.precision.name, "fp8-dynamic"} if plan.take else set()
    others = [each for each in plan.precisions if each.memory and each.precision.name not in named]
    return sorted(others, key=lambda each: -each.images_per_s)


def with_tags_per_s(plan: GpuPlan, choice: PrecisionPlan) -> float:
    """Return the images a second if every event wants tags, with the settings that suit that."""
    work = replace(plan.work, tags_share=1.0)
    return plan_precision(Candidate(plan.gpu, plan.model, choice.precision, work)).images_per_s


def _plan(gpu: Gpu, model: ModelShape, work: Workload) -> GpuPlan:
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
            rate(with_tags_per_s(plan, take)),
            ", ".join(str(cores) for cores in feeding.cores.values()),
            _with_rates(alternatives(plan)),
        )
        yield f"| {' | '.join(cells)} |"


def _with_rates(choices: Sequence[PrecisionPlan]) -> str:
    return ", ".join(f"{each.precision.name} ({rate(each.images_per_s)})" for each in choices) or "–"


def rate(images_per_s: float) -> str:
    """Return a rate with the digits that an estimate has."""
    return f"{images_per_s:.0f}" if images_per_s >= 20 else f"{images_per_s:.1f}"  # noqa: PLR2004 - two digits
