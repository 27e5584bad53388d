"""The shapes of the Qwen3-VL models, and the arithmetic that follows from them: parameters, operations, cache."""

from collections.abc import Sequence
from dataclasses import dataclass

PIXELS_A_VISION_TOKEN = 32 * 32
# A multiplication and an addition.
_OPERATIONS_A_WEIGHT = 2


@dataclass(frozen=True, slots=True)
class VisionShape:
    """The encoder: a vision transformer, then mergers from 2 × 2 patches to one token."""

    layers: int
    hidden: int
    intermediate: int
    positions: int = 2304
    deepstack: int = 3
    """Layers whose output goes into the language model too, each through a merger of its own."""
    patches_a_token: int = 4
    """2 × 2 (`spatial_merge_size`)."""
    patch_inputs: int = 3 * 2 * 16 * 16
    """Colours, two frames, and 16 × 16 pixels."""

    @property
    def layer_weights(self) -> int:
        """Of the matrices of one layer."""
        return 4 * self.hidden**2 + 2 * self.hidden * self.intermediate

    def merger_weights(self, output: int) -> int:
        """Of the matrices of one merger into vectors of that length."""
        merged = self.patches_a_token * self.hidden
        return merged**2 + merged * output


@dataclass(frozen=True, slots=True)
class ModelShape:
    """One model: what its published `config.json` says."""

    name: str
    """On the hub, without the precision's suffix."""
    layers: int
    hidden: int
    intermediate: int
    heads: int
    tied: bool
    """The output layer is the embedding table, stored once."""
    vision: VisionShape
    kv_heads: int = 8
    head_size: int = 128
    vocabulary: int = 151_936

    @property
    def linear_weights(self) -> int:
        """Of the language model's layers: what quantisation shrinks."""
        attention = 2 * self.hidden * (self.heads + self.kv_heads) * self.head_size
        return self.layers * (attention + 3 * self.hidden * self.intermediate)

    @property
    def vision_weights(self) -> int:
        """All of the vision encoder, which stays in bf16 in the published FP8 models."""
        return self._vision_matrices + self._vision_vectors

    @property
    def vocabulary_weights(self) -> int:
        """Embedding and output layer, which stay in bf16 too."""
        return self.vocabulary * self.hidden * (1 if self.tied else 2)

    @property
    def parameters(self) -> int:
        """All of them, norms included."""
        norms = self.layers * (2 * self.hidden + 2 * self.head_size) + self.hidden
        return self.linear_weights + self.vision_weights + self.vocabulary_weights + norms

    @property
    def _vision_matrices(self) -> int:
        vision = self.vision
        mergers = (1 + vision.deepstack) * vision.merger_weights(self.hidden)
        embeddings = (vision.patch_inputs + vision.positions) * vision.hidden
        return vision.layers * vision.layer_weights + mergers + embeddings

    @property
    def _vision_vectors(self) -> int:
        """Biases and norms."""
        vision = self.vision
        merged = vision.patches_a_token * vision.hidden
        layer = 4 * vision.hidden + vision.intermediate + vision.hidden + 4 * vision.hidden
        mergers = (1 + vision.deepstack) * (merged + self.hidden)
        # The last merger norms each patch, those of the deepstack what they have merged.
        return vision.layers * layer + vision.hidden + mergers + 2 * vision.hidden + vision.deepstack * 2 * merged

    def token_operations(self, *, context: float) -> float:
        """Of one token through the language model, `context` tokens before it; without the output layer."""
        attention = 4 * self.heads * self.head_size * context * self.layers
        return _OPERATIONS_A_WEIGHT * self.linear_weights + attention

    def output_operations(self) -> float:
        """Of the output layer, once for each generated token."""
        return _OPERATIONS_A_WEIGHT * self.vocabulary * self.hidden

    def vision_operations(self, vision_tokens: int) -> float:
        """Of one image through the vision encoder; each patch looks at all others."""
        vision, patches = self.vision, vision_tokens * self.vision.patches_a_token
        weights = vision.layers * vision.layer_weights + vision.patch_inputs * vision.hidden
        attention = 4 * vision.hidden * patches * vision.layers
        mergers = (1 + vision.deepstack) * vision.merger_weights(self.hidden) * vision_tokens
        return patches * (_OPERATIONS_A_WEIGHT * weights + attention) + _OPERATIONS_A_WEIGHT * mergers

    def kv_bytes(self, element_bytes: float = 2) -> float:
        """Of the key-value cache, for one token."""
        return 2 * self.layers * self.kv_heads * self.head_size * element_bytes


_SMALL_VISION = VisionShape(layers=24, hidden=1024, intermediate=4096)
_LARGE_VISION = VisionShape(layers=27, hidden=1152, intermediate=4304)

# From config.json of the Instruct models; the tests compare their parameters with what transformers counts.
MODELS: Sequence[ModelShape] = (
    ModelShape("Qwen/Qwen3-VL-2B-Instruct", 28, 2048, 6144, heads=16, tied=True, vision=_SMALL_VISION),
    ModelShape("Qwen/Qwen3-VL-4B-Instruct", 36, 2560, 9728, heads=32, tied=True, vision=_SMALL_VISION),
    ModelShape("Qwen/Qwen3-VL-8B-Instruct", 36, 4096, 12288, heads=32, tied=False, vision=_LARGE_VISION),
    ModelShape("Qwen/Qwen3-VL-32B-Instruct", 64, 5120, 25600, heads=64, tied=False, vision=_LARGE_VISION),
)
DEFAULT_MODEL = "8B"


class ModelNameError(ValueError):
    """No model goes by that name."""


def find_model(name: str) -> ModelShape:
    """Return the model that a name means, such as `8B` or `Qwen/Qwen3-VL-8B-Instruct-FP8`; raises `ModelNameError`."""
    for model in MODELS:
        if short_name(model).lower() == name.lower() or name.lower().startswith(model.name.lower()):
            return model
    raise ModelNameError(f"no model {name!r} is known: there are {', '.join(map(short_name, MODELS))} of Qwen3-VL")


def short_name(model: ModelShape) -> str:
    """Return its size, such as `8B`."""
    return model.name.removeprefix("Qwen/Qwen3-VL-").removesuffix("-Instruct")


def smaller_than(model: ModelShape) -> Sequence[ModelShape]:
    """Return the models below, largest first."""
    return [other for other in reversed(MODELS) if other.parameters < model.parameters]
