"""The graphics cards that can be planned for: figures of their vendor's data sheets, dense and never sparse."""

import difflib
import re
from collections.abc import Sequence
from dataclasses import dataclass

_AMPERE_WHITEPAPER = "NVIDIA Ampere GA102 GPU Architecture whitepaper V2.0, appendix A"
_ADA_WHITEPAPER = "NVIDIA Ada GPU Architecture whitepaper V2.01, appendix A"

# NVIDIA's driver keeps 6.25 % of GDDR6 for error correction, which data-centre cards have on by default.
_GDDR6_ECC_SHARE = 1 / 16


@dataclass(frozen=True, slots=True)
class Gpu:
    """One card; rates in 10¹² operations a second with 32-bit accumulation, without sparsity."""

    name: str
    memory_gib: float
    """As sold."""
    bandwidth_gb_s: float
    bf16_tflops: float
    fp8_tflops: float | None
    """None: no FP8 in its tensor cores; such weights are unpacked and computed with in BF16."""
    int8_tops: float | None
    """None: vLLM has no INT8 kernels for it."""
    source: str
    ecc_share: float = 0.0
    """Of the memory, kept by the driver for error correction."""
    note: str = ""

    @property
    def usable_gib(self) -> float:
        """Memory that programs see."""
        return self.memory_gib * (1 - self.ecc_share)


class GpuNameError(ValueError):
    """No card, or more than one, goes by that name."""


# The documents could not be opened when this was written. Compared with others' listings of them: RTX 3080 12GB,
# RTX 4090, L4, A100, H100, B200. Not compared: the tensor rates of RTX 3080 10GB and RTX 3090, A10, L40S, H200.
GPUS: Sequence[Gpu] = (
    Gpu(
        "RTX 3080 10GB",
        memory_gib=10,
        bandwidth_gb_s=760,
        bf16_tflops=59.5,
        fp8_tflops=None,
        int8_tops=238,
        source=_AMPERE_WHITEPAPER,
    ),
    Gpu(
        "RTX 3080 12GB",
        memory_gib=12,
        bandwidth_gb_s=912,
        bf16_tflops=61.3,
        fp8_tflops=None,
        int8_tops=245,
        source="NVIDIA's specification (8,960 cores at 1.71 GHz, 384 bits at 19 Gbit/s) × the whitepaper's rate a core",
    ),
    Gpu(
        "RTX 3090",
        memory_gib=24,
        bandwidth_gb_s=936,
        bf16_tflops=71,
        fp8_tflops=None,
        int8_tops=284,
        source=_AMPERE_WHITEPAPER,
    ),
    Gpu(
        "RTX 4090",
        memory_gib=24,
        bandwidth_gb_s=1008,
        bf16_tflops=165.2,
        fp8_tflops=330.3,
        int8_tops=660.6,
        source=_ADA_WHITEPAPER,
    ),
    Gpu(
        "A10",
        memory_gib=24,
        bandwidth_gb_s=600,
        bf16_tflops=125,
        fp8_tflops=None,
        int8_tops=250,
        source="NVIDIA A10 data sheet",
        ecc_share=_GDDR6_ECC_SHARE,
        note="150 W: its clock falls under steady load, so expect less",
    ),
    Gpu(
        "L4",
        memory_gib=24,
        bandwidth_gb_s=300,
        bf16_tflops=121,
        fp8_tflops=242.5,
        int8_tops=242.5,
        source="NVIDIA L4 data sheet; sparse figures halved",
        ecc_share=_GDDR6_ECC_SHARE,
        note="72 W: its clock falls under steady load, so expect less",
    ),
    Gpu(
        "L40S",
        memory_gib=48,
        bandwidth_gb_s=864,
        bf16_tflops=362,
        fp8_tflops=733,
        int8_tops=733,
        source="NVIDIA L40S data sheet",
        ecc_share=_GDDR6_ECC_SHARE,
    ),
    Gpu(
        "A100 40GB",
        memory_gib=40,
        bandwidth_gb_s=1555,
        bf16_tflops=312,
        fp8_tflops=None,
        int8_tops=624,
        source="NVIDIA A100 data sheet",
    ),
    Gpu(
        "A100 80GB",
        memory_gib=80,
        bandwidth_gb_s=2039,
        bf16_tflops=312,
        fp8_tflops=None,
        int8_tops=624,
        source="NVIDIA A100 data sheet, SXM",
    ),
    Gpu(
        "H100",
        memory_gib=80,
        bandwidth_gb_s=3350,
        bf16_tflops=989.5,
        fp8_tflops=1979,
        int8_tops=1979,
        source="NVIDIA H100 data sheet, SXM; sparse figures halved",
    ),
    Gpu(
        "H200",
        memory_gib=141,
        bandwidth_gb_s=4800,
        bf16_tflops=989.5,
        fp8_tflops=1979,
        int8_tops=1979,
        source="NVIDIA H200 data sheet, SXM; sparse figures halved",
    ),
    Gpu(
        "B200",
        memory_gib=180,
        bandwidth_gb_s=7700,
        bf16_tflops=2250,
        fp8_tflops=4500,
        int8_tops=None,
        source="NVIDIA Blackwell data sheet, HGX B200, of eight; sparse figures halved",
        note="vLLM has no INT8 kernels for compute capability 10 and above",
    ),
)

# Words of the names that drivers and shops use, which do not tell cards apart here.
_NOISE = frozenset(
    {"nvidia", "geforce", "tesla", "gpu", "sxm", "sxm4", "sxm5", "hgx", "hbm2", "hbm2e", "hbm3", "hbm3e"}
)


def find_gpu(name: str) -> Gpu:
    """Return the card that a name means, such as `3090` or `NVIDIA A100-SXM4-80GB`; raises `GpuNameError`."""
    wanted = _words(name)
    found = [gpu for gpu in GPUS if wanted and wanted <= _words(gpu.name) | {f"{gpu.memory_gib:.0f}gb"}]
    if not found:
        raise GpuNameError(f"no card {name!r} is known{_suggestion(name)}")
    exact = [gpu for gpu in found if _words(gpu.name) == wanted] or found
    if len(exact) > 1:
        raise GpuNameError(f"{name!r} may be {' or '.join(gpu.name for gpu in exact)}: name one")
    return exact[0]


def _words(name: str) -> frozenset[str]:
    text = re.sub(r"(\d) ?gb\b", r"\1gb", name.lower())
    text = re.sub(r"\brtx(?=\d)", "rtx ", text)
    return frozenset(re.findall(r"[a-z0-9]+", text)) - _NOISE


def _suggestion(name: str) -> str:
    lower = {gpu.name.lower(): gpu.name for gpu in GPUS}
    alike = [word for word in lower if _words(word) & _words(name) - {"rtx"}]
    near = alike or difflib.get_close_matches(name.lower(), lower, n=3, cutoff=0.5)
    question = f": did you mean {' or '.join(lower[word] for word in near)}?" if near else ";"
    return f"{question} --gpu list shows all"
