"""Files and URLs as upload events: what an upload service would publish for them."""

import base64
import hashlib
import mimetypes
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from schemas.base import Task, now_utc
from schemas.image_uploaded import ImageByUrlV1, ImageInlineV1, ImageReferenceV1, ImageUploadedV1

SUFFIXES = frozenset({".jpg", ".jpeg", ".png", ".webp", ".gif", ".avif", ".bmp"})
SCHEMES = ("http://", "https://", "s3://", "file://")
# The contract allows 256 characters; a long path keeps its end, which tells more.
MAX_ID_CHARACTERS = 200
_DIGEST_CHARACTERS = 12


@dataclass(frozen=True, slots=True)
class UploadOptions:
    """What all events of one sending have in common."""

    tasks: tuple[Task, ...] = ("moderation",)
    tenant: str = "default"
    policy: str | None = None
    caption: str | None = None
    context: Mapping[str, str] = field(default_factory=dict)


def event_of(image_id: str, image: ImageReferenceV1, options: UploadOptions) -> ImageUploadedV1:
    """Return the event of an image that is uploaded now."""
    return ImageUploadedV1(
        image_id=image_id,
        image=image,
        uploaded_at=now_utc(),
        tasks=options.tasks,
        tenant=options.tenant,
        policy=options.policy,
        caption=options.caption,
        context=dict(options.context),
    )


def by_reference(path: Path) -> ImageByUrlV1:
    """Name a file by its URL: the service reads it itself, if it lies in its `media.fetch.file_root`."""
    return ImageByUrlV1(url=path.resolve().as_uri())


def inline(path: Path) -> ImageInlineV1:
    """Put a file into the event."""
    media_type = mimetypes.guess_type(path.name)[0] or "application/octet-stream"
    return ImageInlineV1(inline=base64.b64encode(path.read_bytes()).decode(), media_type=media_type)


def images_below(folder: Path) -> Iterator[Path]:
    """Yield the image files of a folder and its sub-folders by name, hidden ones left out."""
    for path in sorted(folder.rglob("*")):
        hidden = any(part.startswith(".") for part in path.relative_to(folder).parts)
        if path.suffix.lower() in SUFFIXES and not hidden and path.is_file():
            yield path


def image_id_of(name: str) -> str:
    """Return a name as an image's id; one that is too long keeps its end, and a digest tells it from its like."""
    if len(name) <= MAX_ID_CHARACTERS:
        return name
    digest = hashlib.sha256(name.encode(errors="surrogatepass")).hexdigest()[:_DIGEST_CHARACTERS]
    return f"{digest}…{name[_DIGEST_CHARACTERS + 1 - MAX_ID_CHARACTERS :]}"
