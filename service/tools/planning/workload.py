"""What is asked about an image on average, in tokens, and the model, precision and card that are weighed for it."""

from dataclasses import dataclass

from service.tools.planning.gpus import Gpu
from service.tools.planning.models import ModelShape
from service.tools.planning.precisions import Precision


@dataclass(frozen=True, slots=True)
class FewTokensFirst:
    """A first pass of the same engine with fewer vision tokens. Images with tags have none: they are encoded anyway."""

    vision_tokens: int
    cleared: float
    """Share of the images with a first pass that it clears, in [0, 1]; the others get the full pass as well."""


@dataclass(frozen=True, slots=True)
class Workload:
    """The average work for one image; shares are in [0, 1]."""

    policy_tokens: int = 1100
    """The policy's text, before the image; computed once and then cached. So many has the default policy in English,
    with the product attributes, counted with Qwen's vocabulary."""
    vision_tokens: int = 256
    """512 × 512 pixels, or as many in another shape."""
    text_tokens: int = 40
    """After the image: chat frame and question take 17, the rest is a short caption."""
    stage2_share: float = 0.05
    """Share of images with follow-ups: two yes/no questions, then a reason in words."""
    tags_share: float = 0.0
    """Of events that want tags."""
    first_pass: FewTokensFirst | None = None

    @property
    def first_share(self) -> float:
        """The share of images that get a first pass."""
        return 0.0 if self.first_pass is None else 1.0 - self.tags_share

    @property
    def full_share(self) -> float:
        """The share of images that get the full pass."""
        return 1.0 if self.first_pass is None else 1.0 - self.first_pass.cleared * self.first_share

    @property
    def passes(self) -> float:
        """First questions an image, on average."""
        return self.first_share + self.full_share

    @property
    def image_tokens(self) -> int:
        """The tokens that stage 1 computes for each image."""
        return self.vision_tokens + self.text_tokens

    @property
    def context_tokens(self) -> int:
        """The tokens before the answer."""
        return self.policy_tokens + self.image_tokens


TYPICAL = Workload()

# The model's own words in follow-ups. The policy and the image before each question are cached, and cost nothing again.
FOLLOW_UPS = 2
# The follow-ups together, and then the reason: steps after the first question, so that the image is encoded again.
# vLLM's encoder cache holds one step's images. `python -m benchmarks.encodings` counts: all of 253 images with
# follow-ups were encoded again, with vLLM 0.32 and the tiny model under load.
LATER_ROUNDS = 2
QUESTION_TOKENS = 40
REASON_TOKENS = 40
# A category, two colours, season, audience and a slogan, as JSON with short keys.
TAGS_TOKENS = 60


@dataclass(frozen=True, slots=True)
class Candidate:
    """A combination of model, precision and GPU."""

    gpu: Gpu
    model: ModelShape
    precision: Precision
    work: Workload
