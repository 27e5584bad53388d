"""What a running service makes of signals."""

import os
import pty
import signal
import subprocess
import sys

from service.app.signals import reloading_on_hangup
from testing.waiting import wait_until

SERVICE = """
import asyncio, os
from service.app.signals import draining_on_signals, reloading_on_hangup
from service.settings.monitoring import TelemetrySettings
from service.telemetry.logs import configure_logging

configure_logging(TelemetrySettings())

async def main():
    drained = asyncio.Event()
    with reloading_on_hangup() as requests, draining_on_signals([drained.set]):
        event = requests.event()
        os.write(OUT, b"up\\n")
        while not drained.is_set():
            waits = [asyncio.create_task(each.wait()) for each in (drained, event)]
            await asyncio.wait(waits, return_when=asyncio.FIRST_COMPLETED)
            if event.is_set():
                event.clear()
                os.write(OUT, b"reload\\n")
    os.write(OUT, b"drained\\n")

asyncio.run(main())
"""


async def test_each_hangup_sets_every_event() -> None:
    with reloading_on_hangup() as requests:
        one, other = requests.event(), requests.event()
        for _ in range(2):
            os.kill(os.getpid(), signal.SIGHUP)
            await wait_until(lambda: one.is_set() and other.is_set(), description="both events are set")
            one.clear()
            other.clear()


async def test_a_hangup_during_the_start_is_kept() -> None:
    with reloading_on_hangup() as requests:
        os.kill(os.getpid(), signal.SIGHUP)
        await wait_until(lambda: requests.event().is_set(), description="the request is kept")


def test_a_hangup_reloads_while_the_terminal_is_there_and_drains_when_it_is_gone() -> None:
    terminal, end = pty.openpty()
    reading, writing = os.pipe()
    # The terminal becomes the child's own, as that of a login does.
    own = f"import fcntl, termios; fcntl.ioctl({end}, termios.TIOCSCTTY, 0); OUT = {writing}\n"
    child = subprocess.Popen(
        [sys.executable, "-c", own + SERVICE], pass_fds=(end, writing), start_new_session=True, stdout=end, stderr=end
    )
    os.close(end)
    os.close(writing)
    with os.fdopen(reading) as said:
        assert said.readline() == "up\n"
        child.send_signal(signal.SIGHUP)
        assert said.readline() == "reload\n"
        os.close(terminal)
        assert said.readline() == "drained\n"
    assert child.wait(30) == 0
