"""The graphics cards that can be planned for: figures of their vendor's data sheets, dense and never sparse."""

import difflib
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType

_AMPERE_WHITEPAPER = "NVIDIA Ampere GA102 GPU Architecture whitepaper V2.0, appendix A"
_ADA_WHITEPAPER = "NVIDIA Ada GPU Architecture whitepaper V2.01, appendix A"
_BLACKWELL_WHITEPAPER = "NVIDIA RTX Blackwell GPU Architecture whitepaper V1.1, appendix A"
_AMPERE_CORES = "NVIDIA's specification (cores, boost clock, memory) × the GA102 whitepaper's rate a core"
_ADA_CORES = "NVIDIA's specification (cores, boost clock, memory) × the Ada whitepaper's rate a core"
_NO_INT8_KERNELS = "vLLM has no INT8 kernels for compute capability 10 and above"

# With it tensor cores compute in BF16.
BF16_CAPABILITY = 80

# NVIDIA's driver keeps 6.25 % of GDDR6 for error correction, which data-centre cards have on by default.
_GDDR6_ECC_SHARE = 1 / 16


@dataclass(frozen=True, slots=True)
class MeasuredShares:
    """What a card reaches of its data sheet with Qwen3-VL's arithmetic, by `python -m benchmarks.gpu`."""

    bf16: float
    encoder: float
    bandwidth: float
    source: str
    """The file of the measurements, and the card by the name that its driver has for it."""
    fp8: float | None = None


@dataclass(frozen=True, slots=True)
class Gpu:
    """One card; rates in 10¹² operations a second with 32-bit accumulation, without sparsity."""

    name: str
    capability: int
    """NVIDIA's compute capability, 89 for 8.9: vLLM chooses its kernels by it."""
    memory_gib: float
    """As sold."""
    bandwidth_gb_s: float
    bf16_tflops: float
    fp8_tflops: float | None
    """None: no FP8 in its tensor cores, which begin with compute capability 8.9."""
    int8_tops: float | None
    """None: vLLM has no INT8 kernels for it."""
    source: str
    ecc_share: float = 0.0
    """Of the memory, kept by the driver for error correction."""
    note: str = ""
    measured: MeasuredShares | None = None
    """None: no such card could be had, and the plan takes the shares that were published for other models."""

    @property
    def has_bf16(self) -> bool:
        """Whether tensor cores have BF16; else vLLM computes in FP16, whose rate stands in `bf16_tflops`."""
        return self.capability >= BF16_CAPABILITY

    @property
    def usable_gib(self) -> float:
        """Memory that programs see."""
        return self.memory_gib * (1 - self.ecc_share)


class GpuNameError(ValueError):
    """No card, or more than one, goes by that name."""


# In the order of `Gpu`: name, compute capability, memory, bandwidth, BF16, FP8, INT8, source.
# NVIDIA's documents could not be opened when this was written. Compared with others' listings of them: all GeForce
# cards, T4, A10, A40, L4, A100, H100, B200. Not compared: the tensor rates of A10G, A30, L40S, H20 and H200.
GPUS: Sequence[Gpu] = (
    Gpu("RTX 3060", 86, 12, 360, 25.5, None, 102, _AMPERE_CORES, note="the one with 12 GB"),
    Gpu("RTX 3060 Ti", 86, 8, 448, 32.4, None, 130, _AMPERE_CORES),
    Gpu("RTX 3070", 86, 8, 448, 40.6, None, 163, _AMPERE_WHITEPAPER),
    Gpu("RTX 3070 Ti", 86, 8, 608, 43.5, None, 174, _AMPERE_CORES),
    Gpu("RTX 3080 10GB", 86, 10, 760, 59.5, None, 238, _AMPERE_WHITEPAPER),
    Gpu("RTX 3080 12GB", 86, 12, 912, 61.3, None, 245, _AMPERE_CORES),
    Gpu("RTX 3080 Ti", 86, 12, 912, 68.2, None, 273, _AMPERE_CORES),
    Gpu("RTX 3090", 86, 24, 936, 71, None, 284, _AMPERE_WHITEPAPER),
    Gpu("RTX 3090 Ti", 86, 24, 1008, 80, None, 320, _AMPERE_CORES),
    Gpu("RTX 4060", 89, 8, 272, 30.2, 60.5, 121, _ADA_CORES),
    Gpu("RTX 4060 Ti 8GB", 89, 8, 288, 44.1, 88.3, 176.5, _ADA_CORES),
    Gpu("RTX 4060 Ti 16GB", 89, 16, 288, 44.1, 88.3, 176.5, _ADA_CORES),
    Gpu("RTX 4070", 89, 12, 504, 58.3, 116.6, 233.2, _ADA_CORES),
    Gpu("RTX 4070 Super", 89, 12, 504, 71, 141.9, 283.9, _ADA_CORES),
    Gpu("RTX 4070 Ti", 89, 12, 504, 80.2, 160.4, 320.7, _ADA_CORES),
    Gpu("RTX 4070 Ti Super", 89, 16, 672, 88.2, 176.4, 352.8, _ADA_CORES),
    Gpu("RTX 4080", 89, 16, 716.8, 97.5, 194.9, 389.9, _ADA_WHITEPAPER),
    Gpu("RTX 4080 Super", 89, 16, 736, 104.4, 208.9, 417.8, _ADA_CORES),
    Gpu("RTX 4090", 89, 24, 1008, 165.2, 330.3, 660.6, _ADA_WHITEPAPER),
    Gpu("RTX 5080", 120, 16, 960, 112.6, 225.1, None, _BLACKWELL_WHITEPAPER, note=_NO_INT8_KERNELS),
    Gpu("RTX 5090", 120, 32, 1792, 209.5, 419, None, _BLACKWELL_WHITEPAPER, note=_NO_INT8_KERNELS),
    Gpu(
        "T4",
        75,
        16,
        320,
        65,
        None,
        130,
        "NVIDIA T4 data sheet and product instructions",
        ecc_share=_GDDR6_ECC_SHARE,
        note="no BF16: vLLM computes in FP16; whether Qwen3-VL runs there was not tried",
    ),
    Gpu(
        "A10",
        86,
        24,
        600,
        125,
        None,
        250,
        "NVIDIA A10 data sheet",
        ecc_share=_GDDR6_ECC_SHARE,
        note="150 W: its clock falls under steady load, so expect less",
    ),
    Gpu("A10G", 86, 24, 600, 70, None, 140, "NVIDIA A10G data sheet for AWS", ecc_share=_GDDR6_ECC_SHARE),
    Gpu("A30", 80, 24, 933, 165, None, 330, "NVIDIA A30 data sheet"),
    Gpu("A40", 86, 48, 696, 149.7, None, 299.3, "NVIDIA A40 data sheet", ecc_share=_GDDR6_ECC_SHARE),
    Gpu(
        "L4",
        89,
        24,
        300,
        121,
        242.5,
        242.5,
        "NVIDIA L4 data sheet; sparse figures halved",
        ecc_share=_GDDR6_ECC_SHARE,
        note="72 W: its clock falls under steady load, so expect less",
    ),
    Gpu("L40S", 89, 48, 864, 362, 733, 733, "NVIDIA L40S data sheet", ecc_share=_GDDR6_ECC_SHARE),
    Gpu("A100 40GB", 80, 40, 1555, 312, None, 624, "NVIDIA A100 data sheet"),
    Gpu("A100 80GB", 80, 80, 2039, 312, None, 624, "NVIDIA A100 data sheet, SXM"),
    Gpu("H100", 90, 80, 3350, 989.5, 1979, 1979, "NVIDIA H100 data sheet, SXM; sparse figures halved"),
    Gpu("H20", 90, 96, 4000, 148, 296, 296, "NVIDIA H20 data sheet"),
    Gpu("H200", 90, 141, 4800, 989.5, 1979, 1979, "NVIDIA H200 data sheet, SXM; sparse figures halved"),
    Gpu(
        "B200",
        100,
        180,
        7700,
        2250,
        4500,
        None,
        "NVIDIA Blackwell data sheet, HGX B200, of eight; sparse figures halved",
        note=_NO_INT8_KERNELS,
    ),
)

_UNPLANNED: Mapping[str, str] = MappingProxyType(
    {
        "mi300x": "AMD's cards are not planned for: this project's GPU environment has vLLM for NVIDIA's, and the "
        "shares of the peak that are assumed were published for those",
    }
)
"""Cards that people ask for, and why there is no plan for them."""

# Words of the names that drivers and shops use, which do not distinguish cards here.
_NOISE = frozenset(
    {"nvidia", "geforce", "tesla", "gpu", "sxm", "sxm4", "sxm5", "hgx", "hbm2", "hbm2e", "hbm3", "hbm3e"}
)


def find_gpu(name: str) -> Gpu:
    """Return the card that a name means, such as `3090` or `NVIDIA A100-SXM4-80GB`; raises `GpuNameError`."""
    wanted = _words(name)
    for unplanned, reason in _UNPLANNED.items():
        if unplanned in wanted:
            raise GpuNameError(f"{name}: {reason}")
    found = [gpu for gpu in GPUS if wanted and wanted <= _words(gpu.name) | {f"{gpu.memory_gib:.0f}gb"}]
    if not found:
        raise GpuNameError(f"no card {name!r} is known{_suggestion(name)}")
    exact = [gpu for gpu in found if _words(gpu.name) - {"rtx"} == wanted - {"rtx"}] or found
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
