"""Where each figure of a plan and of a comparison comes from: measured, calculated, published, assumed or given."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

from service.tools.planning.cost import CostQuestion
from service.tools.planning.evidence import PREFILL_SOURCE, prefills_in_words
from service.tools.planning.gpus import Gpu
from service.tools.planning.plan import GpuPlan
from service.tools.planning.precisions import VISION_EFFICIENCY
from service.tools.planning.published_rates import PUBLISHED_RATES
from service.tools.planning.roofline import BANDWIDTH_EFFICIENCY

Kind = Literal["measured", "calculated", "published", "assumed", "given"]


@dataclass(frozen=True, slots=True)
class Source:
    """The origin of a figure."""

    figure: str
    kind: Kind
    source: str


def plan_sources(plan: GpuPlan) -> Iterator[Source]:
    """Yield the source of every figure that a plan prints."""
    yield Source("the card's memory, bandwidth and peaks", "published", plan.gpu.source)
    yield Source("weights", "calculated", f"config.json of {plan.model.name}; transformers counts as many parameters")
    yield Source("cache, images in it, settings", "calculated", "what weights and vLLM's own profile of a step leave")
    yield Source(
        "images/s, all safe, all tagged", "calculated", "operations and bytes of an image over the shares below"
    )
    yield from _share_sources(plan.gpu)
    yield Source("how the card computes", "published", "the kernels that vLLM 0.32 selects for its compute capability")
    yield Source("encoding again for follow-ups", "measured", "vLLM 0.32, a tiny Qwen3-VL on a CPU: 253 of 253 images")
    yield Source("CPU cores, the limit of a process", "measured", "the project's test machine: docs/benchmarks.md")
    yield Source("rates of others", "published", _published_in_words())


def _share_sources(gpu: Gpu) -> Iterator[Source]:
    language, encoder, bandwidth = (
        f"share of the {of}" for of in ("peak, language model", "peak, encoder", "bandwidth")
    )
    if gpu.measured:
        yield from (Source(figure, "measured", gpu.measured.source) for figure in (language, encoder, bandwidth))
        return
    yield Source(language, "published", f"{PREFILL_SOURCE}: {prefills_in_words()}; not for {gpu.name} with Qwen3-VL")
    yield Source(encoder, "assumed", f"{VISION_EFFICIENCY:.0%} of BF16's, without a source")
    yield Source(bandwidth, "assumed", f"{BANDWIDTH_EFFICIENCY:.0%} of the memory's, without a source")


def _published_in_words() -> str:
    dense = [each for each in PUBLISHED_RATES if each.cards == 1]
    ratios = sorted(each.ratio for each in dense)
    return (
        f"the plan calculates {ratios[0]:.2f} to {ratios[-1]:.2f} × what {len(dense)} of them measured with dense "
        "models (docs/engine.md has the table)"
    )


def cost_sources(question: CostQuestion, *, measured: bool, rate_given: bool) -> Iterator[Source]:
    """Yield the source of every figure that a comparison prints."""
    if measured:
        yield Source("images/s of a card", "given", "--images-per-s")
    else:
        yield Source("images/s of a card", "calculated", "'modstream engine plan', never measured on a GPU")
    yield Source("price of a card", "given", "--gpu-hour")
    yield Source("time and cost of own machines", "calculated", "images over images/s, hours times price")
    yield Source("prices of services", "published", "list prices without discounts; pages in the assumptions")
    yield Source("images/s of the embedded engine", "measured", "one core of the test machine: docs/benchmarks.md")
    yield Source("price of a core", "assumed", "a round figure of rented ones")
    if question.usd_rate != 1:
        yield Source("currency", "given" if rate_given else "assumed", f"{question.usd_rate:g} for a US dollar")
