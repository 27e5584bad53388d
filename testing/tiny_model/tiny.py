"""Where the tiny Qwen3-VL lies on this machine."""

import shutil
import tempfile
from pathlib import Path

from service.tools.demo.tiny_model import MODEL, POLICY

_HERE = Path(__file__).parent
TRAINED = MODEL
ADAPTER_TRAINED = _HERE / "qwen3-vl-tiny-gaming-tables"
CACHE = _HERE / ".cache"
_UNTRAINED = CACHE / "untrained"


def model_folder() -> Path:
    """Return the folder of the trained model, which is part of the package; without it that of an untrained one."""
    return TRAINED if (TRAINED / "model.safetensors").exists() else untrained_folder()


def adapter_folder() -> Path:
    """Return the folder of the LoRA adapter that `testing.tiny_model.shapes.ADAPTER` names."""
    return ADAPTER_TRAINED


def policy_file() -> Path:
    """Return the policy, named `shapes`, with the instructions of `testing.tiny_model.shapes.INSTRUCTIONS`."""
    return POLICY


def untrained_folder() -> Path:
    """Return the folder of a model with random weights, made if it is missing."""
    if not _UNTRAINED.exists():
        _make(_UNTRAINED)
    return _UNTRAINED


def _make(folder: Path) -> None:
    # Torch and transformers are not imported by who only wants the trained model's folder.
    from testing.tiny_model.architecture import save, untrained  # noqa: PLC0415 - see above
    from testing.tiny_model.tokenizer import build_tokenizer  # noqa: PLC0415 - see above

    folder.parent.mkdir(parents=True, exist_ok=True)
    made = Path(tempfile.mkdtemp(dir=folder.parent))
    tokenizer = build_tokenizer()
    save(untrained(tokenizer), tokenizer, made)
    try:
        made.rename(folder)
    except OSError:
        # Another process was faster.
        shutil.rmtree(made)
