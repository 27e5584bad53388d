"""Chooses how a file of each format is prepared for its decoder."""

from collections.abc import Callable, Mapping

from service.media.formats import MediaType
from service.media.prepare.bmp import prepare_bmp
from service.media.prepare.gif import prepare_gif
from service.media.prepare.heif import prepare_avif, prepare_heic
from service.media.prepare.jpeg import prepare_jpeg
from service.media.prepare.png import complete_png, prepare_png
from service.media.prepare.prepared_file import PreparedFile
from service.media.prepare.webp import prepare_webp

_BY_TYPE: Mapping[MediaType, Callable[[bytes], PreparedFile]] = {
    "image/avif": prepare_avif,
    "image/bmp": prepare_bmp,
    "image/gif": prepare_gif,
    "image/heic": prepare_heic,
    "image/jpeg": prepare_jpeg,
    "image/png": prepare_png,
    "image/webp": prepare_webp,
}


def prepare(data: bytes, media_type: MediaType) -> PreparedFile:
    """Return the file as browsers read it; raises `RejectedError` for one that browsers show nothing of."""
    return _BY_TYPE.get(media_type, PreparedFile)(data)


_COMPLETE_BY_TYPE: Mapping[MediaType, Callable[[bytes], PreparedFile]] = {
    "image/png": complete_png,
}


def complete(data: bytes, media_type: MediaType) -> PreparedFile | None:
    """Return a file that cannot be decoded to its end as far as browsers show it; None if they show nothing of it."""
    by_type = _COMPLETE_BY_TYPE.get(media_type)
    return by_type(data) if by_type else None
