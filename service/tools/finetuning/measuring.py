"""Judges held-out images with the engine, without the adapter and with it, and fits the adapter's calibration."""

import shutil
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, get_args

import yaml

from schemas.base import now_utc
from service.app.run import data_plane_alone
from service.core.documents import open_document
from service.inference.adapter_card import AdapterCard, Interval, Measured, MeasuredCategory
from service.inference.engine import EngineDescription
from service.inference.vision.prompt import prompter
from service.policy.calibration import CalibrationFile
from service.policy.errors import PolicyFileError
from service.policy.loader import Policies, load_policies
from service.settings.settings import PolicySettings, Settings
from service.settings.vllm import VllmSettings, adapter_name
from service.tools.evaluation.calibration.calibrate import calibration_file, fit_engines
from service.tools.evaluation.datasets.dataset import Dataset, DatasetOptions
from service.tools.evaluation.datasets.image_store import ImageStore
from service.tools.evaluation.datasets.reading import read_dataset
from service.tools.evaluation.quality.compare import ComparedCategory, Comparison, Side, compare, sentence_of
from service.tools.evaluation.quality.predictions import Prediction
from service.tools.evaluation.quality.run import Progress, Run, RunOptions, run_on
from service.tools.finetuning.examples import LABELS_FILE, PreparedData
from service.tools.finetuning.training_errors import OtherPolicyError

BEFORE_FILE, AFTER_FILE, VALIDATION_FILE = "before.jsonl", "after.jsonl", "validation.jsonl"
CALIBRATION_FILE = "calibration.yaml"
_WITH_ADAPTER = "with-adapter"
_NOT_MEASURED = frozenset({"adapter", "tenants", "first_pass"})
"""Parts of a policy that the measurement leaves out: an image that a first pass clears says nothing about the model."""
_SPLIT_HELD_OUT, _SPLIT_VALIDATION = "held_out", "validation"


@dataclass(frozen=True, slots=True)
class Measurement:
    """What the engine says of the held-out images, and the calibration of the adapter's scores."""

    comparison: Comparison
    measured: Measured
    calibration: CalibrationFile | None
    """None where no category has enough images of the split for validation."""


async def measure(
    settings: Settings, data: PreparedData, folder: Path, *, card: AdapterCard, policy: Path, progress: Progress
) -> Measurement:
    """Judge with the engine of the settings; files of predictions go to the adapter's folder.

    Scores are the engine's own: a calibration of the settings and the policy's first pass do not count. Raises
    `FatalError`, such as `OtherPolicyError` if the policy's questions are not those that were trained.
    """
    data.check_labels()
    with two_policies(policy, card.name) as (policies_folder, name, adapted):
        own = _settings(settings, folder, card, PolicySettings(path=policies_folder, default=name))
        policies = load_policies(own.policy)
        _check_questions(policies, name, card, policy)
        dataset = _dataset(data, policies, folder)
        async with data_plane_alone(own) as plane:

            async def judged(file: str, split: str, asked: str) -> Run:
                options = RunOptions(folder / file, folder / "images", split=split, policy=asked)
                return await run_on(plane, own, dataset, options, progress)

            before = await judged(BEFORE_FILE, _SPLIT_HELD_OUT, name)
            after = await judged(AFTER_FILE, _SPLIT_HELD_OUT, adapted)
            validation = await judged(VALIDATION_FILE, _SPLIT_VALIDATION, adapted)
        base = policies.select(name)
        sides = [Side(text, run.predictions, lambda _: base) for text, run in (("before", before), ("after", after))]
        comparison = compare(sides[0], sides[1])
    return Measurement(comparison, _measured(comparison, after.engine), _calibration(dataset, validation, card))


def _check_questions(policies: Policies, name: str, card: AdapterCard, file: Path) -> None:
    asked = prompter(policies.select(name).instructions).hash
    if asked != card.prompt_hash:
        raise OtherPolicyError(file=file, adapter=card.name, policy=card.policy.name, version=card.policy.version)


@contextmanager
def two_policies(file: Path, adapter: str) -> Iterator[tuple[Path, str, str]]:
    """Yield a folder with a policy and the same under another name with the adapter, and both names."""
    content: Any = open_document(file, PolicyFileError).content
    if not isinstance(content, dict):
        content = {}
    content = {name: value for name, value in content.items() if name not in _NOT_MEASURED}
    name = str(content.get("name", "policy"))
    adapted = _WITH_ADAPTER if name != _WITH_ADAPTER else f"{_WITH_ADAPTER}-2"
    with tempfile.TemporaryDirectory(prefix="modstream-policies-") as made:
        folder = Path(made)
        attributes = file.parent / str(content.get("attributes"))
        if attributes.is_file():
            shutil.copy(attributes, folder / attributes.name)
        for side, changes in (("before", {}), ("after", {"name": adapted, "adapter": adapter})):
            written = yaml.safe_dump({**content, **changes}, allow_unicode=True, sort_keys=False)
            (folder / f"{side}.yaml").write_text(written, encoding="utf-8")
        yield folder, name, adapted


def _settings(settings: Settings, folder: Path, card: AdapterCard, policy: PolicySettings) -> Settings:
    """Return settings whose engine has the adapter and whose policies are the two that are compared."""
    vllm = settings.engine.vllm
    others = tuple(each for each in vllm.adapters if adapter_name(each) != card.name)
    ranks: Sequence[int] = get_args(VllmSettings.model_fields["max_lora_rank"].annotation)
    changes: dict[str, object] = {
        "adapters": (*others, f"{card.name}={folder.resolve()}"),
        "max_lora_rank": min(rank for rank in ranks if rank >= max(card.training.rank, vllm.max_lora_rank)),
    }
    if card.adapts_merger:
        changes["engine_args"] = {**vllm.engine_args, "enable_tower_connector_lora": True}
    engine = settings.engine.model_copy(update={"kind": "vllm", "vllm": vllm.model_copy(update=changes)})
    return settings.model_copy(update={"engine": engine, "policy": policy})


def _dataset(data: PreparedData, policies: Policies, folder: Path) -> Dataset:
    categories = frozenset(name for each in policies.by_name.values() for name in each.names)
    return read_dataset(data.folder / LABELS_FILE, DatasetOptions(categories), ImageStore(folder / "images"))


def _measured(found: Comparison, engine: EngineDescription) -> Measured:
    return Measured(
        engine=engine.kind,
        model=engine.model_name,
        revision=engine.model_revision,
        precision=engine.precision,
        images=found.images,
        not_judged=found.not_judged,
        sentence=sentence_of(found),
        categories=[_category(each) for each in found.categories],
    )


def _category(each: ComparedCategory) -> MeasuredCategory:
    return MeasuredCategory(
        category=each.category,
        images=each.images,
        positives=each.positives,
        before={name: figure.first for name, figure in each.figures.items()},
        after={name: figure.second for name, figure in each.figures.items()},
        difference={
            name: Interval(value=figure.difference, low=figure.low, high=figure.high)
            for name, figure in each.figures.items()
            if figure.difference is not None and figure.low is not None and figure.high is not None
        },
        p_value=each.p_corrected,
    )


def _calibration(dataset: Dataset, validation: Run, card: AdapterCard) -> CalibrationFile | None:
    part = dataset.part(_SPLIT_VALIDATION)
    predictions: Sequence[Prediction] = validation.predictions
    engines = fit_engines(part, predictions, seed=card.training.seed)
    if not any(each.fitted() for each in engines):
        return None
    now = now_utc().replace(microsecond=0)
    return calibration_file(
        part, predictions, engines, name=card.name, version=f"{now:%Y-%m-%dT%H%M%SZ}", fitted_at=now
    )
