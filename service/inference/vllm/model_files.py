"""Which weights a model has: a commit on the hub, or a checksum of a folder; and their precision."""

import hashlib
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

_COMMIT_IN_CACHE = re.compile(r"/snapshots/([0-9a-f]{40})/?$")
_FILES = ("*.json", "*.jinja", "*.txt", "*.safetensors", "*.bin")
_BLOCK_BYTES = 64 * 1024
_BLOCKS_A_FILE = 1024
_SHOWN_DIGITS = 16


def model_name(model: str) -> str:
    """Return how verdicts call a model: its name on the hub, or the last part of its path."""
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
    """Return how weights are kept, from a checkpoint's `quantization_config` or else from what it computes in."""
    if not quantization:
        return {"bfloat16": "bf16", "float16": "fp16", "float32": "fp32"}.get(dtype, dtype)
    method = str(quantization.get("quant_method", "")).replace("_", "-")
    if method == "compressed-tensors":
        return _compressed_precision(quantization)
    return method or "unknown"


def _compressed_precision(quantization: Mapping[str, Any]) -> str:
    groups = quantization.get("config_groups") or {}
    weights = [group.get("weights") or {} for group in groups.values()]
    kinds = {f"{'fp' if each.get('type') == 'float' else 'int'}{each.get('num_bits')}" for each in weights}
    return "+".join(sorted(kinds)) or "unknown"


def _pieces(path: Path) -> Iterator[bytes]:
    size_bytes = path.stat().st_size
    last = max(0, size_bytes - _BLOCK_BYTES)
    blocks = min(_BLOCKS_A_FILE, -(-size_bytes // _BLOCK_BYTES))
    with path.open("rb") as file:
        for block in range(blocks):
            file.seek(last * block // (blocks - 1) if blocks > 1 else 0)
            yield file.read(_BLOCK_BYTES)
