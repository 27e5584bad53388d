"""Files and URLs as upload events: what an upload service would publish for them."""

import base64
import hashlib
import mimetypes
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import urlsplit

from schemas.base import Task, now_utc
from schemas.image_uploaded import ImageByUrlV1, ImageInlineV1, ImageReferenceV1, ImageUploadedV1

SUFFIXES = frozenset({".jpg", ".jpeg", ".png", ".webp", ".gif", ".avif", ".bmp"})
SCHEMES = ("http", "https", "s3", "file")
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


@dataclass(frozen=True, slots=True)
class Upload:
    """One image to send: a file of this machine, or what a URL names."""

    image_id: str
    location: Path | str


class UploadTargetError(ValueError):
    """A target is neither a file, nor a folder with images, nor a URL of a known scheme."""


def uploads_of(targets: Iterable[str]) -> Iterator[Upload]:
    """Yield what paths and URLs name, folders with their sub-folders; raises `UploadTargetError`."""
    for target in targets:
        path = Path(target)
        if "://" in target:
            yield Upload(image_id_of(_name_of(target)), target)
        elif path.is_dir():
            yield from _uploads_below(path)
        elif path.is_file():
            yield Upload(image_id_of(path.name), path)
        else:
            raise UploadTargetError(f"{target} is neither a file nor a folder")


def _name_of(url: str) -> str:
    """Return host and path: a query may hold a signature, and user and password stand before the host."""
    parts = urlsplit(url)
    if parts.scheme not in SCHEMES:
        raise UploadTargetError(f"{parts.scheme}:// is not supported; allowed are {', '.join(SCHEMES)}")
    name = f"{parts.netloc.rpartition('@')[2]}{parts.path}".strip("/")
    if not name:
        raise UploadTargetError("a URL names no image")
    return name


def _uploads_below(folder: Path) -> Iterator[Upload]:
    found = False
    for path in images_below(folder):
        found = True
        yield Upload(image_id_of(path.relative_to(folder).as_posix()), path)
    if not found:
        raise UploadTargetError(f"there is no image in {folder}")


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
