"""Solves thresholds for the command: judges the dataset, solves, writes the policy's text, and shows the result."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import typer
from rich.table import Table

from service.cli.as_json import as_json
from service.cli.evaluate_files import write_or_exit
from service.cli.evaluate_run import Asked, judged, read_question
from service.cli.exits import ExitCode
from service.cli.options import complain, fail, output_console, warn
from service.policy.policy import Policy
from service.policy.policy_file import check_policy
from service.policy.policy_files import policy_paths
from service.settings.load import LoadedSettings
from service.settings.settings import Settings
from service.tools.evaluation.datasets.dataset import Dataset
from service.tools.evaluation.quality.outcomes import JudgedExample, judged_examples, outcomes_of
from service.tools.evaluation.quality.predictions import Prediction
from service.tools.evaluation.report.page import html_of
from service.tools.evaluation.thresholds.cheapest_policy import CheapestPolicy, cheapest_policy
from service.tools.evaluation.thresholds.costs import Bill, Prices
from service.tools.evaluation.thresholds.policy_edit import NewRule, check_written, next_version, with_thresholds
from service.tools.evaluation.thresholds.ranking import DEFAULT_CONFIDENCE, MeasuredShare, Ranking
from service.tools.evaluation.thresholds.report import bill_report, targets_report
from service.tools.evaluation.thresholds.target import Target
from service.tools.evaluation.thresholds.thresholds import SPLITS, Solution, solve_targets


@dataclass(frozen=True, slots=True)
class CommonOptions:
    """What options say that every way to solve thresholds has."""

    asked: Asked
    version: str | None
    predictions: Path | None
    confidence: float | None
    """None: what suits the way."""
    resume: bool
    seed: int


@dataclass(frozen=True, slots=True)
class ThresholdOptions:
    """What the options of the command say for targets, and for the lowest bill."""

    common: CommonOptions
    targets: Sequence[Target]
    prices: Prices | None
    images_a_month: int

    @property
    def confidence(self) -> float:
        """The confidence of targets."""
        return DEFAULT_CONFIDENCE if self.common.confidence is None else self.common.confidence


@dataclass(frozen=True, slots=True)
class Files:
    """Where options say that results go; None for each that is not wanted."""

    policy: Path | None
    report: Path | None
    json: Path | None


@dataclass(frozen=True, slots=True)
class FoundPolicy:
    """What a way to solve thresholds comes to, as files."""

    name: str
    version: str
    text: str | None
    """The new policy; None if nothing was solved."""
    json: str
    report: str | None
    """As HTML; None where there is none."""


@dataclass(frozen=True, slots=True)
class ThresholdResult:
    """What was solved, and the policy with it."""

    policy_name: str
    version: str
    """Of the new policy."""
    targets: Solution | None
    bill: CheapestPolicy | str | None
    """The cheapest thresholds, or why the images do not suffice for them; None for targets."""
    follow_up: tuple[float, float] | None
    """The policy's follow-up threshold before and after, if an engine with questions judged and it changes."""
    text: str | None
    """The new policy; None if a target is not supported."""
    rankings: Mapping[str, Ranking]
    """The labelled images of the targets' categories."""
    origin: Mapping[str, str]
    """What it was solved from, for the report."""

    def report(self) -> str | None:
        """Return the report as HTML; None without enough images for a bill."""
        if self.targets is not None:
            return html_of(targets_report(self.targets, self.rankings, self.origin))
        return html_of(bill_report(self.bill, self.origin)) if isinstance(self.bill, CheapestPolicy) else None

    def json(self) -> str:
        """Return everything that was found."""
        return as_json(
            {"policy": self.policy_name, "version": self.version, "targets": self.targets, "bill": self.bill}
        )


def solved(loaded: LoadedSettings, options: ThresholdOptions, output: Path | None) -> ThresholdResult:
    """Judge the dataset, solve, and make the policy's text; raises `FatalError`."""
    question = read_question(loaded, options.common.asked)
    policy = question.policies.select(options.common.asked.policy)
    for target in options.targets:
        if target.category not in policy.categories:
            known = ", ".join(policy.categories)
            message = f"--target {target}: the policy {policy.name!r} has no rule for it; it has rules for {known}"
            raise fail(message, code=ExitCode.USAGE)
    run, _ = judged(question, options.common.predictions, resume=options.common.resume)
    dataset = question.dataset.part(question.split)
    examples = judged_examples(run.predictions, lambda _: policy)
    hints = frozenset(name for each in run.predictions if each.verdict is not None for name in each.verdict.hints)
    version = options.common.version or next_version(policy.version)
    targets = bill = None
    rankings = _rankings(dataset, examples, options.targets)
    if options.prices is None:
        targets = solve_targets(
            policy, rankings, options.targets, hints=hints, confidence=options.confidence, seed=options.common.seed
        )
        rules = targets.rules
    else:
        bill = cheapest_policy(
            policy,
            dataset,
            examples,
            options.prices,
            hints=hints,
            volume=options.images_a_month,
            seed=options.common.seed,
        )
        rules = {} if isinstance(bill, str) else bill.rules
    is_solved = not (targets is not None and targets.not_supported) and not isinstance(bill, str)
    text = _written(question.settings, policy, rules, version, output) if is_solved else None
    origin = {
        "Policy": f"{policy.name}, version {policy.version}",
        "Engine": f"{run.engine.kind} {run.engine.model_name}",
        "Dataset": f"{dataset.source}, {len(examples):,} judged images",
    }
    return ThresholdResult(
        policy.name, version, targets, bill, _follow_up(policy, rules, run.predictions), text, rankings, origin
    )


def _rankings(dataset: Dataset, examples: Sequence[JudgedExample], targets: Sequence[Target]) -> Mapping[str, Ranking]:
    if targets and len({each.example.weight for each in examples}) > 1:
        detail = (
            "the dataset has weights, and a confidence limit for targets is exact for equal ones only: label a plain"
            " random sample of the images that the target is about, or use --costs, which takes weights"
        )
        raise fail(detail, code=ExitCode.FAILED)
    rankings = {}
    for name in {target.category for target in targets}:
        found = outcomes_of(dataset, examples, name)
        if len(found):
            rankings[name] = Ranking(found.score, found.truth)
    return rankings


def _written(
    settings: Settings, policy: Policy, rules: Mapping[str, NewRule], version: str, output: Path | None
) -> str:
    """Return the new policy's text, checked; `output` is where it is going to stand."""
    path = next(path for path in policy_paths(settings.policy.path) if check_policy(path).result().name == policy.name)
    text = with_thresholds(path, path.read_bytes(), rules, version=version)
    check_written(output or path, text, policy, rules, version=version)
    return text


def _follow_up(
    policy: Policy, rules: Mapping[str, NewRule], predictions: Sequence[Prediction]
) -> tuple[float, float] | None:
    if not any(each.verdict is not None and each.verdict.prompt_hash for each in predictions):
        return None
    categories = {
        name: rule.model_copy(update=dict(rules[name].thresholds)) if name in rules else rule
        for name, rule in policy.categories.items()
    }
    changed = policy.model_copy(update={"categories": categories})
    before = policy.instructions.follow_up_threshold
    after = Policy.model_validate(changed.model_dump() | {"attributes": policy.attributes}).instructions
    return None if before == after.follow_up_threshold else (before, after.follow_up_threshold)


def shown_solution(loaded: LoadedSettings, options: ThresholdOptions, output: Path | None) -> FoundPolicy:
    """Solve, and print the thresholds, or why there are none; raises `FatalError`."""
    result = solved(loaded, options, output)
    print_solution(result)
    return FoundPolicy(result.policy_name, result.version, result.text, result.json(), result.report())


def write_files(found: FoundPolicy, files: Files) -> None:
    """Write what was found into the files that are wanted; end the command with code 1 if nothing was solved."""
    if files.json is not None:
        write_or_exit(files.json, found.json + "\n")
    if files.report is not None and found.report is not None:
        write_or_exit(files.report, found.report)
    if found.text is None:
        raise typer.Exit(ExitCode.FAILED)
    if files.policy is not None:
        write_or_exit(files.policy, found.text)
        typer.echo(f"{files.policy}: {found.name}, version {found.version}")
        for problem in check_policy(files.policy).problems:  # the text was checked: only a file it names can be missing
            warn(f"{problem}: copy it from the folder of the policy before")


def print_solution(result: ThresholdResult) -> None:
    """Print the thresholds, or why there are none."""
    if result.targets is not None:
        _print_targets(result.targets)
    if isinstance(result.bill, str):
        complain(result.bill)
    elif result.bill is not None:
        _print_bill(result.bill)
    if result.follow_up is not None and result.text is not None:
        before, after = result.follow_up
        warn(
            f"the follow-up threshold of the policy goes from {before:g} to {after:g}: other images get questions of"
            " their own, whose answers replace scores. Run the command again with the new policy before you serve it"
        )


def _print_targets(solution: Solution) -> None:
    console = output_console()
    if solution.solved:
        table = Table(box=None)
        for heading in ("Threshold", "For", "Precision", "Recall", "Flagged", f"Kept on {SPLITS} halves"):
            table.add_column(heading, overflow="fold")
        for each in solution.solved:
            found = each.found
            table.add_row(
                f"{each.category}.{each.outcome} {found.threshold:g}",
                " ".join(str(target) for target in each.targets),
                _shown(found.precision),
                _shown(found.recall),
                f"{found.flagged:,}",
                str(each.held_out),
            )
        console.print(table)
    for problem in solution.not_supported:
        more = "" if problem.more_labels is None else f"; about {problem.more_labels:,} more labelled images are needed"
        complain(f"{problem.target} is not supported: {problem.detail}{more}")


def _shown(share: MeasuredShare) -> str:
    return f"{share.value:.3f} ({share.low:.3f} to {share.high:.3f})"


def _print_bill(cheapest: CheapestPolicy) -> None:
    console, result = output_console(), cheapest.result
    table = Table("Category", "Review", "Block", box=None)
    for name in cheapest.rules:
        found = result.thresholds[name]
        table.add_row(name, f"{found.review:g}", f"{found.block:g}")
    console.print(table if cheapest.rules else "No other thresholds cost less.")
    for when, bill in (("now", result.before), ("then", result.after)):
        console.print(f"{when}: {_bill(bill)}")
    console.print(f"of {cheapest.images:,} labelled images, {cheapest.harmful:,} of them harmful")


def _bill(bill: Bill) -> str:
    return (
        f"{bill.cost:,.0f} ({bill.low:,.0f} to {bill.high:,.0f}) for {bill.images:,} images,"
        f" {bill.reviewed:,.0f} reviewed in {bill.review_hours:,.0f} hours"
    )
