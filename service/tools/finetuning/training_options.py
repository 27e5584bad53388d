"""How an adapter is trained."""

import hashlib
from dataclasses import dataclass
from typing import Literal

from pydantic import TypeAdapter

Quantize = Literal["none", "nf4"]
"""How frozen weights are kept: as they come, or in 4 bits (NF4, as QLoRA has them)."""


@dataclass(frozen=True, slots=True)
class TrainingOptions:
    """The settings of a training. All of it but the pace of checkpoints decides what the weights become."""

    epochs: int = 3
    """How often each image is learnt, if nothing ends the training before."""
    images_a_step: int = 16
    """Images whose questions change the weights together."""
    tokens_a_pass: int = 8192
    """Tokens in memory at a time: a step is divided into passes of so many. Lower it where memory is scarce."""
    learning_rate: float = 2e-4
    """The highest, after a warm-up; Adam's step for LoRA."""
    rank: int = 16
    """Of the products; the engine's setting max_lora_rank has to reach it."""
    alpha: int = 32
    """Divided by the rank, the factor of the products."""
    dropout: float = 0.05
    merger: bool = False
    """Whether the vision mergers get products too; the engine needs enable_tower_connector_lora for them."""
    quantize: Quantize = "none"
    validations_an_epoch: int = 2
    validation_images: int = 1_000
    """Most images that a validation takes, by chance."""
    patience: int = 4
    """Validations without a better loss that end the training."""
    checkpoint_every_s: float = 600.0
    seed: int = 0
    min_vision_tokens: int = 64
    """As the engine has it: smaller images are enlarged to so many."""
    max_vision_tokens: int = 1024


_OPTIONS = TypeAdapter(TrainingOptions)


def training_identity(options: TrainingOptions, *, data_hash: str, base: str, revision: str) -> str:
    """Return a checksum of everything that decides what the weights become."""
    text = _OPTIONS.dump_json(options, exclude={"checkpoint_every_s"}).decode()
    return hashlib.sha256(f"{text}\n{data_hash}\n{base}\n{revision}".encode()).hexdigest()
