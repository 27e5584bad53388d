"""The last of what this process and its children write to standard error, which goes on to where it went before.

vLLM's processes report on standard error alone why they cannot start: the error that reaches this process has no cause.
"""

import os
import select
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

_STDERR = 2
_KEPT_BYTES = 64 * 1024
_READ_BYTES = 8192
_LAST_WORDS_S = 1.0
_PAUSE_S = 0.01


class _Copier:
    """Copies one file descriptor to another, and keeps the end."""

    def __init__(self, source: int, target: int) -> None:
        self._source, self._target = source, target
        self._tail = b""
        self._keeping = threading.Lock()
        # Child processes may hold the other end open for longer than the reader waits.
        self._thread = threading.Thread(target=self._copy, name="stderr-tail", daemon=True)
        self._thread.start()

    def text(self) -> str:
        """Return the end of all that was written before this call."""
        deadline_s = time.monotonic() + _LAST_WORDS_S
        while self._has_more() and time.monotonic() < deadline_s:
            time.sleep(_PAUSE_S)
        with self._keeping:
            return self._tail.decode(errors="replace")

    def join(self) -> None:
        """Wait for what was written last."""
        self._thread.join(_LAST_WORDS_S)

    def _has_more(self) -> bool:
        return bool(select.select([self._source], [], [], 0)[0])

    def _copy(self) -> None:
        try:
            while data := self._next():
                os.write(self._target, data)
        except OSError:  # a terminal's other end is closed
            return

    def _next(self) -> bytes:
        select.select([self._source], [], [])
        with self._keeping:
            data = os.read(self._source, _READ_BYTES)
            self._tail = (self._tail + data)[-_KEPT_BYTES:]
        return data


@contextmanager
def stderr_tail() -> Iterator[Callable[[], str]]:
    """Give what returns the last 64 KiB that this process and those it starts wrote to standard error."""
    original = os.dup(_STDERR)
    # Programs write for people or for machines by whether it is a terminal.
    source, sink = os.openpty() if os.isatty(_STDERR) else os.pipe()
    os.dup2(sink, _STDERR)
    os.close(sink)
    copier = _Copier(source, original)
    try:
        yield copier.text
    finally:
        os.dup2(original, _STDERR)
        copier.join()
