"""Pure: converts the settings to arguments of vLLM's engine."""

import difflib
import re
from collections.abc import Collection, Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Any

from pydantic import JsonValue

from service.inference.errors import EngineConfigurationError
from service.inference.vision.patch import PATCH
from service.settings.vllm import DEFAULT_MODEL, DEFAULT_MODEL_REVISION, VllmSettings

_SETTINGS = "engine.vllm"
_FREE = f"{_SETTINGS}.engine_args"

_COMMIT = re.compile(r"[0-9a-f]{40}")

# An image of the default budget, its question and its caption; the policy before them is in the prefix cache.
_TOKENS_AN_IMAGE = 256 + 64

_SETTING_OF = MappingProxyType(
    {
        "model": "model",
        "tokenizer": "model",
        "revision": "revision",
        "tokenizer_revision": "revision",
        "download_dir": "download_dir",
        "quantization": "precision",
        "quantization_config": "precision",
        "dtype": "precision",
        "tensor_parallel_size": "tensor_parallel",
        "data_parallel_size": "data_parallel",
        "gpu_memory_utilization": "gpu_memory_fraction",
        "kv_cache_memory_bytes": "kv_cache_bytes",
        "kv_cache_dtype": "kv_cache_dtype",
        "max_model_len": "max_model_len",
        "max_num_seqs": "max_sequences",
        "max_num_batched_tokens": "max_batched_tokens",
        "enable_prefix_caching": "prefix_caching",
        "mm_processor_cache_gb": "processor_cache_gb",
        "mm_processor_kwargs": "max_vision_tokens",
        "block_size": "block_size",
        "enforce_eager": "enforce_eager",
        "enable_lora": "adapters",
        "max_loras": "max_loras",
        "max_lora_rank": "max_lora_rank",
    }
)
"""vLLM's argument → the setting that covers it."""

_FIXED = MappingProxyType[str, Any](
    {
        # Over the whole vocabulary and before any masking: scores and label mass are read off these.
        "logprobs_mode": "raw_logprobs",
        # Stopping means that nothing is in flight that is still awaited.
        "shutdown_timeout": 0,
        # Captions stand in its request log.
        "enable_log_requests": False,
        # Names card and kernels for verdicts.
        "worker_extension_cls": "service.inference.vllm.worker.LoadedParts",
    }
)
"""What the service relies on."""

FLOAT32_HEAD: Mapping[str, JsonValue] = MappingProxyType({"head_dtype": "float32"})
"""The last layer's result, from which scores are read. In bfloat16 a logit of 20 is rounded to eighths, and a
probability by up to 6 %."""

ONLINE_FP8: Mapping[str, Any] = MappingProxyType(
    {
        "quantization": "fp8_per_channel",
        # vLLM would quantise the vision encoder too, which no published FP8 model does.
        "quantization_config": {"ignore": ["re:.*visual\\..*", "re:.*lm_head.*"]},
    }
)
"""vLLM's arguments that turn a model of full precision into what llm-compressor's FP8_DYNAMIC makes of it."""

_ELSEWHERE = frozenset({"limit_mm_per_prompt", "max_cpu_loras", "structured_outputs_config"})
"""What it relies on too, but works out."""


def engine_arguments(
    settings: VllmSettings, *, known: Collection[str], on_cpu: bool, traces_url: str | None = None, images: int = 1
) -> dict[str, Any]:
    """Return arguments for `AsyncEngineArgs`, whose fields are `known`; a request has at most so many `images`.

    Raises `EngineConfigurationError` for a free argument that vLLM does not know or that has a setting of its own.
    """
    for name in settings.engine_args:
        _check_free(name, known)
    # vLLM ends at the first request if it is to trace without keeping statistics.
    is_traced = traces_url is not None and not settings.engine_args.get("disable_log_stats")
    traces = {"otlp_traces_endpoint": traces_url} if is_traced else {}
    free = {**settings.engine_args, "hf_overrides": _overrides(settings)}
    limits = {"limit_mm_per_prompt": {"image": images, "video": 0}}
    return {**_typed(settings), **_adapters(settings, on_cpu=on_cpu), **traces, **limits, **_FIXED, **free}


def wanted_revision(settings: VllmSettings) -> str | None:
    """Return the revision on the hub to load: the settings', or the one of the default model; None for the newest."""
    return settings.revision or (DEFAULT_MODEL_REVISION if settings.model == DEFAULT_MODEL else None)


def is_pinned(settings: VllmSettings) -> bool:
    """Return whether every start loads the same weights: a folder's, or those of one commit on the hub."""
    return Path(settings.model).is_dir() or bool(_COMMIT.fullmatch(wanted_revision(settings) or ""))


def concurrency(settings: VllmSettings) -> int:
    """Return how many requests keep the engine busy.

    A step takes as many images as its tokens and its places allow. While one step runs, the images of the next have to
    lie in the engine's queue already; any more would only wait there, out of reach of deadlines and cancellation.
    """
    a_step = min(settings.max_sequences, max(1, settings.max_batched_tokens // _TOKENS_AN_IMAGE))
    return 2 * a_step * settings.data_parallel


def image_sizes(settings: VllmSettings) -> dict[str, int]:
    """Return the bounds of images in pixels, under the names that the processor has for them."""
    return {
        "shortest_edge": settings.min_vision_tokens * PATCH**2,
        "longest_edge": settings.max_vision_tokens * PATCH**2,
    }


def _typed(settings: VllmSettings) -> dict[str, Any]:
    return {
        "model": settings.model,
        "revision": wanted_revision(settings),
        "tokenizer_revision": wanted_revision(settings),
        "download_dir": str(settings.download_dir) if settings.download_dir else None,
        "dtype": "bfloat16" if settings.precision == "bf16" else "auto",
        "tensor_parallel_size": settings.tensor_parallel,
        "data_parallel_size": settings.data_parallel,
        "gpu_memory_utilization": settings.gpu_memory_fraction,
        "kv_cache_memory_bytes": settings.kv_cache_bytes or None,
        "kv_cache_dtype": settings.kv_cache_dtype,
        "max_model_len": settings.max_model_len,
        "max_num_seqs": settings.max_sequences,
        "max_num_batched_tokens": settings.max_batched_tokens,
        "enable_prefix_caching": settings.prefix_caching,
        "mm_processor_cache_gb": settings.processor_cache_gb,
        "mm_processor_kwargs": {"size": image_sizes(settings)},
        "block_size": settings.block_size or None,
        "enforce_eager": settings.enforce_eager,
    }


def _overrides(settings: VllmSettings) -> dict[str, JsonValue]:
    """Return what to change in the model's own configuration: the head, and what the free arguments change in it."""
    given = settings.engine_args.get("hf_overrides", {})
    if not isinstance(given, dict):
        raise EngineConfigurationError(setting=_FREE, detail="'hf_overrides' is no mapping")
    return {**FLOAT32_HEAD, **given}


def _adapters(settings: VllmSettings, *, on_cpu: bool) -> dict[str, Any]:
    if not settings.adapters:
        return {}
    count = len(settings.adapters)
    # vLLM's operations for CPUs (0.32) apply what is in the last place to the requests without an adapter that share a
    # step with others: their answers would be another tenant's. Those for GPUs leave such requests alone. So on a CPU
    # every adapter has a place of its own, and the last one stays empty.
    places = count + 1 if on_cpu else min(settings.max_loras, count)
    return {
        "enable_lora": True,
        "max_loras": places,
        # All stay in memory: one that has to be read again inside a step can end the engine.
        "max_cpu_loras": max(places, count),
        "max_lora_rank": settings.max_lora_rank,
    }


def _check_free(name: str, known: Collection[str]) -> None:
    if name in _SETTING_OF:
        detail = f"{name!r} has a setting of its own, {_SETTINGS}.{_SETTING_OF[name]}"
    elif name in _FIXED or name in _ELSEWHERE:
        detail = f"{name!r} is set by the service, which relies on it"
    elif name not in known:
        alike = difflib.get_close_matches(name, known, n=1)
        detail = f"vLLM has no argument {name!r}" + (f"; did you mean {alike[0]!r}?" if alike else "")
    else:
        return
    raise EngineConfigurationError(setting=_FREE, detail=detail)
