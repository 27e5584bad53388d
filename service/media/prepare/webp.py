"""WebP: how long each frame is shown, read from its chunks without a pixel."""

from service.media.prepare.prepared_file import PreparedFile

_HEADER_BYTES, _CHUNK_HEADER_BYTES = 12, 8
# In a chunk of a frame: behind its place and size.
_TIME_AT, _TIME_BYTES = 12, 3


def prepare_webp(data: bytes) -> PreparedFile:
    """Return the file as it is, with the time of each frame; what lies behind the end of its RIFF form is no frame."""
    times: list[int] = []
    at = _HEADER_BYTES
    end = min(len(data), _CHUNK_HEADER_BYTES + int.from_bytes(data[4:8], "little"))
    while at + _CHUNK_HEADER_BYTES <= end:
        size = int.from_bytes(data[at + 4 : at + 8], "little")
        if data[at : at + 4] == b"ANMF":
            body = at + _CHUNK_HEADER_BYTES
            times.append(int.from_bytes(data[body + _TIME_AT : body + min(size, _TIME_AT + _TIME_BYTES)], "little"))
        at += _CHUNK_HEADER_BYTES + size + size % 2
    return PreparedFile(data, durations_ms=tuple(times) if len(times) > 1 else ())
