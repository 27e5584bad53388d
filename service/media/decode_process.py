"""Starts one decoder process, sends it files, and reports its death. The calls block, so they run in threads."""

import os
import signal
import socket
import subprocess
import sys
import time
from contextlib import suppress
from pathlib import Path

import service
from service.core.pixels import ImageSpec
from service.media.decode_answer import NonsenseError, read_answer
from service.media.decode_deaths import Cause, ProcessDiedError, death_by
from service.media.decode_protocol import (
    ANSWER,
    MAX_FACTS_BYTES,
    READY,
    REQUEST,
    SOCKET_BUFFER_BYTES,
    PeerGoneError,
    ProcessLimits,
    receive,
    send,
)
from service.media.errors import DecoderStalledError, DecoderUnavailableError, DecodeTimeoutError
from service.media.sandbox import UNCONFINED, Confinement
from service.media.types import DecodedImage
from service.media.view import VIEWS_A_FRAME

# A start takes a fifth of a second on an idle core.
START_TIMEOUT_S = 30.0

# From the socket's closing to the process's end, while the kernel frees its memory.
EXIT_TIMEOUT_S = 5.0

# All else stays out: a decoder that has been taken over shall find no credentials.
PASSED_ENVIRONMENT = ("PATH", "LD_LIBRARY_PATH", "LANG")

# glibc would give the memory of every picture back and fetch it anew, page by page: a fifth of the time that a
# 2-megapixel JPEG takes. Pieces up to 8 MiB are kept instead, 64 MiB of them; larger ones are still given back.
# A thread would reserve 64 MiB of addresses as an arena of its own, which the limit on memory counts.
ALLOCATOR = {
    "MALLOC_MMAP_THRESHOLD_": str(8 * 1024 * 1024),
    "MALLOC_TRIM_THRESHOLD_": str(64 * 1024 * 1024),
    "MALLOC_ARENA_MAX": "1",
}


# A decoder that had less of the time limit on a processor than this did not work for too long: it was not let.
STALLED_BELOW = 0.5


class DecodeProcess:
    """One decoder process. One thread at a time may use it; any thread may call `kill`."""

    def __init__(self, process: subprocess.Popen[bytes], connection: socket.socket, limits: ProcessLimits) -> None:
        self._process = process
        self._connection = connection
        self._limits = limits
        self.confinement = UNCONFINED
        """What the process may no longer do, by its own account before it read any file."""

    @classmethod
    def launch(cls, module: str, limits: ProcessLimits) -> "DecodeProcess":
        """Start a process that runs the module and wait until it is ready; raises DecoderUnavailableError."""
        ours, theirs = socket.socketpair()
        for end in (ours, theirs):
            end.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, SOCKET_BUFFER_BYTES)
        command = [sys.executable, "-P", "-m", module, limits.to_json()]
        try:
            with theirs:
                process = subprocess.Popen(  # noqa: S603 - our own module, no shell
                    command, stdin=theirs.fileno(), env=_bare_environment(), start_new_session=True
                )
        except OSError as error:
            ours.close()
            raise DecoderUnavailableError(detail=str(error)) from error
        launched = cls(process, ours, limits)
        launched._wait_until_ready()
        return launched

    @property
    def pid(self) -> int:
        """The process's id."""
        return self._process.pid

    @property
    def is_alive(self) -> bool:
        """Whether the process has not ended yet."""
        return self._process.poll() is None

    def ask(self, data: bytes | bytearray, spec: ImageSpec, *, timeout_s: float) -> DecodedImage:
        """Have one file decoded; raises `RejectedError`, or `ProcessDiedError` if the process must be replaced."""
        deadline = time.monotonic() + timeout_s
        cpu_before_s = self._cpu_s()
        try:
            send(
                self._connection,
                REQUEST.pack(len(data), spec.max_pixels, spec.multiple_of, spec.is_square),
                data,
                deadline=deadline,
            )
            return self._receive_image(data, spec, deadline)
        except TimeoutError:
            cpu_s = self._cpu_s() - cpu_before_s
            self.end()
            raise _took_too_long(timeout_s, cpu_s) from None
        except NonsenseError:
            self.end()
            raise ProcessDiedError(Cause.CRASHED, detail="an answer that makes no sense") from None
        except PeerGoneError:
            raise self._explain_death(timeout_s) from None

    def kill(self) -> None:
        """Kill the process. A thread that waits for its answer gets `ProcessDiedError` and frees the resources."""
        self._process.kill()

    def end(self) -> None:
        """Kill the process and free its resources."""
        self.kill()
        self._wait_for_exit()

    def _wait_until_ready(self) -> None:
        try:
            answer = receive(self._connection, READY.size, deadline=time.monotonic() + START_TIMEOUT_S)
            landlock_abi, has_seccomp = READY.unpack(answer)
            self.confinement = Confinement(landlock_abi=landlock_abi, has_seccomp=has_seccomp)
        except (PeerGoneError, TimeoutError) as error:
            self.end()
            detail = f"{type(error).__name__}, exit code {self._process.returncode}"
            raise DecoderUnavailableError(detail=detail) from error

    def _receive_image(self, data: bytes | bytearray, spec: ImageSpec, deadline: float) -> DecodedImage:
        facts_bytes, pixel_bytes = ANSWER.unpack(receive(self._connection, ANSWER.size, deadline=deadline))
        most_pixel_bytes = VIEWS_A_FRAME * self._limits.max_views * 3 * max(spec.max_pixels, spec.multiple_of**2)
        if facts_bytes > MAX_FACTS_BYTES or pixel_bytes > most_pixel_bytes:
            raise NonsenseError
        text = receive(self._connection, facts_bytes, deadline=deadline)
        pixels = receive(self._connection, pixel_bytes, deadline=deadline)
        return read_answer(bytes(text), pixels, encoded_bytes=len(data))

    def _explain_death(self, timeout_s: float) -> Exception:
        exit_code = self._wait_for_exit()
        if exit_code == -signal.SIGXCPU:
            return DecodeTimeoutError(limit_s=timeout_s)
        return death_by(exit_code)

    def _cpu_s(self) -> float:
        """Return the processor time that the process has had."""
        # The kernel's number of another process's clock, as clock_getcpuclockid(3) makes it.
        try:
            return time.clock_gettime((~self._process.pid << 3) | 2)
        except OSError:
            return 0.0  # it has ended

    def _wait_for_exit(self) -> int:
        """Close the connection and return the exit code; that of a kill if the kernel holds on to a killed process."""
        self._connection.close()
        for _ in range(2):
            with suppress(subprocess.TimeoutExpired):
                return self._process.wait(EXIT_TIMEOUT_S)
            self._process.kill()
        return -signal.SIGKILL


def _took_too_long(limit_s: float, cpu_s: float) -> DecodeTimeoutError | DecoderStalledError:
    if cpu_s < STALLED_BELOW * limit_s:
        return DecoderStalledError(limit_s=limit_s, cpu_s=round(cpu_s, 1))
    return DecodeTimeoutError(limit_s=limit_s)


def process_limits(
    *, memory_bytes: int, timeout_s: float, max_pixels: int, max_frames: int, max_views: int, full_jpeg: bool
) -> ProcessLimits:
    """Return the arguments of a decoder process; its processor time is the time limit, rounded up."""
    return ProcessLimits(
        parent_pid=os.getpid(),
        memory_bytes=memory_bytes,
        cpu_s=int(timeout_s) + 1,
        max_pixels=max_pixels,
        max_frames=max_frames,
        max_views=max_views,
        full_jpeg=full_jpeg,
    )


def _bare_environment() -> dict[str, str]:
    """Return the little that Python needs, and the way to the very code that runs here."""
    passed = {name: os.environ[name] for name in PASSED_ENVIRONMENT if name in os.environ}
    return {**passed, **ALLOCATOR, "PYTHONPATH": str(Path(str(service.__file__)).parent.parent)}
