"""Published measurements that the assumed efficiencies rest on; the tests work them out again."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from service.tools.planning.gpus import Gpu, find_gpu

# LLaMA 7B, from its config.json: 32 layers of 4 matrices 4096 × 4096 and 3 of 4096 × 11008.
_LLAMA_LAYERS, _LLAMA_HIDDEN, _LLAMA_INTERMEDIATE = 32, 4096, 11008


@dataclass(frozen=True, slots=True)
class PublishedPrefill:
    """Time to the first token of LLaMA 7B, one prompt at a time: all of it is prefill, as in stage 1."""

    gpu: str
    precision: Literal["bf16", "fp8"]
    tokens: int
    latency_s: float

    @property
    def card(self) -> Gpu:
        """The card measured on."""
        return find_gpu(self.gpu)

    @property
    def peak_tflops(self) -> float:
        """Of the card, in that precision."""
        return self.card.bf16_tflops if self.precision == "bf16" else self.card.fp8_tflops or 0.0

    @property
    def efficiency(self) -> float:
        """Share of the dense peak that was reached."""
        return self._operations / self.latency_s / (self.peak_tflops * 1e12)

    @property
    def _operations(self) -> float:
        weights = _LLAMA_LAYERS * (4 * _LLAMA_HIDDEN**2 + 3 * _LLAMA_HIDDEN * _LLAMA_INTERMEDIATE)
        attention = 4 * _LLAMA_HIDDEN * (self.tokens / 2) * _LLAMA_LAYERS
        return self.tokens * (2 * weights + attention)


PREFILL_SOURCE = "TensorRT-LLM 0.9, docs/source/performance/perf-overview.md, first-token latency at 2,048 tokens"

# On the A100 it is FP16, which runs there at the rate of BF16.
PREFILLS: Sequence[PublishedPrefill] = (
    PublishedPrefill("H100", "fp8", tokens=2048, latency_s=0.0308),
    PublishedPrefill("L40S", "fp8", tokens=2048, latency_s=0.0801),
    PublishedPrefill("A100 80GB", "bf16", tokens=2048, latency_s=0.1324),
)


def prefills_in_words() -> str:
    """Return the published efficiencies."""
    return ", ".join(f"{each.gpu} {each.precision} {each.efficiency:.0%}" for each in PREFILLS)
