"""The steps of `modstream backtest`, with the libraries that its help does without."""

import asyncio
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from pathlib import Path

from service.cli.as_json import as_json
from service.cli.exits import ExitCode
from service.cli.judging_again import priced
from service.cli.options import fail
from service.policy.calibration import calibration_identity
from service.policy.loader import load_policies
from service.policy.policy import Policy
from service.settings.settings import Settings
from service.tools.evaluation.backtest.backtest import BacktestQuestion, backtest
from service.tools.evaluation.backtest.decided_verdicts import needed_categories
from service.tools.evaluation.backtest.report import backtest_report
from service.tools.evaluation.backtest.requirements import (
    BacktestRequirementError,
    CheckedRequirement,
    Requirement,
    parse_requirement,
)
from service.tools.evaluation.backtest.result import BacktestResult
from service.tools.evaluation.backtest.words import sentence
from service.tools.evaluation.images.image_references import ImageSought, image_references
from service.tools.evaluation.images.thumbnails import Thumbnail, thumbnails
from service.tools.evaluation.images.upload_events import Place
from service.tools.evaluation.report.page import write_report
from service.tools.evaluation.stored.stored_verdicts import StoredFiles, VerdictLines, VerdictSource, opened_verdicts

OnProgress = Callable[[int, int], None]

_NO_EVENT = Thumbnail(missing="gone: its upload event is not there")


def requirements_or_exit(texts: Sequence[str]) -> list[Requirement]:
    """Return what the options require; one that cannot be read ends the command."""
    try:
        return [parse_requirement(text) for text in texts]
    except BacktestRequirementError as error:
        raise fail(f"{error} [{error.reason}]", code=ExitCode.USAGE) from None


def decided_again(
    source: VerdictSource, since: datetime | None, question: BacktestQuestion, on_progress: OnProgress
) -> BacktestResult:
    """Return the result; raises what `opened_verdicts` and `backtest` raise."""
    categories = needed_categories(question.policy, question.baseline)
    with opened_verdicts(source, since=since, categories=categories, on_progress=on_progress) as connection:
        return backtest(connection, question)


def priced_again(result: BacktestResult, gpu: str | None, gpu_hour_usd: float | None) -> BacktestResult:
    """Return the result with what judging images again takes. Ends the command for a GPU that is not known."""
    if result.again is None:
        return result
    return replace(result, again=priced(result.again, gpu=gpu, gpu_hour_usd=gpu_hour_usd))


def calibration_file(settings: Settings) -> str | None:
    """Return what the service with these settings names as its calibration file; raises `CalibrationFileError`."""
    return calibration_identity(settings.policy.calibration)


def known_policies(settings: Settings) -> tuple[Policy, ...]:
    """Return the policies of the settings, whose thresholds are those before where their hash was stored."""
    return tuple(load_policies(settings.policy).by_name.values())


def pictures(
    result: BacktestResult, settings: Settings, place: str, on_progress: OnProgress
) -> Mapping[tuple[str, str], Thumbnail]:
    """Return a thumbnail, or why there is none, of each example; `place` is one of `image_references`.

    Raises `ImagesUnreadableError`, what reading the topic raises, or `OSError`.
    """
    examples = [example for cell in result.matrix if cell.before != cell.after for example in cell.examples]
    sought = {
        ImageSought(
            each.image_id,
            each.tenant,
            each.sha256,
            Place(each.source_topic, each.source_partition, each.source_offset),
        )
        for each in examples
    }

    async def fetched() -> Mapping[ImageSought, Thumbnail]:
        references, media = await image_references(place, settings, sought)
        return await thumbnails(references, media, on_progress=on_progress)

    found = asyncio.run(fetched())
    return {each.key: found.get(each, _NO_EVENT) for each in sought}


def write(
    path: Path,
    result: BacktestResult,
    policy: Policy,
    shown: Mapping[tuple[str, str], Thumbnail],
    source: VerdictSource,
) -> None:
    """Write the report; raises `OSError`."""
    write_report(path, backtest_report(result, policy, shown, source=source_text(source)))


def source_text(source: VerdictSource) -> str:
    """Return where verdicts come from, in words."""
    match source:
        case StoredFiles(place):
            return f"archive {place}"
        case VerdictLines(path):
            return f"file {path}"
        case _:
            return f"topic {source.settings.topics.verdicts}"


def json_text(result: BacktestResult, checks: Sequence[CheckedRequirement]) -> str:
    """Return the result as JSON, with what follows from it."""
    return as_json(
        {
            "sentence": sentence(result),
            "changed": result.changed,
            "more_to_review": result.more_to_review,
            "review_hours_a_week": result.review_hours_a_week,
            "requirements": checks,
            "result": result,
        }
    )
