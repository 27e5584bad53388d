"""The settings of what judges the images: one group for each kind of engine."""

from pathlib import Path
from typing import Annotated, Literal

from pydantic import BeforeValidator, Field
from pydantic_core import PydanticCustomError

from service.settings.openai import OpenAISettings
from service.settings.types import Group, Positive, PositiveSeconds
from service.settings.vllm import VllmSettings

Share = Annotated[float, Field(ge=0.0, le=1.0)]


class JudgingSettings(Group):
    """How a vision-language model's answers become scores, tags and explanations, whichever engine runs it."""

    min_label_mass: Share = 0.5
    """With less of its answer on the labels, the model would rather have said something else than any of them: the
    image counts as not moderated. Of an answer to a yes-or-no question it decides whether that counts."""
    noticeable_share: Share = 0.01
    """Categories with such a share of the answer get a yes-or-no question of their own once an image reaches the
    policy's follow-up threshold.
    Models are sure of themselves: what comes second may be as clear to see and get a fiftieth of the answer."""
    max_follow_ups: Positive = 4
    """Such questions an image, for the largest shares, and one for the gravest category whatever its share: each costs
    one token more, and images that show more than four kinds of harm are blocked for the first."""
    label_prior: Literal["uniform", "measured"] = "uniform"
    """Whether a label that the model favours gets less of the answer. uniform: the model's probabilities count.
    measured: each policy is asked about at the start, at most 52 times, with pictures that show nothing and the
    categories behind other labels; shares are divided by the prior of their label. This changes scores and the
    verdicts' `calibration`: solve the thresholds again (`modstream thresholds`)."""
    max_tag_tokens: Positive = 256
    """Of one image's tags. A schema that can hold less lowers it; an answer that is cut off is kept as far as it goes,
    and marked as incomplete."""
    max_explained: Positive = 4
    """Upper limit of categories with an explanation in a verdict, the gravest first."""
    explanation_tokens: Positive = 64
    """For each of them: the 15 words that are asked for take about 25, its name and the quotes 15."""
    max_explanation_chars: Positive = 200
    """Upper limit of the characters of each explanation: twice what 15 words take."""


class OnnxSettings(Group):
    """The embedded CPU engine."""

    threads: Annotated[int, Field(ge=0)] = 0
    """Images that are judged in parallel, each in one thread; 0 uses one thread per core."""
    classifiers: Path | None = None
    """Catalogue file (YAML) of other ONNX classifiers. When not set, the bundled ones are used."""


class RehearsalSettings(Group):
    """Engine for load tests: it answers after a set time and judges no image."""

    batch_size: Positive = 64
    """Images in one simulated batch."""
    batch_s: Annotated[float, Field(ge=0.0)] = 0.376
    """Time a batch takes: 170 images a second, more than `modstream engine plan` expects of an H100."""


def _beside(kind: object) -> object:
    if kind in ("vllm", "rehearsal"):
        message = "a second model of this kind would take the first one's memory and time: serve it and take openai"
        raise PydanticCustomError("value_error", message)
    return kind


class FirstPassSettings(Group):
    """A smaller engine for the first pass of policies that ask for it. While it fails, images get the full pass."""

    kind: Annotated[Literal["none", "onnx", "openai"], BeforeValidator(_beside)] = "none"
    """none: policies can take fewer vision tokens of the main engine alone. onnx: small classifiers on the CPU of this
    process. openai: a smaller model behind HTTP."""
    onnx: OnnxSettings = OnnxSettings()
    openai: OpenAISettings = OpenAISettings()
    timeout_s: PositiveSeconds = 5.0
    """Time limit for one image, which then gets the full pass. It counts towards `engine.timeout_s`."""
    wait_s: PositiveSeconds = 30.0
    """Time that a start and a change of policies wait for it. It is used once it answers."""


class EngineSettings(Group):
    """The engine that judges the images."""

    kind: Literal["onnx", "vllm", "openai", "rehearsal"] = "onnx"
    """onnx: small classifiers on the CPU. vllm: a vision-language model on a GPU of this machine. openai: one behind
    HTTP, such as `vllm serve`. rehearsal: judges nothing, for load rehearsals."""
    onnx: OnnxSettings = OnnxSettings()
    vllm: VllmSettings = VllmSettings()
    rehearsal: RehearsalSettings = RehearsalSettings()
    openai: OpenAISettings = OpenAISettings()
    judging: JudgingSettings = JudgingSettings()
    first_pass: FirstPassSettings = FirstPassSettings()
    timeout_s: PositiveSeconds = 60.0
    """Time limit for one image, its wait for a turn included. A wait for a place at a remote server does not count."""
    stall_s: PositiveSeconds = 120.0
    """A model of this machine that answers nothing for so long while requests wait is taken for dead, and the process
    ends. Twice `timeout_s`: by then every request has been given up once."""
    max_memory_bytes: Annotated[int, Field(ge=0)] = 0
    """Of this process and all that it started; above it the process drains and ends, to be started again. 0 sets no
    limit. Below the container's limit, so that the memory that some engines lose over weeks ends in a drain."""
    max_gpu_temperature_c: Annotated[int, Field(ge=0)] = 0
    """Of any GPU that this process may use, in degrees Celsius; above it the process drains and ends, to be started
    again, elsewhere where there is a choice. 0 sets no limit. GPUs slow themselves down before they get too hot, so one
    above a limit close to that wants its cooling looked at."""
