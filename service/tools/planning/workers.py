"""What one process of the service can do, with a GPU or with the embedded engine, and what it needs for that."""

import math
from dataclasses import dataclass

from service.settings.delivery import WindowSettings
from service.settings.types import MIB
from service.tools.planning.cpu_sizing import ENGINE_CORES, EVENT_CPU_S, SUBMISSION_CPU_S, decode_s, process_wall
from service.tools.planning.first_pass import FirstPassPlan
from service.tools.planning.models import short_name
from service.tools.planning.plan import GpuPlan
from service.tools.planning.prices import EMBEDDED_IMAGES_A_CORE

# Of a process with the embedded engine: enough that a file that keeps a core busy leaves three.
EMBEDDED_CORES = 4
# From the start of a pod to its first record. The model is read from disk and graphs are captured: an assumption.
GPU_START_S, EMBEDDED_START_S = 300.0, 20.0
# Of the main process, measured (docs/benchmarks.md).
SERVICE_GIB = 0.1
# Of a decoder process, measured (docs/deploy.md): 45 MB, and 920 MiB for the dearest picture within the default limits.
DECODER_GIB = 0.94
# Of vLLM's processes beside the GPU's memory: an assumption.
VLLM_GIB = 8.0
# Until both classifiers have answered.
EMBEDDED_ANSWER_S = 0.1


@dataclass(frozen=True, slots=True)
class Worker:
    """One process, and the machine or the part of one that it runs on."""

    name: str
    images_per_s: float
    """At most."""
    limited_by: str
    """What it cannot do more than."""
    cores: int
    memory_gib: float
    start_s: float
    """From the decision to add one until it judges."""
    answer_s: float
    """That the engine takes for an image while it is busy, its wait for a step or a core included."""
    has_gpu: bool
    first_pass_cards: float = 0.0
    """Cards of a first pass beside it, for each process at its full rate; 0 if the first pass has none of its own."""


def gpu_worker(
    plan: GpuPlan, megapixels: float, *, images_per_s: float | None = None, passes: FirstPassPlan | None = None
) -> Worker | None:
    """Return a process with a card of its own, with a first pass if one is planned; None if the model does not fit.

    `images_per_s` is a measured rate of the card, in place of the calculated one.
    """
    take = plan.take
    if take is None or take.pace is None:
        return None
    rate = images_per_s or (passes.main_per_s if passes else take.images_per_s)
    handed_over = passes.passes if passes else 1.0
    fed = min(rate, process_wall(handed_over))
    cores = math.ceil(fed * (decode_s(megapixels) + EVENT_CPU_S + handed_over * SUBMISSION_CPU_S) + ENGINE_CORES)
    first = f" after a first pass of {short_name(passes.model)}, {passes.vision_tokens} tokens" if passes else ""
    return Worker(
        name=f"{plan.gpu.name}, {short_name(plan.model)} {take.precision.name}{first}",
        images_per_s=fed,
        limited_by="the GPU" if fed == rate else "one process's interpreter",
        cores=cores,
        memory_gib=_memory_gib(cores) + VLLM_GIB,
        start_s=GPU_START_S,
        answer_s=2 * take.pace.step_s * handed_over,
        has_gpu=True,
        first_pass_cards=passes.first_cards * fed / rate if passes else 0.0,
    )


def embedded_worker(megapixels: float, cores: int = EMBEDDED_CORES) -> Worker:
    """Return a process with the embedded engine."""
    image_s = 1 / EMBEDDED_IMAGES_A_CORE + decode_s(megapixels) + EVENT_CPU_S
    rate, wall = cores / image_s, 1 / EVENT_CPU_S
    return Worker(
        name=f"embedded engine, {cores} cores",
        images_per_s=min(rate, wall),
        limited_by="its cores" if rate < wall else "one process's interpreter",
        cores=cores,
        memory_gib=_memory_gib(cores),
        start_s=EMBEDDED_START_S,
        answer_s=EMBEDDED_ANSWER_S,
        has_gpu=False,
    )


def _memory_gib(decoders: int) -> float:
    """Return what the service holds at most: itself, its window, and a decoder a core."""
    return SERVICE_GIB + WindowSettings().max_bytes / MIB / 1024 + decoders * DECODER_GIB
