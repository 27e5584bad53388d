"""A decoder that a file has taken over tries to reach beyond its socket, and cannot."""

import asyncio
import json
import os
import subprocess
import sys
from collections.abc import Iterable

import pytest
from structlog.testing import capture_logs

from service.core.pixels import ImageSpec
from service.media.decode_pool import ImageDecoder
from service.media.errors import UnsupportedFormatError
from service.media.sandbox import hide_process
from service.media.types import FetchedImage
from service.settings.media import DecodeSettings
from tests.integration.media.taken_over_worker import ATTEMPTS
from tests.unit.media.heif_files import stored
from tests.unit.media.image_files import RED, encoded, plain

SPEC = ImageSpec(max_pixels=64 * 64, multiple_of=8)
HERE = "tests.integration.media"
# The user stays, because the interpreter may lie in a home directory; all that makes root root goes.
UNPRIVILEGED = ("setpriv", "--bounding-set=-all", "--inh-caps=-all") if os.getuid() == 0 else ()

# What Landlock does not deny.
NOT_LANDLOCKS = {
    "open an internet connection by IPv6",
    "open a unix socket",
    "open an abstract unix socket",
    "listen",
    "make a pair of sockets",
    "hold the parent",
    "remove a file",
    "kill itself as if from outside",
    "see whether a file is there",
    "fork",
    "map memory that can be executed",
    "read the parent's limits",
    "copy a descriptor",
    "send a file descriptor",
}
OF_THE_PARENT = {
    "read the parent's environment",
    "read the parent's memory file",
    "open the parent's connections",
    "trace the parent",
    "read the parent's memory",
}


async def outcomes(worker: str, attempts: Iterable[str]) -> dict[str, str]:
    """Return how each attempt went in a decoder of its own kind, which must decode all the same."""
    decoder = ImageDecoder(DecodeSettings(workers=1), worker_module=f"{HERE}.{worker}")
    await decoder.start()
    try:
        found = {attempt: await _outcome(decoder, attempt) for attempt in attempts}
        await decoder.decode(FetchedImage(encoded(plain(RED), "PNG")), SPEC)
        return found
    finally:
        await decoder.close()


async def _outcome(decoder: ImageDecoder, attempt: str) -> str:
    with pytest.raises(UnsupportedFormatError) as caught:
        await decoder.decode(FetchedImage(attempt.encode()), SPEC)
    return str(caught.value.facts["detail"])


def refused(attempts: Iterable[str]) -> dict[str, str]:
    return dict.fromkeys(attempts, "refused")


async def test_a_confined_decoder_reads_heic_whose_decoder_starts_a_thread() -> None:
    decoder = ImageDecoder(DecodeSettings(workers=1))
    await decoder.start()
    try:
        image = await decoder.decode(FetchedImage(stored("plain")), SPEC)
    finally:
        await decoder.close()
    assert image.media_type == "image/heic"
    assert image.frames[0][8, 8].tolist() == pytest.approx([220, 40, 30], abs=6)


async def test_a_taken_over_decoder_reaches_nothing() -> None:
    assert await outcomes("taken_over_worker", ATTEMPTS) == refused(ATTEMPTS)


async def test_seccomp_alone_suffices() -> None:
    assert await outcomes("old_kernels.seccomp_alone", ATTEMPTS) == refused(ATTEMPTS)


async def test_landlock_alone_keeps_files_and_the_parent_closed() -> None:
    attempts = set(ATTEMPTS) - NOT_LANDLOCKS
    assert await outcomes("old_kernels.landlock_alone", attempts) == refused(attempts)


@pytest.mark.parametrize("as_user", [(), UNPRIVILEGED], ids=["as it is", "without privileges"])
def test_without_either_a_service_that_hides_itself_keeps_its_memory_closed(as_user: tuple[str, ...]) -> None:
    assert outcomes_of_hidden_parent("old_kernels.neither", OF_THE_PARENT, as_user) == refused(OF_THE_PARENT)


def test_a_taken_over_decoder_of_an_unprivileged_service_reaches_nothing() -> None:
    assert outcomes_of_hidden_parent("taken_over_worker", ATTEMPTS, UNPRIVILEGED) == refused(ATTEMPTS)


def outcomes_of_hidden_parent(worker: str, attempts: Iterable[str], as_user: tuple[str, ...]) -> dict[str, str]:
    """Return how the attempts went against a parent that has hidden itself, as the service does."""
    script = [sys.executable, "-m", f"{HERE}.test_confinement", worker, json.dumps(sorted(attempts))]
    ran = subprocess.run([*as_user, *script], stdout=subprocess.PIPE, check=True)
    return dict(json.loads(ran.stdout.splitlines()[-1]))


async def test_a_kernel_without_means_is_warned_about() -> None:
    with capture_logs() as logs:
        assert await outcomes("old_kernels.neither", ()) == {}
    (warning,) = [line for line in logs if line["event"] == "decode.unconfined"]
    assert (warning["log_level"], warning["missing"]) == ("warning", ("landlock", "seccomp"))


SERVICE = """
import asyncio, ctypes
from contextlib import AsyncExitStack
from service.app.data_plane import _opened
from service.media.decode_pool import ImageDecoder
from service.settings.media import DecodeSettings

async def main():
    async with AsyncExitStack() as stack:
        decoder = await _opened(ImageDecoder(DecodeSettings(workers=1)), stack)
        (pid,) = decoder.process_ids
        preference = open(f"/proc/{pid}/oom_score_adj").read().strip()
        print(ctypes.CDLL(None).prctl(3, 0, 0, 0, 0), preference)

asyncio.run(main())
"""


def test_the_service_hides_itself_and_lets_its_decoders_be_ended_first() -> None:
    ran = subprocess.run([sys.executable, "-c", SERVICE], stdout=subprocess.PIPE, check=True, text=True)
    is_dumpable, preference = ran.stdout.split()
    assert (is_dumpable, preference) == ("0", "1000")


if __name__ == "__main__":
    hide_process()
    found = asyncio.run(outcomes(sys.argv[1], json.loads(sys.argv[2])))
    print(json.dumps(found))  # noqa: T201 - the answer to the test
