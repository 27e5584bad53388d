"""Files and URLs as upload events: what an upload service would publish for them."""

import base64
import hashlib
import mimetypes
import os
import stat
import unicodedata
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import chain
from pathlib import Path
from urllib.parse import urlsplit

from schemas.base import Task, now_utc
from schemas.image_uploaded import ImageByUrlV1, ImageInlineV1, ImageReferenceV1, ImageUploadedV1
from service.telemetry.plain_text import one_line

SUFFIXES = frozenset({".jpg", ".jpeg", ".png", ".webp", ".gif", ".avif", ".bmp"})
SCHEMES = ("http", "https", "s3", "file")
# The contract allows 256 characters; a long path keeps its end, which says more.
MAX_ID_CHARACTERS = 200
_DIGEST_CHARACTERS = 12


@dataclass(frozen=True, slots=True)
class UploadOptions:
    """The fields that all events of one command share."""

    tasks: tuple[Task, ...] = ("moderation",)
    tenant: str = "default"
    policy: str | None = None
    caption: str | None = None
    context: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Upload:
    """One image to send: a file on this machine, or a URL."""

    image_id: str
    location: Path | str


@dataclass(frozen=True, slots=True)
class Unusable:
    """A file or URL that is no image to send, and the reason."""

    name: str
    """As the user gave it, or below the folder that was given; may hold any character."""
    reason: str
    is_expected: bool = False
    """Folders of images commonly hold such files, so that a command does not fail because of it."""

    def __str__(self) -> str:
        """Return one line for people."""
        return f"{one_line(self.name)}: {self.reason}"


@dataclass(frozen=True, slots=True)
class FoundUploads:
    """The images in files, folders and URLs, and everything that is left out."""

    uploads: Sequence[Upload]
    unusable: Sequence[Unusable]

    @property
    def is_complete(self) -> bool:
        """Whether all is usable but what folders of images commonly hold beside them."""
        return all(each.is_expected for each in self.unusable)


class UploadTargetError(ValueError):
    """An image cannot be sent or judged; the message says why."""


def find_uploads(targets: Iterable[str]) -> FoundUploads:
    """Return the images of paths and URLs, including sub-folders of folders; no file is opened."""
    found = [*chain.from_iterable(map(_of_target, targets))]
    return FoundUploads(
        [each for each in found if isinstance(each, Upload)], [each for each in found if isinstance(each, Unusable)]
    )


def _of_target(target: str) -> Iterator[Upload | Unusable]:
    path = Path(target)
    if not target:
        yield Unusable("''", "the name is empty")
    elif "://" in target:
        yield _of_url(target)
    elif _is_folder(path):
        found = [*_below(path)]
        yield from found
        if not any(isinstance(each, Upload) for each in found):
            yield Unusable(target, "the folder holds no image that can be used")
    else:
        # A file that is named by itself may have any suffix: its content decides.
        reason = _unusable(path, path.name, root=None)
        yield Unusable(target, reason) if reason else Upload(image_id_of(path.name), path)


def _of_url(url: str) -> Upload | Unusable:
    try:
        return Upload(image_id_of(name_of_url(url)), url)
    except ValueError as error:
        # What stands behind a query or before a host may be a secret.
        return Unusable(url.partition("?")[0].rpartition("@")[2], str(error))


def name_of_url(url: str) -> str:
    """Return host and path: a query may hold a signature, and user and password stand before the host."""
    parts = urlsplit(url)
    if parts.scheme not in SCHEMES:
        raise UploadTargetError(f"{parts.scheme}:// is not supported; allowed are {', '.join(SCHEMES)}")
    name = f"{parts.netloc.rpartition('@')[2]}{parts.path}".strip("/")
    if not name:
        raise UploadTargetError("a URL names no image")
    return name


def _below(folder: Path) -> Iterator[Upload | Unusable]:
    """Yield what a folder and its sub-folders hold, by name; links are followed to files inside the folder only."""
    try:
        root, pending = folder.resolve(), _children(folder)
    except OSError as error:
        yield Unusable(str(folder), f"the folder cannot be read: {error.strerror}")
        return
    while pending:
        path = pending.pop()
        name = path.relative_to(folder).as_posix()
        if path.name.startswith("."):
            yield Unusable(name, "it is hidden: its name begins with a dot", is_expected=True)
        elif _is_folder(path) and not path.is_symlink():
            try:
                pending += _children(path)
            except OSError as error:
                yield Unusable(name, f"the folder cannot be read: {error.strerror}")
        elif reason := _unusable(path, name, root=root):
            yield Unusable(name, reason)
        elif path.suffix.lower() not in SUFFIXES:
            yield Unusable(name, f"no supported image by its name ({', '.join(sorted(SUFFIXES))})", is_expected=True)
        else:
            yield Upload(image_id_of(name), path)


def _is_folder(path: Path) -> bool:
    """Return whether a path is a folder; False if that is unknown."""
    try:
        return path.is_dir()
    except OSError:
        return False


def _children(folder: Path) -> list[Path]:
    """Return what a folder holds, the first by name last."""
    return sorted(folder.iterdir(), reverse=True)


def _unusable(path: Path, name: str, *, root: Path | None) -> str | None:
    """Return why a path cannot be used without opening it; None for a regular file that can probably be read."""
    try:
        status = path.stat()
        inside = root is None or path.resolve(strict=True).is_relative_to(root)
    except FileNotFoundError:
        return "the link leads nowhere" if path.is_symlink() else "there is no such file or folder"
    except (OSError, RuntimeError) as error:  # the latter for a loop of links
        return f"it cannot be read: {getattr(error, 'strerror', None) or 'its links lead nowhere'}"
    except ValueError:
        return "no file can have that name"
    return _name_fault(name) or _file_fault(path, status, inside=inside)


def _file_fault(path: Path, status: os.stat_result, *, inside: bool) -> str | None:
    if kind := next((kind for is_kind, kind in _KINDS if is_kind(status.st_mode)), None):
        return kind
    if not inside:
        return "it is a link to a file outside the folder"
    if status.st_size == 0:
        return "the file is empty"
    return None if os.access(path, os.R_OK) else "there is no right to read it"


_KINDS: Sequence[tuple[Callable[[int], bool], str]] = (
    (stat.S_ISDIR, "it is a link to a folder, which is not followed"),
    (stat.S_ISFIFO, "it is a named pipe, no file"),
    (stat.S_ISSOCK, "it is a socket, no file"),
    (stat.S_ISCHR, "it is a device, no file"),
    (stat.S_ISBLK, "it is a device, no file"),
)


def _name_fault(name: str) -> str | None:
    """Return why a name can be no image's id."""
    categories = set(map(unicodedata.category, name))
    if "Cs" in categories:
        return "its name is not UTF-8"
    return "its name holds a line break or another control character" if "Cc" in categories else None


def event_of(image_id: str, image: ImageReferenceV1, options: UploadOptions) -> ImageUploadedV1:
    """Return the upload event of an image, with the present time."""
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
    """Return a reference to a file by its URL; the service can read it below its `media.fetch.file_root`."""
    return ImageByUrlV1(url=path.resolve().as_uri())


def inline(path: Path) -> ImageInlineV1:
    """Return a reference that holds the file; raise `OSError`, or `UploadTargetError` for no regular file."""
    media_type = mimetypes.guess_type(path.name)[0] or "application/octet-stream"
    return ImageInlineV1(inline=base64.b64encode(_read_regular(path)).decode(), media_type=media_type)


def _read_regular(path: Path) -> bytes:
    """Read a file that may have been replaced since it was found: opening a pipe must not wait for its writer."""
    with os.fdopen(os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC), "rb") as file:
        if not stat.S_ISREG(os.fstat(file.fileno()).st_mode):
            raise UploadTargetError("it is no regular file")
        data = file.read()
    if not data:
        raise UploadTargetError("the file is empty")
    return data


def image_id_of(name: str) -> str:
    """Return an image id from a name. A name that is too long keeps its end, with a digest before it."""
    if len(name) <= MAX_ID_CHARACTERS:
        return name
    digest = hashlib.sha256(name.encode(errors="surrogatepass")).hexdigest()[:_DIGEST_CHARACTERS]
    return f"{digest}…{name[_DIGEST_CHARACTERS + 1 - MAX_ID_CHARACTERS :]}"
