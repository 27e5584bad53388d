"""Loads the model that is trained, with what writes its prompts and reads its images."""

import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import torch
from transformers import AutoConfig, AutoProcessor, BitsAndBytesConfig, Qwen3VLForConditionalGeneration
from transformers.utils import logging as transformers_logging

from service.inference.vllm.chat_tokens import ChatTokens, tokenizer_chat
from service.inference.vllm.model_files import model_name, model_revision
from service.tools.finetuning.training_errors import BaseModelError
from service.tools.finetuning.training_options import Quantize

_MODEL_TYPE = "qwen3_vl"
_SPACES = re.compile(r"\s+")
_DETAIL_CHARACTERS = 300


@dataclass(frozen=True, slots=True)
class BaseModel:
    """A Qwen3-VL on its device, frozen."""

    model: Any
    """A `Qwen3VLForConditionalGeneration`."""
    chat: ChatTokens
    """Writes prompts as the engine does."""
    image_token: int
    image_processor: Any
    name: str
    """As verdicts name the model."""
    revision: str
    """As verdicts name it: the commit on the hub, or a checksum of the folder."""
    precision: str
    device: str


def load_base(model: str, *, revision: str | None, quantize: Quantize, device: str | None = None) -> BaseModel:
    """Return a Qwen3-VL of the hub or of a folder; bfloat16 on CUDA, float32 on a CPU.

    Raises `BaseModelError` for what is no Qwen3-VL of full precision, and `EngineConfigurationError` for another form
    of chat than that of the engine's prompts.
    """
    transformers_logging.disable_progress_bar()
    transformers_logging.set_verbosity_error()
    device = device or ("cuda" if torch.cuda.is_available() else "cpu")
    if quantize == "nf4" and device == "cpu":
        raise BaseModelError(model=model, detail="--quantize nf4 needs a CUDA device, and none was found")
    if quantize == "nf4" and find_spec("bitsandbytes") is None:
        raise BaseModelError(model=model, detail="--quantize nf4 needs the package bitsandbytes: install it")
    dtype = torch.bfloat16 if device == "cuda" else torch.float32
    # Without a word about code in the folder, transformers asks at a terminal whether to run it.
    try:
        config = AutoConfig.from_pretrained(model, revision=revision, trust_remote_code=False)
        _check(model, config)
        processor = AutoProcessor.from_pretrained(model, revision=revision, trust_remote_code=False)
        loaded = Qwen3VLForConditionalGeneration.from_pretrained(
            model, revision=revision, trust_remote_code=False, dtype=dtype, **_quantization(quantize, dtype)
        )
    except (OSError, ValueError) as error:
        detail = _SPACES.sub(" ", str(error))[:_DETAIL_CHARACTERS]
        raise BaseModelError(model=model, detail=f"it cannot be loaded: {detail}") from error
    loaded.requires_grad_(requires_grad=False)
    if quantize == "none":
        loaded = loaded.to(device)
    return BaseModel(
        model=loaded,
        chat=tokenizer_chat(processor.tokenizer),
        image_token=config.image_token_id,
        image_processor=processor.image_processor,
        name=model_name(model),
        revision=model_revision(str(Path(model)) if Path(model).is_dir() else model, commit=_commit(config)),
        precision="nf4" if quantize == "nf4" else str(dtype).removeprefix("torch."),
        device=device,
    )


def cuda_card() -> str | None:
    """Return the name of the CUDA device that a training takes; None without one."""
    return str(torch.cuda.get_device_name()) if torch.cuda.is_available() else None


@contextmanager
def one_thread_on_cpu() -> Iterator[None]:
    """Compute in one thread where there is no CUDA device.

    Sums then have one order on every machine, so that a seed decides the weights. The models that a CPU can train are
    so small that threads wait for each other most of the time.
    """
    before = torch.get_num_threads()
    if not torch.cuda.is_available():
        torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(before)


def _check(model: str, config: Any) -> None:
    if config.model_type != _MODEL_TYPE:
        detail = f"it is a {config.model_type!r}, and only a Qwen3-VL (dense) can be trained: name one with --base"
        raise BaseModelError(model=model, detail=detail)
    if getattr(config, "quantization_config", None):
        detail = (
            "its weights are quantised, and training needs full precision: train on the model that it was made from, "
            "such as Qwen/Qwen3-VL-8B-Instruct, and name this one with --serve-on"
        )
        raise BaseModelError(model=model, detail=detail)


def _quantization(quantize: Quantize, dtype: Any) -> Mapping[str, Any]:
    if quantize == "none":
        return {}
    # QLoRA's own choice: NF4 with quantised constants. The vision part and the output layer stay as they are.
    config = BitsAndBytesConfig(
        load_in_4bit=True,
        bnb_4bit_quant_type="nf4",
        bnb_4bit_use_double_quant=True,
        bnb_4bit_compute_dtype=dtype,
        llm_int8_skip_modules=["visual", "lm_head"],
    )
    return {"quantization_config": config, "device_map": {"": 0}}


def _commit(config: Any) -> str | None:
    commit: str | None = getattr(config, "_commit_hash", None)
    return commit
