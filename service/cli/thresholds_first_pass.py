"""Solves the thresholds of a policy's first pass for the command: judges, solves, writes the policy, and shows it."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path

from rich.table import Table

from service.cli.as_json import as_json
from service.cli.evaluate_run import judged, read_question
from service.cli.exits import ExitCode
from service.cli.options import complain, error_console, fail, output_console, warn
from service.cli.served_policies import check_policies_or_exit
from service.cli.thresholds_run import CommonOptions, FoundPolicy
from service.policy.loader import load_policies
from service.policy.policy import Policy
from service.policy.policy_file import check_policy
from service.policy.policy_files import policy_paths
from service.policy.taxonomy import CHILD_SAFETY
from service.settings.load import LoadedSettings
from service.settings.settings import Settings
from service.tools.evaluation.stored.stored_verdicts import VerdictSource, opened_verdicts
from service.tools.evaluation.thresholds.first_pass import (
    FIRST_PASS_CONFIDENCE,
    FirstPassNotSolved,
    Measured,
    SolvedFirstPass,
    solve_first_pass,
)
from service.tools.evaluation.thresholds.first_pass_edit import NewFirstPass, check_first_pass, with_first_pass
from service.tools.evaluation.thresholds.policy_edit import next_version
from service.tools.evaluation.thresholds.ranking import MeasuredShare
from service.tools.evaluation.thresholds.two_passes import JUDGE_BOTH, BothJudged, stored_passes, two_passes

_CHILD_SAFETY = (
    f"{CHILD_SAFETY}: an image that the first pass clears is never seen by the full pass, so the loss below is also one"
    f" of {CHILD_SAFETY}. The images may have too few of it to measure that loss by itself: check this category by"
    " hand, or leave first_pass out"
)


Stored = tuple[VerdictSource, datetime | None]
"""Where verdicts are, and since when."""


@dataclass(frozen=True, slots=True)
class FirstPassOptions:
    """What the options of the command say."""

    common: CommonOptions
    recall: float
    clears_child_safety: bool
    stored: Stored | None = None
    """Verdicts that are there already; None for a dataset, which is judged."""

    @property
    def confidence(self) -> float:
        """The confidence of the recall."""
        return FIRST_PASS_CONFIDENCE if self.common.confidence is None else self.common.confidence


@dataclass(frozen=True, slots=True)
class FirstPassResult:
    """What was solved, and the policy with it."""

    policy_name: str
    version: str
    """Of the new policy."""
    found: SolvedFirstPass | FirstPassNotSolved
    left_out: Mapping[str, int]
    """Verdicts without both passes, by reason."""
    new: NewFirstPass | None
    text: str | None
    """The new policy; None if nothing was solved."""

    def json(self) -> str:
        """Return everything that was found."""
        found = {"policy": self.policy_name, "version": self.version, "first_pass": self.found}
        return as_json(found | {"left_out": self.left_out})


def shown_first_pass(loaded: LoadedSettings, options: FirstPassOptions, output: Path | None) -> FoundPolicy:
    """Solve, and print the thresholds of the first pass, or why there are none; raises `FatalError`."""
    result = solved_first_pass(loaded, options, output)
    print_first_pass_solution(result)
    return FoundPolicy(result.policy_name, result.version, result.text, result.json(), report=None)


def solved_first_pass(loaded: LoadedSettings, options: FirstPassOptions, output: Path | None) -> FirstPassResult:
    """Judge the dataset by both passes or read stored verdicts, solve, and make the policy's text.

    Raises `FatalError`.
    """
    both, policy = _from_stored(loaded, options) if options.stored is not None else _from_dataset(loaded, options)
    found = solve_first_pass(
        policy, both.images, recall=options.recall, confidence=options.confidence, seed=options.common.seed
    )
    version = options.common.version or next_version(policy.version)
    new = text = None
    if isinstance(found, SolvedFirstPass):
        new = NewFirstPass(found.clear_below, [_comment(found)])
        text = _written(loaded.settings, policy, new, version, output)
    return FirstPassResult(policy.name, version, found, both.left_out, new, text)


def _from_dataset(loaded: LoadedSettings, options: FirstPassOptions) -> tuple[BothJudged, Policy]:
    common = options.common
    question = read_question(loaded, common.asked)
    policy = question.policies.select(common.asked.policy)
    _check(policy, options)
    if any(policy.first_pass.clear_below.values() if policy.first_pass else ()):
        detail = f"the first pass of {policy.name!r} clears images, which the full pass then does not judge"
        raise fail(f"{detail}: {JUDGE_BOTH}", code=ExitCode.USAGE)
    run, _ = judged(replace(question, policy=policy.name), common.predictions, resume=common.resume)
    verdicts = (each.verdict for each in run.predictions if each.verdict is not None)
    return two_passes(verdicts, policy), policy


def _from_stored(loaded: LoadedSettings, options: FirstPassOptions) -> tuple[BothJudged, Policy]:
    source, since = options.stored or (None, None)
    check_policies_or_exit(loaded)
    policy = load_policies(loaded.settings.policy).select(options.common.asked.policy)
    _check(policy, options)
    if source is None:
        raise ValueError("no source of verdicts is named")
    with opened_verdicts(source, since=since) as connection:
        return stored_passes(connection, policy), policy


def _check(policy: Policy, options: FirstPassOptions) -> None:
    if not options.clears_child_safety:
        detail = (
            f"an image can only be cleared if the first pass may clear it of {CHILD_SAFETY} too, which neither a number"
            " nor the key default says: give --clear-child-safety if that is meant"
        )
        raise fail(f"--first-pass-recall: {detail}", code=ExitCode.USAGE)
    if policy.first_pass is None:
        detail = f"the policy {policy.name!r} has no first_pass: add 'first_pass: {{clear_below: {{default: 0,"
        raise fail(f"{detail} child_safety: 0}}}}', with which both passes judge every image", code=ExitCode.USAGE)


def _comment(found: SolvedFirstPass) -> str:
    kept, cleared = found.held_out.recall, found.held_out.cleared
    return (
        f"clears {cleared.value:.1%} and keeps {kept.value:.3f} ({kept.low:.3f} to {kept.high:.3f}) of {kept.images:,}"
        f" images that the full pass does not allow, measured on held-out images; target {found.target:g} with"
        f" {found.confidence:.0%} confidence"
    )


def _written(settings: Settings, policy: Policy, new: NewFirstPass, version: str, output: Path | None) -> str:
    """Return the new policy's text, checked; `output` is where it is going to stand."""
    path = next(path for path in policy_paths(settings.policy.path) if check_policy(path).result().name == policy.name)
    text = with_first_pass(path, path.read_bytes(), new, version=version)
    check_first_pass(output or path, text, policy, new, version=version)
    return text


def print_first_pass_solution(result: FirstPassResult) -> None:
    """Print the thresholds and what they do, or why there are none."""
    for why, count in result.left_out.items():
        error_console().print(f"left out: {count:,} {why}", highlight=False)
    found = result.found
    if isinstance(found, FirstPassNotSolved):
        more = "" if found.more_positives is None else f"; judge about {found.more_positives:,} more such images"
        complain(f"no thresholds: {found.detail}{more}, or take a lower --first-pass-recall or --confidence")
        return
    console = output_console()
    table = Table(box=None)
    for heading in ("Images", "", "Cleared", "Recall against the full pass", "Lost"):
        table.add_column(heading, overflow="fold")
    table.add_row("held out", *_cells(found.held_out))
    table.add_row("chosen on", *_cells(found.chosen_on))
    console.print(table)
    kept = found.held_out.recall
    console.print(
        f"Of the images that the full pass does not allow, {1 - kept.value:.2%} are lost ({1 - kept.high:.2%} to"
        f" {1 - kept.low:.2%}): the first pass clears them. Each threshold is {found.ratio:g} of the category's"
        " lowest.",
        highlight=False,
    )
    if result.new is not None:
        console.print("\nfirst_pass:\n" + result.new.key(), highlight=False, soft_wrap=True, end="")
    warn(_CHILD_SAFETY)


def _cells(measured: Measured) -> tuple[str, ...]:
    lost = round((1 - measured.recall.value) * measured.recall.images)
    return f"{measured.images:,}", _shown(measured.cleared), _shown(measured.recall), f"{lost:,}"


def _shown(share: MeasuredShare) -> str:
    return f"{share.value:.3f} ({share.low:.3f} to {share.high:.3f}) of {share.images:,}"
