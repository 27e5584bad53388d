"""What tests see of decoder processes from outside, and do to them."""

import os
import signal
from pathlib import Path

from service.media.decode_pool import ImageDecoder
from testing.waiting import wait_until

# Processor time of a start, in hundredths of a second, twice over.
START_TICKS = 20


def is_there(pid: int) -> bool:
    status = Path(f"/proc/{pid}/stat")
    try:
        return status.read_text().rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False


def cpu_ticks(pid: int) -> int:
    """Processor time so far, in hundredths of a second."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return int(fields[11]) + int(fields[12])


async def kill_at_work(decoder: ImageDecoder, *, count: int, number: int = signal.SIGKILL) -> None:
    """Wait until so many of the processes are at work on an image, and kill these."""
    before = {pid: cpu_ticks(pid) for pid in decoder.process_ids if is_there(pid)}

    def at_work() -> list[int]:
        there = filter(is_there, decoder.process_ids)
        return [pid for pid in there if cpu_ticks(pid) > before.get(pid, START_TICKS) + 20]

    await wait_until(lambda: len(at_work()) == count, description="processes are at work")
    victims = at_work()
    for pid in victims:
        os.kill(pid, number)
    await wait_until(lambda: not any(map(is_there, victims)), description="they are gone")
