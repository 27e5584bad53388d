import os
import signal
import subprocess
import sys
from collections.abc import Iterator

import psutil
import pytest

from service.runtime.process_tree import descendants, kill, memory_bytes
from testing.waiting import wait_until

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")

MIB = 1024 * 1024

# A child that starts a child, reports when it is there, and waits.
FAMILY = "import subprocess, sys; subprocess.Popen(['sleep', '60']); print('there', flush=True); sys.stdin.read()"
GREEDY = "import sys; held = b'x' * (200 * 1024 * 1024); print('there', flush=True); sys.stdin.read()"


def running(code: str) -> Iterator[subprocess.Popen[bytes]]:
    with subprocess.Popen([sys.executable, "-c", code], stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == b"there\n"
        yield process
        for each in [*descendants(process.pid), *(own for own in descendants(os.getpid()) if own.pid == process.pid)]:
            kill(each)


@pytest.fixture
def family() -> Iterator[subprocess.Popen[bytes]]:
    yield from running(FAMILY)


@pytest.fixture
def greedy() -> Iterator[subprocess.Popen[bytes]]:
    yield from running(GREEDY)


def child_of(process: subprocess.Popen[bytes]) -> psutil.Process:
    (child,) = descendants(process.pid)
    return child


def test_descendants_are_children_and_theirs(family: subprocess.Popen[bytes]) -> None:
    found = {process.pid: process.ppid() for process in descendants(os.getpid())}
    assert found[family.pid] == os.getpid()
    assert found[child_of(family).pid] == family.pid


def test_an_ended_process_is_no_descendant() -> None:
    with subprocess.Popen(["true"]) as process:
        os.waitid(os.P_PID, process.pid, os.WEXITED | os.WNOWAIT)  # it has ended, and its parent has not reaped it
        assert process.pid not in {each.pid for each in descendants(os.getpid())}


async def test_a_stopped_process_is_killed_too(family: subprocess.Popen[bytes]) -> None:
    child = child_of(family)
    os.kill(child.pid, signal.SIGSTOP)
    assert kill(child)
    await wait_until(lambda: not descendants(family.pid), description="the child has ended")


async def test_a_process_is_known_again_when_its_parent_has_ended(family: subprocess.Popen[bytes]) -> None:
    child = child_of(family)
    family.kill()
    family.wait()
    assert kill(child)


def test_another_process_with_the_same_number_is_let_alone(
    family: subprocess.Popen[bytes], monkeypatch: pytest.MonkeyPatch
) -> None:
    child, earlier = child_of(family), child_of(family)
    # psutil knows a process by its number and the moment of its start.
    monkeypatch.setattr(earlier, "_ident", (child.pid, child.create_time() - 1))
    assert not kill(earlier)
    assert descendants(family.pid) == [child]


def test_a_process_that_has_ended_has_no_descendants() -> None:
    with subprocess.Popen(["true"]) as process:
        process.wait()
    assert descendants(process.pid) == []


def test_memory_is_counted_over_all_descendants(greedy: subprocess.Popen[bytes]) -> None:
    assert 200 * MIB < memory_bytes(greedy.pid) < 260 * MIB
    assert memory_bytes(os.getpid()) > memory_bytes(greedy.pid)
