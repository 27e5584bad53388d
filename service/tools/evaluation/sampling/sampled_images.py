"""Thumbnails of the images of a sample, for the page on which they are labelled."""

import asyncio
import re
from collections.abc import Mapping, Sequence

from service.settings.settings import Settings
from service.tools.evaluation.images.image_references import ImageSought, image_references
from service.tools.evaluation.images.thumbnails import Thumbnail, thumbnails
from service.tools.evaluation.images.upload_events import Place
from service.tools.evaluation.sampling.label_sheet import SampledImage

_NUMBER = re.compile("[0-9]{1,18}")  # what a broker counts with
_NO_PLACE = Place("", 0, 0)
_S_AN_IMAGE = 1.0
"""Allowed for each image, at eight at a time: a host that needs longer is broken."""
_LEAST_S = 120.0

_NO_REFERENCE = Thumbnail(missing="No upload event says where the image is")


def sampled_thumbnails(
    sampled: Sequence[SampledImage], references: str, settings: Settings
) -> Mapping[SampledImage, Thumbnail]:
    """Return a thumbnail of each image; `references` is a place of `image_references`.

    Raises `ImagesUnreadableError`, `OSError`, or the errors of `image_references`.
    """
    return asyncio.run(_thumbnails({_sought(image): image for image in sampled}, references, settings))


async def _thumbnails(
    sought: Mapping[ImageSought, SampledImage], references: str, settings: Settings
) -> Mapping[SampledImage, Thumbnail]:
    found, media = await image_references(references, settings, sought)
    max_time_s = max(_LEAST_S, _S_AN_IMAGE * len(found))
    drawn = await thumbnails(found, media, max_time_s=max_time_s)
    return {image: drawn.get(key, _NO_REFERENCE) for key, image in sought.items()}


def _sought(image: SampledImage) -> ImageSought:
    return ImageSought(image.image_id, image.tenant, image.sha256, place_of(image.source))


def place_of(source: str) -> Place:
    """Return where an upload event is; a place that no topic has if it is not known."""
    topic, partition, offset = (*source.rsplit(":", 2), "", "")[:3]
    known = topic and all(_NUMBER.fullmatch(each) for each in (partition, offset))
    return Place(topic, int(partition), int(offset)) if known else _NO_PLACE
