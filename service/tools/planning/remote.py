"""A plan for a server of its own: the command that starts it, and the settings of the service that asks it."""

import json
import math
import shlex
from typing import Any

import yaml

from service.inference.vllm.arguments import FLOAT32_HEAD, ONLINE_FP8, image_sizes
from service.inference.vllm.environment import OWN_KERNELS
from service.settings.engine import EngineSettings
from service.settings.openai import OpenAISettings
from service.settings.vllm import VllmSettings
from service.tools.planning.advice import window_settings
from service.tools.planning.memory import MEMORY_FRACTION
from service.tools.planning.plan import GpuPlan, PrecisionPlan, model_name
from service.tools.planning.roofline import ImageTime
from service.tools.planning.throughput import images_a_step
from service.tools.planning.workload import TAGS_TOKENS

# What `vllm serve` takes on an A100 and under 70 GiB unless it is given: EngineArgs.get_batch_defaults of vLLM 0.32.
SERVE_STEP_TOKENS = 2048
# Of the longest answer at load: what varies has as long again.
TIMEOUT_FACTOR = 2.0
# Where the servers are is no matter of the card.
_BASE_URL = "http://gpu-1:8000"
_INDENT = " \\\n  "


def serve_command(plan: GpuPlan, choice: PrecisionPlan) -> str:
    """Return the command for the GPU machine, an option a line; empty for a choice that does not fit."""
    if choice.memory is None:
        return ""
    made_on_load = ONLINE_FP8 if choice.precision.name == "fp8-dynamic" else {}
    options: dict[str, Any] = {
        **{name.replace("_", "-"): value for name, value in made_on_load.items()},
        "max-model-len": choice.memory.max_model_len,
        "max-num-batched-tokens": choice.memory.step_tokens,
        "max-num-seqs": choice.memory.sequences,
        "gpu-memory-utilization": MEMORY_FRACTION,
        "limit-mm-per-prompt": {"image": 1, "video": 0},
        "mm-processor-kwargs": {"size": image_sizes(_vision_settings(plan))},
        "structured-outputs-config": {"backend": "xgrammar", "disable_any_whitespace": True},
        "hf-overrides": dict(FLOAT32_HEAD),
    }
    words = [f"--{name} {_quoted(value)}" for name, value in options.items()]
    kernels = " ".join(f"{name}={value}" for name, value in OWN_KERNELS.items())
    serve = f"vllm serve {model_name(plan, choice)}"
    return _INDENT.join([kernels, serve, *words, '--api-key "$KEY"']) + "\n"


def _quoted(value: object) -> str:
    return shlex.quote(value if isinstance(value, str) else json.dumps(value))


def remote_settings_yaml(choice: PrecisionPlan) -> str:
    """Return the part of a settings file for the service beside such a server; empty for one that does not fit."""
    if choice.pace is None:
        return ""
    openai: dict[str, Any] = {
        "base_urls": [_BASE_URL],
        "precision": choice.precision.name,
        "max_in_flight": choice.pace.in_flight,
    }
    engine: dict[str, Any] = {"kind": "openai", "openai": openai}
    request_s = request_timeout_s(choice)
    if request_s > OpenAISettings().request_timeout_s:
        # Time for two servers, as with the defaults.
        openai["request_timeout_s"] = request_s
        engine["timeout_s"] = math.ceil(request_s * EngineSettings().timeout_s / OpenAISettings().request_timeout_s)
    return yaml.safe_dump({"engine": engine} | window_settings(choice), sort_keys=False)


def request_timeout_s(choice: PrecisionPlan) -> float:
    """Return the time limit for one answer that suits a card: the default, or longer for a slow one."""
    longest_s = choice.pace.step_s * TAGS_TOKENS if choice.pace else 0.0
    return max(OpenAISettings().request_timeout_s, float(math.ceil(TIMEOUT_FACTOR * longest_s)))


def untuned_tags_s(time: ImageTime) -> float:
    """Return how long tags take on a server with vLLM's own step, when each is full of new images."""
    return TAGS_TOKENS * images_a_step(SERVE_STEP_TOKENS) * time.stage1


def _vision_settings(plan: GpuPlan) -> VllmSettings:
    return VllmSettings(max_vision_tokens=max(VllmSettings().max_vision_tokens, plan.work.vision_tokens))
