"""The same engine for the service and for what it is compared with: one model, one policy, one size of images."""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

from benchmarks.vision.model import tiny_settings
from testing.shapes_policy import write_shapes_policy
from testing.tiny_model.shapes import INSTRUCTIONS
from testing.tiny_model.tiny import model_folder
from testing.vllm_server import vllm_server

# Near to what the tiny model was trained with.
VISION_TOKENS = 64


def _sizes() -> dict[str, int]:
    return {"shortest_edge": 4 * 32**2, "longest_edge": VISION_TOKENS * 32**2}


def engine_arguments() -> dict[str, object]:
    """Return arguments for vLLM's own engine."""
    settings = tiny_settings()
    return {
        "model": settings.model,
        "max_model_len": settings.max_model_len,
        "max_num_batched_tokens": settings.max_batched_tokens,
        "max_num_seqs": settings.max_sequences,
        "block_size": settings.block_size,
        "kv_cache_memory_bytes": settings.kv_cache_bytes,
        "limit_mm_per_prompt": {"image": 1, "video": 0},
        "mm_processor_kwargs": {"size": _sizes()},
        "enforce_eager": True,
    }


def service_settings(folder: Path) -> dict[str, object]:
    """Return the service's settings for the same; the policy's file comes into the folder."""
    policy = write_shapes_policy(folder, replace(INSTRUCTIONS, vision_tokens=VISION_TOKENS))
    vllm = tiny_settings().model_copy(update={"max_vision_tokens": VISION_TOKENS})
    return {
        "engine": {"kind": "vllm", "vllm": vllm.model_dump(mode="json", exclude_defaults=True)},
        "policy": {"path": str(policy), "default": "shapes"},
    }


@contextmanager
def vllm_serve(folder: Path) -> Iterator[str]:
    """Run `vllm serve` with the same engine; yields its URL."""
    # What is given last holds.
    arguments = engine_arguments()
    del arguments["model"], arguments["enforce_eager"]
    flags = []
    for name, value in arguments.items():
        flags += [f"--{name.replace('_', '-')}", value if isinstance(value, str) else json.dumps(value)]
    with vllm_server(model_folder(), folder / "vllm.log", *flags) as server:
        yield server.url
