"""Runs a calibration for the command: judges the dataset for each policy, fits, and shows what came of it."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from rich.table import Table

from schemas.base import now_utc
from service.cli.evaluate_run import Asked, Checked, judged, read_question
from service.cli.exits import ExitCode
from service.cli.options import fail, output_console, warn
from service.core.instructions import ModelInstructions
from service.policy.calibration import CalibrationFile
from service.policy.score_maps import Uncalibrated
from service.settings.load import LoadedSettings
from service.settings.settings import Settings
from service.tools.evaluation.calibration.calibrate import (
    EngineFit,
    calibration_file,
    calibration_text,
    check_enough,
    fit_engines,
)
from service.tools.evaluation.calibration.label_prior import LabelPriorEffect, label_prior_effects
from service.tools.evaluation.calibration.report import calibration_report
from service.tools.evaluation.quality.outcomes import judged_examples
from service.tools.evaluation.quality.predictions import Prediction
from service.tools.evaluation.report.page import html_of


@dataclass(frozen=True, slots=True)
class CalibrationOptions:
    """What the options of the command say."""

    asked: Asked
    policies: Sequence[str]
    categories: Sequence[str]
    name: str
    version: str | None
    predictions: Path | None
    resume: bool
    seed: int
    compares_label_prior: bool


@dataclass(frozen=True, slots=True)
class CalibrationResult:
    """A calibration, and what it was made from."""

    file: CalibrationFile
    engines: Sequence[EngineFit]
    label_prior: Sequence[LabelPriorEffect]

    @property
    def text(self) -> str:
        """The file's text."""
        return calibration_text(self.file)

    def report(self) -> str:
        """Return the report as HTML."""
        return html_of(calibration_report(self.file, self.engines, self.label_prior))


def calibrated(loaded: LoadedSettings, options: CalibrationOptions) -> CalibrationResult:
    """Judge the dataset for each policy, and fit; raises `FatalError`."""
    # Of the engine's own scores: a calibration that the settings name already may not fit what they have become.
    settings = _with_policy(loaded.settings, {"calibration": None})
    question = read_question(replace(loaded, settings=settings), options.asked)
    names = _policies(question, options)
    dataset = question.dataset.part(question.split)
    if len({example.weight for example in dataset.examples}) > 1:
        warn("the dataset has weights, which calibration ignores: scores are those of the images as they were drawn")
    predictions: list[Prediction] = []
    engines: dict[object, EngineFit] = {}
    effects: list[LabelPriorEffect] = []
    for name in names:
        run, _ = judged(replace(question, policy=name), options.predictions, resume=options.resume)
        for each in fit_engines(dataset, run.predictions, seed=options.seed):
            engines.setdefault(each.scored_by, each)
        predictions += run.predictions if not predictions else ()
        if options.compares_label_prior:
            effects += _label_prior(question, name, run.predictions, options)
        if run.engine.prompt_hash is None:
            break  # its scores are the same for every policy
    check_enough(dataset, [*engines.values()], options.categories)
    fitted_at = now_utc().replace(microsecond=0)
    file = calibration_file(
        dataset,
        predictions,
        [*engines.values()],
        name=options.name,
        version=options.version or f"{fitted_at:%Y-%m-%dT%H%M%SZ}",
        fitted_at=fitted_at,
    )
    return CalibrationResult(file, [*engines.values()], effects)


def _policies(question: Checked, options: CalibrationOptions) -> Sequence[str]:
    """Return the policies to ask for; those with equal instructions give equal scores, and one of them is asked."""
    names = options.policies or [*question.policies.by_name]
    by_instructions: dict[ModelInstructions, str] = {}
    for name in names:
        by_instructions.setdefault(question.policies.select(name).instructions, name)
    found = [*by_instructions.values()]
    if options.predictions is not None and len(found) > 1:
        message = f"--predictions is for one policy, and these are {', '.join(found)}: name one with --policy"
        raise fail(message, code=ExitCode.USAGE)
    return found


def _with_policy(settings: Settings, changes: dict[str, object]) -> Settings:
    return settings.model_copy(update={"policy": settings.policy.model_copy(update=changes)})


def _label_prior(
    question: Checked, name: str, predictions: Sequence[Prediction], options: CalibrationOptions
) -> Iterator[LabelPriorEffect]:
    """Judge everything under the other prior, and yield what changes in each category."""
    settings = question.settings
    if settings.engine.kind not in {"vllm", "openai"}:
        warn("--compare-label-prior: this engine has no labels, and so no prior of them")
        return
    judging = settings.engine.judging
    other = "measured" if judging.label_prior == "uniform" else "uniform"
    engine = settings.engine.model_copy(update={"judging": judging.model_copy(update={"label_prior": other})})
    changed = replace(question, settings=settings.model_copy(update={"engine": engine}), policy=name)
    run, _ = judged(changed, None, resume=options.resume)
    policy, dataset = question.policies.select(name), question.dataset.part(question.split)
    both = {
        judging.label_prior: judged_examples(predictions, lambda _: policy),
        other: judged_examples(run.predictions, lambda _: policy),
    }
    yield from label_prior_effects(dataset, policy, uniform=both["uniform"], measured=both["measured"])


def print_calibration(result: CalibrationResult, output: Path) -> None:
    """Print what was fitted, what was not and why, and what to do with the file."""
    console = output_console()
    for engine in result.engines:
        table = Table("Category", "Score", "Method", "Positive", "Negative", "ECE before", "ECE after", box=None)
        for (category, kind), found in engine.fits.items():
            fitted = found.fitted
            both = (found.before, found.after)
            errors = ["" if each is None else f"{each.ece:.3f}" for each in both]
            method = "as it is" if isinstance(fitted, Uncalibrated) else fitted.method
            table.add_row(category, kind, method, f"{fitted.positives:,}", f"{fitted.negatives:,}", *errors)
        console.print(table)
    for effect in result.label_prior:
        console.print(effect.sentence)
    unchanged = sum(len(each.fits) - len(each.fitted()) for each in result.engines)
    if unchanged:
        warn(f"{unchanged} kinds of scores stay as they are, because they have too few examples")
    console.print(f"{output}: name it with the setting policy.calibration, and choose the thresholds again:")
    console.print("  modstream thresholds DATASET --target 'CATEGORY.precision>=0.98' -o new-policy.yaml")
