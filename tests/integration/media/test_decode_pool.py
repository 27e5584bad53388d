import asyncio
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterable
from pathlib import Path

import pytest

from service.core.errors import ModstreamError, RejectedError
from service.core.pixels import ImageSpec
from service.media.decode_pool import ImageDecoder
from service.media.errors import (
    DecodeCrashedError,
    DecodeMemoryError,
    DecoderStalledError,
    DecoderUnavailableError,
    DecodeTimeoutError,
    ImageCorruptError,
    UnsupportedFormatError,
)
from service.media.types import DecodedImage, FetchedImage
from service.runtime.process_tree import descendants
from service.settings.media import DecodeSettings
from testing.metrics import counting, scraped
from testing.waiting import wait_until
from tests.integration.media.conftest import MEMORY_BYTES
from tests.integration.media.processes import cpu_ticks, is_there
from tests.unit.media.image_files import BLUE, GREEN, RED, animation, encoded, plain

SPEC = ImageSpec(max_pixels=256 * 256, multiple_of=16)
GOOD = encoded(plain(RED), "PNG")


async def decode(decoder: ImageDecoder, data: bytes) -> DecodedImage:
    return await decoder.decode(FetchedImage(data), SPEC)


def hanging(pids: Iterable[int]) -> Callable[[], list[int]]:
    """Return a function that names the processes that worked, since now, longer than on any image of these tests."""
    before = {pid: cpu_ticks(pid) for pid in pids if is_there(pid)}
    return lambda: [pid for pid, ticks in before.items() if cpu_ticks(pid) > ticks + 20]


def memory_bytes(pid: int, field: str) -> int:
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    return next(int(line.split()[1]) * 1024 for line in lines if line.startswith(f"{field}:"))


def limit_of(pid: int, name: str) -> int:
    lines = Path(f"/proc/{pid}/limits").read_text().splitlines()
    return next(int(line.removeprefix(name).split()[0]) for line in lines if line.startswith(name))


def environment_names(pid: int) -> set[bytes]:
    entries = Path(f"/proc/{pid}/environ").read_bytes().split(b"\0")
    return {entry.split(b"=")[0] for entry in entries if entry}


def children() -> set[int]:
    return {process.pid for process in descendants(os.getpid())}


def start_service() -> tuple["subprocess.Popen[str]", list[int]]:
    """Start a process with a pool, hanging in a decode, and return it and the pool's processes."""
    parent = subprocess.Popen([sys.executable, "-c", PARENT], stdout=subprocess.PIPE, text=True)
    assert parent.stdout is not None
    pids = [int(pid) for pid in parent.stdout.readline().split()]
    parent.stdout.close()
    return parent, pids


async def test_an_image_comes_back_with_its_facts_and_frames(decoder: ImageDecoder) -> None:
    data = animation("PNG", [RED, GREEN, BLUE], (36, 32))
    image = await decode(decoder, data)
    assert (image.width, image.height, image.encoded_bytes, image.media_type) == (36, 32, len(data), "image/png")
    assert (image.frames_total, image.profile_ignored) == (3, False)
    assert [frame.shape for frame in image.frames] == [(32, 32, 3)] * 3
    assert [tuple(frame[9, 9]) for frame in image.frames] == [RED, GREEN, BLUE]
    assert all(frame.flags.c_contiguous for frame in image.frames)


@pytest.mark.parametrize(
    ("data", "error"),
    [(b"text", UnsupportedFormatError), (GOOD[:30], ImageCorruptError), (b"", UnsupportedFormatError)],
)
async def test_a_rejection_crosses_the_border_as_it_was(
    decoder: ImageDecoder, data: bytes, error: type[RejectedError]
) -> None:
    before = decoder.process_ids
    with pytest.raises(error):
        await decode(decoder, data)
    assert decoder.process_ids == before


@pytest.mark.parametrize(
    ("data", "error", "detail"),
    [
        (b"%crash", DecodeCrashedError, "signal 11"),
        (b"%leave", DecodeCrashedError, "exit code 3"),
        # On a machine that is busy otherwise it hardly runs, and is not blamed for that.
        (b"%hang", (DecodeTimeoutError, DecoderStalledError), r"3\.0 s \(media.decode.timeout_s"),
        (b"%sleep", DecoderStalledError, r"0\.\d s on a processor in 3\.0 s"),
        (b"%eat", DecodeMemoryError, f"more than {MEMORY_BYTES} bytes"),
        (b"%babble", DecodeCrashedError, "no sense"),
        (b"%lie", DecodeCrashedError, "no sense"),
    ],
)
async def test_a_hostile_file_costs_only_itself(
    decoder: ImageDecoder, data: bytes, error: type[ModstreamError] | tuple[type[ModstreamError], ...], detail: str
) -> None:
    innocents = [asyncio.create_task(decode(decoder, GOOD), name=f"before-{place}") for place in range(10)]
    hostile = asyncio.create_task(decode(decoder, data), name="hostile")
    innocents += [asyncio.create_task(decode(decoder, GOOD), name=f"after-{place}") for place in range(10)]
    with pytest.raises(error, match=detail):
        await hostile
    assert all(image.width == 32 for image in await asyncio.gather(*innocents))
    assert (await decode(decoder, GOOD)).width == 32


async def test_many_hostile_files_at_once_leave_the_pool_alive(decoder: ImageDecoder) -> None:
    hostile = [b"%crash", b"%leave", b"%eat", b"%babble", b"%crash", b"%eat"]
    with counting() as metrics:
        results = await asyncio.gather(*(decode(decoder, data) for data in hostile), return_exceptions=True)
        crashes = scraped(metrics).by("reason", "modstream_decode_crashes_total")
    assert {type(result) for result in results} == {DecodeCrashedError, DecodeMemoryError}
    assert crashes == {"image.decode_crashed": 8, "image.decode_memory": 4}, "each file had two processes"
    assert decoder.waiting == 0
    assert (await decode(decoder, GOOD)).width == 32


async def test_memory_stays_within_the_limit(decoder: ImageDecoder) -> None:
    parent_before = memory_bytes(os.getpid(), "VmRSS")
    for _ in range(2):
        with pytest.raises(DecodeMemoryError):
            await decode(decoder, b"%eat")
    await asyncio.gather(*(decode(decoder, GOOD) for _ in range(4)))
    assert memory_bytes(os.getpid(), "VmRSS") - parent_before < 32 * 1024 * 1024
    for pid in decoder.process_ids:
        assert MEMORY_BYTES < limit_of(pid, "Max address space") < MEMORY_BYTES + 128 * 1024 * 1024
        assert limit_of(pid, "Max core file size") == 0


async def test_a_decode_that_is_cancelled_when_its_answer_is_there_ends_its_process(decoder: ImageDecoder) -> None:
    before = decoder.process_ids
    task = asyncio.create_task(decode(decoder, GOOD), name="decode")
    for _ in range(5):  # until a thread asks a process
        await asyncio.sleep(0)
    time.sleep(0.5)  # noqa: ASYNC251 - the event loop is busy while the answer comes
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    (ended,) = before - decoder.process_ids
    await wait_until(lambda: not Path(f"/proc/{ended}").exists(), description="it was ended and waited for")


async def test_a_cancelled_decode_frees_its_process_at_once(decoder: ImageDecoder) -> None:
    before = decoder.process_ids
    tasks = [asyncio.create_task(decode(decoder, b"%hang"), name=f"hang-{place}") for place in range(2)]
    hang = hanging(before)
    await wait_until(lambda: len(hang()) == 2, description="both processes hang")
    for task in tasks:
        task.cancel()
    await asyncio.wait(tasks)
    assert all(task.cancelled() for task in tasks)
    await wait_until(lambda: not any(map(is_there, before)), description="the busy processes are gone")
    assert (await decode(decoder, GOOD)).width == 32


async def test_a_process_killed_while_idle_is_replaced_and_no_image_blamed(decoder: ImageDecoder) -> None:
    before = decoder.process_ids
    for pid in before:
        os.kill(pid, signal.SIGKILL)
    images = await asyncio.gather(*(decode(decoder, GOOD) for _ in range(6)))
    assert [image.width for image in images] == [32] * 6
    assert before.isdisjoint(decoder.process_ids)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
async def test_processes_leave_signals_to_the_service(decoder: ImageDecoder, number: signal.Signals) -> None:
    before = decoder.process_ids
    for pid in before:
        os.kill(pid, number)
    await asyncio.gather(*(decode(decoder, GOOD) for _ in range(4)))
    assert decoder.process_ids == before


async def test_processes_know_no_secrets(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MODSTREAM_KAFKA__SASL_PASSWORD", "geheim")
    decoder = ImageDecoder(DecodeSettings(workers=1))
    await decoder.start()
    (pid,) = decoder.process_ids
    names = environment_names(pid)
    await decoder.close()
    assert b"PYTHONPATH" in names
    allocator = {b"MALLOC_ARENA_MAX", b"MALLOC_MMAP_THRESHOLD_", b"MALLOC_TRIM_THRESHOLD_"}
    assert names <= {b"PATH", b"LD_LIBRARY_PATH", b"LANG", b"PYTHONPATH"} | allocator


async def test_the_loop_goes_on_while_images_are_decoded(decoder: ImageDecoder) -> None:
    tasks = [asyncio.create_task(decode(decoder, b"%sleep"), name=f"sleep-{place}") for place in range(2)]
    turns = 0
    while not any(task.done() for task in tasks):
        await asyncio.sleep(0.01)
        turns += 1
    await asyncio.wait(tasks)
    assert all(isinstance(task.exception(), DecoderStalledError) for task in tasks)
    assert turns > 20


class TestClosing:
    async def test_closing_ends_every_process_and_waits_for_images_in_hand(self, decoder: ImageDecoder) -> None:
        pids = decoder.process_ids
        tasks = [asyncio.create_task(decode(decoder, GOOD), name=f"decode-{place}") for place in range(4)]
        await asyncio.sleep(0)
        await decoder.close()
        assert [(await task).width for task in tasks] == [32] * 4
        assert not any(map(is_there, pids))

    async def test_images_that_end_together_leave_no_later_one_behind(self, decoder: ImageDecoder) -> None:
        tasks = [asyncio.create_task(decode(decoder, GOOD), name=f"decode-{place}") for place in range(4)]
        await asyncio.sleep(0)
        closing = asyncio.create_task(decoder.close(), name="close")
        await asyncio.sleep(0)
        # Until both processes have answered.
        time.sleep(0.5)  # noqa: ASYNC251 - the loop is busy elsewhere
        images = await asyncio.wait_for(asyncio.gather(*tasks), timeout=30)
        await closing
        assert [image.width for image in images] == [32] * 4

    async def test_an_image_in_hand_is_tried_again_in_a_fresh_process(self, decoder: ImageDecoder) -> None:
        tasks = [asyncio.create_task(decode(decoder, b"%crash"), name=f"crash-{place}") for place in range(4)]
        await asyncio.sleep(0)
        await asyncio.wait_for(decoder.close(), timeout=30)
        assert {type(task.exception()) for task in tasks} == {DecodeCrashedError}

    async def test_images_still_in_hand_after_the_grace_are_given_up(self, decoder: ImageDecoder) -> None:
        pids = decoder.process_ids
        tasks = [asyncio.create_task(decode(decoder, b"%sleep"), name=f"sleep-{place}") for place in range(8)]
        await asyncio.sleep(0)
        # Two processes would take twelve seconds.
        await asyncio.wait_for(decoder.close(grace_s=0.1), timeout=8)
        assert {type(task.exception()) for task in tasks} == {DecoderUnavailableError}
        assert not any(map(is_there, pids))

    async def test_a_later_image_is_refused(self, decoder: ImageDecoder) -> None:
        await decoder.close()
        with pytest.raises(DecoderUnavailableError, match="closed"):
            await decode(decoder, GOOD)

    async def test_a_process_whose_start_was_cancelled_ends_too(self) -> None:
        decoder = ImageDecoder(DecodeSettings(workers=1))
        before = children()
        start = asyncio.create_task(decoder.start(), name="start")
        await wait_until(lambda: children() > before, description="the process starts")
        started = children() - before
        start.cancel()
        await asyncio.wait([start])
        await decoder.close()
        assert started.isdisjoint(children())


async def test_a_process_that_cannot_start_is_fatal_and_names_what_happened() -> None:
    decoder = ImageDecoder(DecodeSettings(workers=2), worker_module="tests.integration.media.broken_worker")
    with pytest.raises(DecoderUnavailableError, match="exit code 5"):
        await decoder.start()


PARENT = """
import asyncio, sys
from service.media.decode_pool import ImageDecoder
from service.media.types import FetchedImage
from service.core.pixels import ImageSpec
from service.runtime.process_tree import descendants
from service.settings.media import DecodeSettings

async def main():
    decoder = ImageDecoder(DecodeSettings(workers=2), worker_module="tests.integration.media.hostile_worker")
    await decoder.start()
    print(*decoder.process_ids, flush=True)
    await decoder.decode(FetchedImage(b"%hang"), ImageSpec(65536))

asyncio.run(main())
"""


async def test_processes_end_with_the_service_even_in_a_hanging_decode() -> None:
    parent, pids = start_service()
    assert len(pids) == 2
    hang = hanging(pids)
    await wait_until(lambda: bool(hang()), description="a process hangs")
    parent.kill()
    parent.wait()
    # Their processor time would end them too, but only after ten seconds.
    await wait_until(lambda: not any(map(is_there, pids)), description="the processes are gone", timeout_s=5)
