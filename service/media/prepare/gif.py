"""GIF: how long each frame is shown, read from its blocks without a pixel."""

from service.core.ambiguity import Feature
from service.media.gif_file import gif_blocks, has_more_than_browsers_read
from service.media.prepare.prepared_file import PreparedFile

_FRAME, _CONTROL = 0x2C, 0xF9
_CONTROL_BYTES = 4
_HUNDREDTH_MS = 10


def prepare_gif(data: bytes) -> PreparedFile:
    """Return the file as it is, with the time of each frame; a frame without a time of its own has none."""
    times: list[int] = []
    time_ms = 0
    is_cut_off = False
    for kind, at, end in gif_blocks(data):
        is_cut_off |= end > len(data)
        if kind == _CONTROL and data[at : at + 1] == bytes((_CONTROL_BYTES,)):
            time_ms = int.from_bytes(data[at + 2 : at + 4], "little") * _HUNDREDTH_MS
        elif kind == _FRAME and (end <= len(data) or not times):
            times.append(time_ms)
            time_ms = 0
    ambiguous: set[Feature] = {"truncated"} if is_cut_off else set()
    if has_more_than_browsers_read(data):
        ambiguous.add("structure")
    return PreparedFile(data, durations_ms=tuple(times) if len(times) > 1 else (), ambiguous=frozenset(ambiguous))
