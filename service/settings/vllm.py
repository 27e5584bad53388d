"""The settings of vLLM inside this process."""

import re
from pathlib import Path
from typing import Annotated, Literal

from pydantic import AfterValidator, Field, JsonValue
from pydantic_core import PydanticCustomError

from service.settings.types import Group, Positive, PositiveSeconds

_ADAPTER = re.compile(r"[^\s=]+=\S.*")


def _adapters(texts: tuple[str, ...]) -> tuple[str, ...]:
    for text in texts:
        if not _ADAPTER.fullmatch(text):
            message = '"{text}" names no adapter; one is written as NAME=PATH'
            raise PydanticCustomError("value_error", message, {"text": text})
    names = [adapter_name(text) for text in texts]
    if len(set(names)) < len(names):
        raise PydanticCustomError("value_error", "a name stands here twice")
    return texts


DEFAULT_MODEL = "Qwen/Qwen3-VL-8B-Instruct-FP8"
DEFAULT_MODEL_REVISION = "9cdc6310a8cb770ce18efaf4e9935334512aee45"
"""The commit of the default model on the hub, for reproducible scores. It was not read from the hub: public projects
that pin this model name it, all of them the same one."""

Adapters = Annotated[tuple[str, ...], AfterValidator(_adapters)]
Memory = Annotated[float, Field(ge=0.0)]


def adapter_name(adapter: str) -> str:
    """Return the name of a NAME=PATH."""
    return adapter.partition("=")[0]


def adapter_path(adapter: str) -> str:
    """Return the path of a NAME=PATH."""
    return adapter.partition("=")[2]


class VllmSettings(Group):
    """Qwen3-VL in vLLM, started by this process. The extras `gpu` and `cpu` install vLLM."""

    model: str = DEFAULT_MODEL
    """A Qwen3-VL by its name on the Hugging Face hub, or a folder. FP8 because it takes half of bf16's memory, and less
    time on Hopper and Blackwell, with published results nearly those of bf16. `modstream engine plan` says what suits
    other cards."""
    revision: str | None = None
    """Branch, tag or commit on the hub. When not set, the default model is taken at the commit that this release names,
    every other model at the newest commit, with a warning that names it. Name a commit in production: verdicts are only
    as reproducible as the weights. main takes the newest of the default model too."""
    download_dir: Path | None = None
    """Folder of weights from the hub. When not set, it is Hugging Face's own cache."""
    precision: Literal["auto", "bf16", "fp8", "int8", "awq"] = "auto"
    """Of the weights. auto: as the model comes. Every other value is checked against the model. bf16 and fp8 convert a
    model of full precision while it loads, fp8 the language model's layers alone, with a scale for each output channel
    (fp8-dynamic). Qwen's own FP8 weights (fp8-block) count as fp8 as well. int8 (W8A8) and awq (4 bits, from AutoAWQ or
    llm-compressor) have to be made beforehand, with data."""
    tensor_parallel: Positive = 1
    """GPUs that share each layer. Use more than one only for a model that does not fit: they wait for each other."""
    data_parallel: Positive = 1
    """Whole copies of the model, one a GPU (or a group of `tensor_parallel`). A process for each GPU does the same and
    fails alone, so one is enough where the orchestrator can start several."""
    gpu_memory_fraction: Annotated[float, Field(gt=0.0, le=1.0)] = 0.9
    """Share of the GPU's memory for weights, caches and intermediate results. CUDA and fragmentation take the rest."""
    kv_cache_bytes: Annotated[int, Field(ge=0)] = 0
    """Of the cache that the policy's text stays in; 0 takes what the fraction leaves. Worth setting on CPUs, where the
    fraction is one of the machine's memory."""
    kv_cache_dtype: Literal["auto", "bfloat16", "fp8"] = "auto"
    """auto: as the model computes. With fp8 the cache holds twice as many tokens; one token an image leaves room enough
    without."""
    max_model_len: Positive = 4096
    """Tokens of one request: a policy of 1,500, an image of 1,024, a caption of 1,024 at worst, and the answer."""
    max_sequences: Positive = 256
    """Requests in one step: more than fit its tokens, so that long answers leave room for one-token ones."""
    max_batched_tokens: Positive = 16384
    """Tokens in one step: about 50 images with 256 vision tokens each, enough to keep an H100's arithmetic busy. Lower
    it on cards under 24 GB, as intermediate results grow with it."""
    min_vision_tokens: Positive = 64
    """Smaller images are enlarged to so many tokens, as in Qwen3-VL's training. One token covers 32 × 32 pixels."""
    max_vision_tokens: Positive = 1024
    """Most tokens of one image that a policy may set. Memory for the largest image is reserved at the start."""
    prefix_caching: bool = True
    """Cache what is computed for the policy's text, which precedes every image. Turn it off only for measurements."""
    processor_cache_gb: Memory = 1.0
    """Prepared images kept for follow-up questions, in GiB: at least 160 with 256 vision tokens, more than are in
    flight at the other defaults."""
    block_size: Annotated[int, Field(ge=0)] = 0
    """Tokens that the prefix cache keeps together; 0 is vLLM's choice: 16 on GPUs, 128 on CPUs, where 32 caches more of
    a short policy."""
    enforce_eager: bool = False
    """Run without compiled graphs and functions: the start is faster and judging slower. For tests and short trials."""
    adapters: Adapters = ()
    """LoRA adapters that policies may name, each as NAME=PATH; of the language model only."""
    max_loras: Positive = 4
    """Adapters in one step. Each takes about 90 MB at rank 16 beside the 8B model, used or not."""
    max_lora_rank: Literal[1, 8, 16, 32, 64, 128, 256, 320, 512] = 16
    """The highest rank among the adapters: what fine-tuning tools take by default, and memory grows with it."""
    startup_timeout_s: PositiveSeconds = 1800.0
    """Time limit for loading the model. 10 GB over a slow line take 20 minutes the first time, 2 minutes later."""
    engine_args: dict[str, JsonValue] = Field(default={})
    """Any other argument of vLLM's engine, by its name there, such as {"async_scheduling": false}; what has a setting
    of its own is refused."""
