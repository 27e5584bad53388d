"""A plan's settings, and what it assumes, in words."""

from collections.abc import Iterator

import yaml

from service.settings.delivery import WindowSettings
from service.tools.planning.cpu_sizing import DECODES_A_CORE, ENGINE_CORES, EVENT_CPU_S, SUBMISSION_CPU_S
from service.tools.planning.gpus import Gpu
from service.tools.planning.memory import GIB, MEMORY_FRACTION, OVERHEAD_BYTES
from service.tools.planning.plan import GpuPlan, PrecisionPlan, model_name
from service.tools.planning.precisions import FP8_BLOCK_CAPABILITY, vision_share
from service.tools.planning.roofline import bandwidth_share
from service.tools.planning.throughput import Pace
from service.tools.planning.workload import (
    FOLLOW_UPS,
    LATER_ROUNDS,
    QUESTION_TOKENS,
    REASON_TOKENS,
    TAGS_TOKENS,
    Workload,
)

# Of one image, unless `max_vision_tokens` says otherwise.
VISION_TOKENS_ALLOWED = 1024
# Of a record for its turn: a third of `engine.timeout_s`, as fetching and decoding vary, and tags take longer.
LONGEST_WAIT_S = 20.0


def settings_yaml(plan: GpuPlan, choice: PrecisionPlan) -> str:
    """Return the part of a settings file that a choice comes to; empty for one that does not fit."""
    memory = choice.memory
    if memory is None:
        return ""
    vllm: dict[str, str | float] = {
        "model": model_name(plan, choice),
        "precision": choice.precision.setting,
        "gpu_memory_fraction": MEMORY_FRACTION,
        "max_model_len": memory.max_model_len,
        "max_sequences": memory.sequences,
        "max_batched_tokens": memory.step_tokens,
    }
    if plan.work.vision_tokens > VISION_TOKENS_ALLOWED:
        vllm["max_vision_tokens"] = plan.work.vision_tokens
    document = {"engine": {"kind": "vllm", "vllm": vllm}} | window_settings(choice)
    return yaml.safe_dump(document, sort_keys=False)


def window_settings(choice: PrecisionPlan) -> dict[str, dict[str, int]]:
    """Return how many records may be in flight where the default is more than a slow card judges in time."""
    in_flight = choice.pace.in_flight if choice.pace else 0
    records = max(in_flight, int(choice.images_per_s * LONGEST_WAIT_S))
    return {"window": {"max_records": records}} if records < WindowSettings().max_records else {}


def card_remarks(gpu: Gpu) -> Iterator[str]:
    """Yield what is special about a card."""
    if gpu.fp8_tflops is None:
        yield f"no FP8 hardware: FP8 weights save memory, and are computed with in {'BF16' if gpu.has_bf16 else 'FP16'}"
    elif gpu.capability < FP8_BLOCK_CAPABILITY:
        yield "Qwen's FP8 weights have scales by block: vLLM has no kernels for them here, and computes in BF16"
    if gpu.ecc_share:
        yield f"error correction keeps {gpu.ecc_share:.2%} of its memory"
    if gpu.note:
        yield gpu.note


def work_in_words(work: Workload) -> str:
    """Return what is asked about an image."""
    return (
        f"{work.vision_tokens} vision and {work.text_tokens} text tokens after a cached policy of "
        f"{work.policy_tokens}; {work.stage2_share:.0%} get follow-up questions, {work.tags_share:.0%} get tags"
    )


def plan_assumptions(plan: GpuPlan) -> Iterator[str]:
    """Yield all that the figures of a plan rest on."""
    work, model = plan.work, plan.model
    measured = plan.gpu.measured
    how = f"with shares of the peaks measured on {measured.source}" if measured else "not measured"
    yield f"Calculated, {how}: expect up to a third less or more. Data of the card: {plan.gpu.source}."
    yield f"An image: {work_in_words(work)}."
    yield "All safe: no image gets follow-up questions. All tagged: every image gets tags."
    yield (
        f"{model.name}: {model.token_operations(context=0) / 1e9:.1f} GFLOP a token, "
        f"{model.vision_operations(work.vision_tokens) / work.vision_tokens / 1e9:.1f} a vision token in the encoder "
        f"(always in BF16), {model.kv_bytes() / 1024:.0f} KiB of cache a token: from its config.json."
    )
    yield f"Shares of the card's dense peak as in the table; the encoder has BF16's at {vision_share(plan.gpu):.0%}."
    yield (
        f"Follow-ups are {FOLLOW_UPS} yes/no questions and an explanation of {REASON_TOKENS} tokens, and encode the "
        f"image {LATER_ROUNDS} times more; tags are {TAGS_TOKENS} tokens, questions {QUESTION_TOKENS}; answers are "
        f"written in steps that read new images, at {bandwidth_share(plan.gpu):.0%} of the memory's bandwidth."
    )
    if plan.take is not None and plan.take.pace is not None:
        yield _pace_in_words(plan.take.pace)
    yield (
        f"vLLM may use {MEMORY_FRACTION:.0%} of the memory; CUDA and graphs take {OVERHEAD_BYTES / GIB:.1f} GiB; the "
        "cache holds bf16."
    )


def _pace_in_words(pace: Pace) -> str:
    return (
        f"The service keeps {pace.in_flight} requests in flight; a step then takes {pace.step_s:.2f} s on average, and "
        f"tags, a step a token, {pace.step_s * TAGS_TOKENS:.0f} s (engine.timeout_s ends what takes longer)."
    )


def feeding_assumptions() -> str:
    """Return what the number of CPU cores rests on."""
    decoding = ", ".join(f"{rate:g} of {size}" for size, rate in DECODES_A_CORE.items())
    return (
        f"Measured on the project's test machine: a core decodes {decoding} JPEG a second; the service's process takes "
        f"{EVENT_CPU_S * 1e3:.1f} ms of CPU an image and vLLM's part in it {SUBMISSION_CPU_S * 1e3:.1f} ms; "
        f"vLLM's engine process keeps {ENGINE_CORES:g} core busy."
    )
