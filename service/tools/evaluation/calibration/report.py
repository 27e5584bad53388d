"""The report of a calibration: errors before and after, reliability diagrams, and what the labels' prior changes."""

from collections.abc import Iterator, Sequence

from service.policy.calibration import CalibrationFile, ScoredBy
from service.policy.score_maps import Uncalibrated
from service.tools.evaluation.calibration.calibrate import EngineFit
from service.tools.evaluation.calibration.fit import MIN_EXAMPLES, Fit
from service.tools.evaluation.calibration.label_prior import LabelPriorEffect
from service.tools.evaluation.quality.bootstrap import Figure
from service.tools.evaluation.quality.calibration_error import Reliability
from service.tools.evaluation.report.blocks import Column, columns, note, table
from service.tools.evaluation.report.page import Block, Report, Section
from service.tools.evaluation.report.plots import Line, reliability

_COLUMNS = (
    Column("Category"),
    Column("Score"),
    Column("Method"),
    Column("Positive", numeric=True),
    Column("Negative", numeric=True),
    Column("Error before", numeric=True),
    Column("Error after", numeric=True),
    Column("By chance", numeric=True),
)

_PRIOR_COLUMNS = (
    Column("Category"),
    Column("Images", numeric=True),
    Column("Error, uniform", numeric=True),
    Column("Error, measured", numeric=True),
    Column("Recall, uniform", numeric=True),
    Column("Recall, measured", numeric=True),
)

_HOW_MEASURED = (
    "The error is the expected calibration error: the mean distance of the scores from the share of positives, over ten"
    " bins with equal numbers of images. After calibration each image's score comes from a map that was fitted without"
    " it. “By chance” is what a perfectly calibrated score would show on as many images: smaller errors say nothing."
)
_PREVALENCE = (
    "A calibrated score is the probability among images like these. If a category is rarer in your uploads than in the"
    " dataset, its scores are too high there by as much as its odds differ."
)


def _goes(before: float, after: float) -> str:
    """Return which way an error goes, by the digits that are shown."""
    shown = f"{before:.3f}", f"{after:.3f}"
    if shown[0] == shown[1]:
        return f"stays at {shown[0]}"
    return f"{'falls' if after < before else 'rises'} from {shown[0]} to {shown[1]}"


def calibration_report(
    file: CalibrationFile, engines: Sequence[EngineFit], label_prior: Sequence[LabelPriorEffect] = ()
) -> Report:
    """Return the report of a calibration file."""
    fits = [each for engine in engines for each in engine.fits.values()]
    fitted = [each for engine in engines for each in engine.fitted().values()]
    worst = [max(_error(each.before) for each in fitted), max(_error(each.after) for each in fitted)]
    return Report(
        command="modstream calibrate",
        title="Calibration",
        sentence=(
            f"The largest calibration error {_goes(*worst)}: {len(fitted)} of {len(fits)} kinds of scores"
            f" {'has' if len(fitted) == 1 else 'have'} enough examples"
        ),
        sections=(*_sections(engines), *_prior_section(label_prior)),
        lead=f"{_HOW_MEASURED} {_PREVALENCE}",
        origin={
            "Calibration": f"{file.name}, version {file.version}",
            "Dataset": f"{file.fitted_on.dataset}, {file.fitted_on.images:,} images",
            "Fitted": f"{file.fitted_at:%Y-%m-%d %H:%M} UTC",
        },
    )


def _sections(engines: Sequence[EngineFit]) -> Iterator[Section]:
    for engine in engines:
        yield Section(_title(engine.scored_by), (*_blocks(engine),))


def _title(scored_by: ScoredBy) -> str:
    prompt = f", prompt {scored_by.prompt_hash[:12]}" if scored_by.prompt_hash else ""
    return f"{scored_by.engine} {scored_by.model}{prompt}"


def _blocks(engine: EngineFit) -> Iterator[Block]:
    rows = [_row(category, kind, found) for (category, kind), found in engine.fits.items()]
    yield table("By category and kind of score", _COLUMNS, rows)
    if len(engine.fitted()) < len(engine.fits):
        text = f"Scores with fewer than {MIN_EXAMPLES} different positive or negative images stay as they are."
        yield note(text, warning=True)
    yield columns(*(_diagram(f"{category} ({kind})", found) for (category, kind), found in engine.fitted().items()))


def _row(category: str, kind: str, found: Fit) -> Sequence[str]:
    fitted = found.fitted
    counts = (f"{fitted.positives:,}", f"{fitted.negatives:,}")
    method = "as it is" if isinstance(fitted, Uncalibrated) else fitted.method
    if found.before is None or found.after is None:
        return (category, kind, method, *counts, "–", "–", "–")
    errors = (f"{found.before.ece:.3f}", f"{found.after.ece:.3f}", f"{found.after.ece_by_chance:.3f}")
    return (category, kind, method, *counts, *errors)


def _diagram(title: str, found: Fit) -> Block:
    before, after = found.before, found.after
    if before is None or after is None:
        return ""
    return reliability(
        title,
        [_line("before", before, is_after=False), _line("after", after, is_after=True)],
        [(each.lowest, max(each.highest, each.lowest + 0.005), each.images) for each in after.bins],
        description=f"Reliability of {title}: calibration error {before.ece:.3f} before, {after.ece:.3f} after.",
    )


def _line(label: str, found: Reliability, *, is_after: bool) -> Line:
    return Line(
        label,
        [each.mean_score for each in found.bins],
        [each.positive_share for each in found.bins],
        tone="accent" if is_after else "soft",
        dashed=not is_after,
    )


def _error(found: Reliability | None) -> float:
    return 0.0 if found is None else found.ece


def _prior_section(effects: Sequence[LabelPriorEffect]) -> Iterator[Section]:
    if not effects:
        return
    rows = [
        (
            f"{each.category} ({each.policy})",
            f"{each.images:,}",
            _interval(each.uniform.calibration_error),
            _interval(each.measured.calibration_error),
            _interval(each.uniform.recall),
            _interval(each.measured.recall),
        )
        for each in effects
    ]
    text = (
        "The same images under both settings of engine.judging.label_prior, before calibration, with 95 % intervals;"
        " recall is that at the policy's thresholds."
    )
    yield Section("The labels' prior", (text, table("With equal and with measured priors", _PRIOR_COLUMNS, rows)))


def _interval(figure: Figure) -> str:
    if figure.value is None:
        return figure.undefined or "undefined"
    return f"{figure.value:.3f} ({figure.low:.3f} to {figure.high:.3f})"
