import os
import signal
import subprocess
import sys
from collections.abc import Iterator

import psutil
import pytest

from service.runtime.process_tree import descendants, kill
from testing.waiting import wait_until

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")

# A service that started a model, which would run for an hour.
SERVICE = """
import subprocess, sys
from service.runtime.orphan_reaper import OrphanWatch
subprocess.Popen(["sleep", "3600"])
watch = OrphanWatch()
watch.start()
watch.start()
watch.wait_for_a_look()
print("there", flush=True)
sys.stdin.readline()
watch.stop()
"""


@pytest.fixture
def service() -> Iterator[subprocess.Popen[bytes]]:
    command = [sys.executable, "-c", SERVICE]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == b"there\n"
        yield process
        process.kill()


@pytest.fixture
def model(service: subprocess.Popen[bytes]) -> Iterator[psutil.Process]:
    (model,) = (process for process in descendants(service.pid) if "sleep" in command(process))
    yield model
    kill(model)


def command(process: psutil.Process) -> str:
    return " ".join(process.cmdline())


def runs(process: psutil.Process) -> bool:
    return process in descendants(1)


async def test_a_killed_service_takes_its_model_along(service: subprocess.Popen[bytes], model: psutil.Process) -> None:
    watchers = [process for process in descendants(service.pid) if "orphan_reaper" in command(process)]
    assert len(watchers) == 1
    os.kill(service.pid, signal.SIGKILL)
    await wait_until(lambda: not runs(model), description="the model has ended")


async def test_after_good_order_nothing_is_ended(service: subprocess.Popen[bytes], model: psutil.Process) -> None:
    assert service.stdin is not None
    service.stdin.write(b"\n")
    service.stdin.flush()
    assert service.wait(timeout=30.0) == 0
    assert runs(model)
