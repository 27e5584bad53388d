"""The report of an evaluation, for the command that writes it."""

import asyncio
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from schemas.image_uploaded import ImageReferenceV1
from service.cli.evaluate_run import Result
from service.client.upload_events import by_reference
from service.settings.media import MediaSettings
from service.tools.evaluation.images.thumbnails import Thumbnail, thumbnails
from service.tools.evaluation.quality.outcomes import judged_examples
from service.tools.evaluation.quality.report import Shown, evaluation_report
from service.tools.evaluation.quality.worst_errors import LabelError, worst_errors
from service.tools.evaluation.report.page import html_of


@dataclass(frozen=True, slots=True)
class _Seen:
    """An image of the contact sheet."""

    image_id: str
    sha256: str


def page_of(result: Result, comparison: Sequence[Sequence[str]], media: MediaSettings | None) -> str:
    """Return the page; `comparison` is the table of engines.

    With the settings of media it holds small pictures of the worst errors. Raises `FatalError` if none can be decoded.
    """
    judged = judged_examples(result.run.predictions, result.question.policy_of)
    missed, false_alarms = (worst_errors(result.question.dataset, judged, kind) for kind in ("missed", "false_alarm"))
    pictures = {} if media is None else _pictures(result, [*missed, *false_alarms], media)
    return html_of(evaluation_report(result.evaluation, Shown(missed, false_alarms, pictures, comparison)))


def _pictures(result: Result, errors: Iterable[LabelError], media: MediaSettings) -> Mapping[str, Thumbnail]:
    """Return pictures by image id; the files are those that were judged, decoded without rights once more."""
    wanted = {error.judged.example.image_id for error in errors}
    references: dict[_Seen, ImageReferenceV1] = {
        _Seen(each.example.image_id, each.key.sha256): by_reference(each.path)
        for each in result.run.predictions
        if each.example.image_id in wanted and each.path is not None and each.key is not None
    }
    anywhere = media.fetch.model_copy(update={"file_root": Path("/")})
    found = asyncio.run(thumbnails(references, media.model_copy(update={"fetch": anywhere})))
    return {seen.image_id: thumbnail for seen, thumbnail in found.items()}
