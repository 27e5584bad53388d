"""Which weights a model has: a commit on the hub, or a checksum of a folder; and their precision."""

import hashlib
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Any

_COMMIT_IN_CACHE = re.compile(r"/snapshots/([0-9a-f]{40})/?$")
_FILES = ("*.json", "*.jinja", "*.txt", "*.safetensors", "*.bin")
_BLOCK_BYTES = 64 * 1024
_BLOCKS_A_FILE = 1024
_SHOWN_DIGITS = 16

FULL_PRECISIONS: Mapping[str, str] = MappingProxyType({"bfloat16": "bf16", "float16": "fp16", "float32": "fp32"})
"""Torch's name for what a model computes in → the name of the precision."""

_LOADED_AS: Mapping[str, frozenset[str]] = MappingProxyType(
    {
        "bf16": frozenset({"bf16"}),
        "fp8": frozenset({"fp8", "fp8-block", "fp8-dynamic"}),
        "int8": frozenset({"int8"}),
        # llm-compressor writes AWQ's weights in compressed-tensors' form, which does not name the method.
        "awq": frozenset({"awq", "int4"}),
    }
)


def model_name(model: str) -> str:
    """Return the model's name in verdicts: its name on the hub, or the last part of its path."""
    return Path(model).resolve().name if Path(model).is_dir() else model


def model_revision(model: str, *, commit: str | None) -> str:
    """Return what distinguishes a model from others of its name: the commit if it came from the hub, else a checksum.

    `model` is a name on the hub or a folder, `commit` what the hub's client resolved it to.
    """
    if cached := _COMMIT_IN_CACHE.search(model):
        return cached[1]
    return folder_checksum(Path(model)) if Path(model).is_dir() else commit or "unknown"


def folder_checksum(folder: Path) -> str:
    """Return a checksum of a model's files within a second.

    Small files count in full. Of large ones it takes the size and up to 1,024 pieces of 64 KiB, evenly spaced, the
    first and the last among them: training changes weights everywhere, so it shows in some piece.
    """
    digest = hashlib.sha256()
    for path in sorted({path for pattern in _FILES for path in folder.glob(pattern)}):
        digest.update(f"{path.name} {path.stat().st_size}\n".encode())
        for piece in _pieces(path):
            digest.update(piece)
    return f"sha256:{digest.hexdigest()[:_SHOWN_DIGITS]}"


def weights_precision(quantization: Mapping[str, Any] | None, *, dtype: str) -> str:
    """Return how weights are kept, from a checkpoint's `quantization_config` or else from what it computes in.

    8-bit floats are `fp8-block` with a scale for each block of weights, `fp8-dynamic` with one for each output channel
    and for each token (llm-compressor's FP8_DYNAMIC), and else `fp8`. 8-bit integers are `int8` where activations are
    quantised too (W8A8), else `int8-weight-only`. Parts of a model in different forms are joined by a plus.
    """
    if not quantization:
        return FULL_PRECISIONS.get(dtype, dtype)
    method = str(quantization.get("quant_method", "")).replace("_", "-")
    if method == "compressed-tensors":
        groups = quantization.get("config_groups") or {}
        return "+".join(sorted({_group_precision(group) for group in groups.values()})) or "unknown"
    if method == "fp8" and quantization.get("weight_block_size"):
        return "fp8-block"
    return method or "unknown"


def is_precision(loaded: str, setting: str) -> bool:
    """Return whether weights that are loaded as `loaded` are what `engine.vllm.precision` asks for."""
    return setting == "auto" or loaded in _LOADED_AS[setting]


def _group_precision(group: Mapping[str, Any]) -> str:
    weights, activations = group.get("weights") or {}, group.get("input_activations")
    name = f"{'fp' if weights.get('type') == 'float' else 'int'}{weights.get('num_bits')}"
    if name == "fp8" and weights.get("strategy") == "block":
        return "fp8-block"
    if name == "fp8" and weights.get("strategy") == "channel" and activations and activations.get("dynamic"):
        return "fp8-dynamic"
    return "int8-weight-only" if name == "int8" and not activations else name


def _pieces(path: Path) -> Iterator[bytes]:
    size_bytes = path.stat().st_size
    last = max(0, size_bytes - _BLOCK_BYTES)
    blocks = min(_BLOCKS_A_FILE, -(-size_bytes // _BLOCK_BYTES))
    with path.open("rb") as file:
        for block in range(blocks):
            file.seek(last * block // (blocks - 1) if blocks > 1 else 0)
            yield file.read(_BLOCK_BYTES)
