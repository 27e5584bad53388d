"""Where the images of stored verdicts are: as their upload events say, a file, or a folder."""

from collections.abc import Collection, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from pydantic import ValidationError

from schemas.base import Identifier, Message
from schemas.image_uploaded import ImageByUrlV1, ImageReferenceV1
from service.core.errors import FatalError, RejectedError
from service.core.validation_text import placed_text_of
from service.events.codec import decode_upload
from service.settings.media import MediaSettings
from service.settings.settings import Settings
from service.tools.evaluation.images.upload_events import Place, upload_records

TOPIC = "topic"
"""In the place of a file of upload events: they are read again from their topic."""

_MAX_LINE_BYTES = 64 * 1024 * 1024
"""Of an event with its image inside."""


@dataclass(frozen=True, slots=True)
class ImageSought:
    """An image of a stored verdict."""

    image_id: str
    tenant: str
    sha256: str
    place: Place

    @property
    def key(self) -> tuple[str, str]:
        """What identifies an image among others."""
        return self.tenant, self.image_id


class ImagesUnreadableError(FatalError):
    """A file of image references has a line that is none."""

    reason = "backtest.images_unreadable"
    message = (
        "--images {path}, line {line}: {detail}; a line is an upload event as JSON, at least "
        '{{"image_id": "…", "tenant": "…", "image": {{"url": "…"}}}}'
    )


class _Line(Message):
    """What of an upload event names the image."""

    image_id: Identifier
    tenant: Identifier
    image: ImageReferenceV1


async def image_references(
    place: str, settings: Settings, sought: Collection[ImageSought]
) -> tuple[Mapping[ImageSought, ImageReferenceV1], MediaSettings]:
    """Return where images are, and the settings to fetch them by.

    `place` is `topic`, a file of upload events as JSON lines, or a folder of images. Raises `ImagesUnreadableError`,
    what `upload_records` raises, or `OSError`.
    """
    if place == TOPIC:
        return await references_of_topic(settings, sought), settings.media
    return _on_disk(Path(place), settings.media, sought)


def _on_disk(
    path: Path, media: MediaSettings, sought: Collection[ImageSought]
) -> tuple[Mapping[ImageSought, ImageReferenceV1], MediaSettings]:
    if path.is_dir():
        fetch = media.fetch.model_copy(update={"file_root": path.absolute()})
        return references_of_folder(path, sought), media.model_copy(update={"fetch": fetch})
    return references_of_file(path, sought), media


def references_of_folder(folder: Path, sought: Collection[ImageSought]) -> Mapping[ImageSought, ImageReferenceV1]:
    """Return files whose paths below a folder are the images' ids, as `modstream try FOLDER` names them.

    Ids are chosen by strangers: read the files with the folder as `media.fetch.file_root`, which refuses others.
    """
    found: dict[ImageSought, ImageReferenceV1] = {}
    for image in sought:
        with suppress(ValidationError):  # an id too long for a path
            found[image] = ImageByUrlV1(url=(folder.absolute() / image.image_id).as_uri())
    return found


def references_of_file(path: Path, sought: Collection[ImageSought]) -> Mapping[ImageSought, ImageReferenceV1]:
    """Return where a file of upload events as JSON lines says that images are.

    Raises `ImagesUnreadableError`, or `OSError` where the file cannot be read.
    """
    by_key = {each.key: each for each in sought}
    found: dict[ImageSought, ImageReferenceV1] = {}
    for line in _lines(path):
        if image := by_key.get((line.tenant, line.image_id)):
            found[image] = line.image
    return found


def _lines(path: Path) -> Iterator[_Line]:
    with path.open("rb") as file:
        for number, text in enumerate(iter(lambda: file.readline(_MAX_LINE_BYTES + 1), b""), 1):
            if len(text) > _MAX_LINE_BYTES:
                raise ImagesUnreadableError(path=path, line=number, detail=f"longer than {_MAX_LINE_BYTES} bytes")
            if text.strip():
                try:
                    yield _Line.model_validate_json(text)
                except ValidationError as error:
                    raise ImagesUnreadableError(
                        path=path, line=number, detail=placed_text_of(error.errors()[0])
                    ) from None


async def references_of_topic(
    settings: Settings, sought: Collection[ImageSought]
) -> Mapping[ImageSought, ImageReferenceV1]:
    """Return where the events of `topics.uploads` say that images are, of those events that the topic still holds.

    Raises what `upload_records` raises.
    """
    records = await upload_records(settings, {each.place for each in sought})
    found: dict[ImageSought, ImageReferenceV1] = {}
    for image in sought:
        if record := records.get(image.place):
            try:
                event = decode_upload(record, max_bytes=settings.kafka.max_event_bytes).event
            except RejectedError:
                continue
            if (event.tenant, event.image_id) == image.key:
                found[image] = event.image
    return found
