"""What an adapter folder says about itself: what it was trained on, for which model and which questions."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Annotated, Literal

from pydantic import AwareDatetime, BaseModel, ConfigDict, Field, ValidationError

from service.core.validation_text import placed_text_of
from service.inference.errors import EngineConfigurationError

CARD_FILE = "modstream.json"
"""Beside the weights. An adapter without it is loaded unchecked: other tools write none."""

MAX_CARD_BYTES = 1024 * 1024

TOWER_ARGUMENT = "enable_tower_connector_lora"
"""vLLM's argument without which it leaves the part of an adapter out that is for the vision mergers."""


class _Part(BaseModel):
    """A part of a card; a later release may add fields."""

    model_config = ConfigDict(frozen=True, extra="ignore")


class ServedModel(_Part):
    """A model that an adapter may be used with."""

    model: str
    """Its name as in verdicts: on the hub, or the last part of its path."""
    revision: str | None = None
    """Commit on the hub, or checksum of the folder; None for any."""

    @property
    def text(self) -> str:
        """The model in words."""
        return f"{self.model} at revision {self.revision}" if self.revision else f"{self.model} at any revision"


class TrainedPolicy(_Part):
    """The policy whose questions were trained."""

    name: str
    version: str
    hash: str


class TrainingFacts(_Part):
    """How the adapter came about."""

    identity: str
    """Checksum of data, model and options: the same training has the same."""
    images: Mapping[str, int]
    """By split."""
    categories: Mapping[str, Mapping[str, int]]
    """Images that show a category, by split."""
    seed: int
    steps: int
    best_step: int
    """Whose weights these are: after it the validation found nothing better."""
    epochs: int
    stopped_early: bool
    learning_rate: float
    rank: int
    alpha: int
    precision: str
    """Of the frozen weights while it was trained."""
    validation_loss_before: float
    validation_loss: float
    validation_right_before: Mapping[str, float]
    validation_right: Mapping[str, float]
    """Share of right answers by kind of question."""
    hours: float
    device: str
    versions: Mapping[str, str]


class Interval(_Part):
    """A figure with its 95 % interval."""

    value: float
    low: float
    high: float


class MeasuredCategory(_Part):
    """A category on the held-out images."""

    category: str
    images: int
    positives: int
    before: Mapping[str, float | None]
    """Figures of the model without the adapter, such as f1, by name; None where there is none."""
    after: Mapping[str, float | None]
    difference: Mapping[str, Interval]
    """After less before, by name, with an interval from a paired bootstrap."""
    p_value: float
    """Of McNemar's exact test, corrected by Holm's method for the number of categories."""


class Measured(_Part):
    """Model and adapter on the held-out images, judged by the engine."""

    engine: str
    model: str
    revision: str
    precision: str | None
    images: int
    not_judged: tuple[int, int]
    """Images without a verdict, before and after."""
    sentence: str
    """What the test of whole images says."""
    categories: Sequence[MeasuredCategory]


class AdapterCard(_Part):
    """Everything that is known of an adapter."""

    format: Literal[1] = 1
    name: str
    created_at: AwareDatetime
    base: ServedModel
    serve_on: tuple[ServedModel, ...] = ()
    """Further models that it may be used with, such as the base in FP8."""
    adapts_merger: bool = False
    """Whether it has a part for the vision mergers."""
    prompt_hash: Annotated[str, Field(pattern="^[0-9a-f]{64}$")]
    policy: TrainedPolicy
    preprocessing: str
    """Of the images, as in verdicts."""
    data_hash: str
    training: TrainingFacts
    measured: Measured | None = None
    calibration: str | None = None
    """File beside this one with the calibration of the adapter's scores; None if there is none."""


def read_card(folder: Path) -> AdapterCard | None:
    """Return the card of an adapter folder; None without one.

    Raises `EngineConfigurationError` for a file that is no card.
    """
    path = folder / CARD_FILE
    try:
        with path.open("rb") as file:
            content = file.read(MAX_CARD_BYTES + 1)
    except (FileNotFoundError, NotADirectoryError):
        return None
    except OSError as error:
        raise _broken(path, f"it cannot be read: {error.strerror}") from error
    if len(content) > MAX_CARD_BYTES:
        raise _broken(path, f"it has more than {MAX_CARD_BYTES:,} bytes")
    try:
        return AdapterCard.model_validate_json(content)
    except ValidationError as error:
        raise _broken(path, placed_text_of(error.errors(include_input=False)[0])) from error


def check_card(
    card: AdapterCard, name: str, *, model: str, revision: str, prompt_hash: str | None, has_tower: bool
) -> None:
    """Raise `EngineConfigurationError` if an adapter was trained for another model or for other questions.

    `prompt_hash` is that of the policy that names the adapter; None where no policy asks. `has_tower` says whether the
    engine applies adapters to the vision mergers.
    """
    allowed = (card.base, *card.serve_on)
    if not any(each.model == model and each.revision in {None, revision} for each in allowed):
        detail = (
            f"the adapter {name!r} was trained for {' or '.join(each.text for each in allowed)}, and the engine's "
            f"model is {model} at revision {revision}: set engine.vllm.model and engine.vllm.revision to it, or train "
            "the adapter again"
        )
        raise EngineConfigurationError(setting="engine.vllm.adapters", detail=detail)
    if card.adapts_merger and not has_tower:
        detail = (
            f"the adapter {name!r} has a part for the vision mergers, which vLLM applies only with "
            f'engine.vllm.engine_args: {{"{TOWER_ARGUMENT}": true}}: set it, or train without --merger'
        )
        raise EngineConfigurationError(setting="engine.vllm.adapters", detail=detail)
    if prompt_hash is not None and prompt_hash != card.prompt_hash:
        detail = (
            f"the adapter {name!r} was trained on the questions of the policy {card.policy.name!r} version "
            f"{card.policy.version!r} (prompt hash {card.prompt_hash[:12]}), and a policy that names it asks others "
            f"({prompt_hash[:12]}): its categories, definitions, labels, language and attributes have to be as they "
            "were; take the adapter out of the policy, or train it again with 'modstream finetune'"
        )
        raise EngineConfigurationError(setting="engine.vllm.adapters", detail=detail)


def _broken(path: Path, detail: str) -> EngineConfigurationError:
    return EngineConfigurationError(
        setting="engine.vllm.adapters", detail=f"{path}: {detail}; write it anew with 'modstream finetune'"
    )
