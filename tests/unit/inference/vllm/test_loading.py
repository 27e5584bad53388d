import asyncio
import signal
import threading

import pytest
from structlog.testing import capture_logs

from service.inference.vllm import loading
from service.inference.vllm.loading import load_in_thread


async def test_what_is_loaded_comes_back() -> None:
    assert await load_in_thread(lambda: "model", model="m", timeout_s=10.0) == "model"


async def test_what_a_load_raises_is_raised() -> None:
    def broken() -> None:
        raise ValueError("no such model")

    with pytest.raises(ValueError, match="no such model"):
        await load_in_thread(broken, model="m", timeout_s=10.0)


async def test_the_event_loop_lives_and_reports_the_progress(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(loading, "_LOG_EVERY_S", 0.02)
    turns = threading.Semaphore(0)

    async def turn() -> None:
        for _ in range(5):
            await asyncio.sleep(0.02)
            turns.release()

    with capture_logs() as logs:
        turning = asyncio.create_task(turn(), name="turn")
        await load_in_thread(lambda: [turns.acquire() for _ in range(5)], model="m", timeout_s=10.0)
        await turning
    reported = [entry for entry in logs if entry["event"] == "engine.loading"]
    assert len(reported) >= 3
    assert {entry["model"] for entry in reported} == {"m"}
    assert reported[0]["elapsed_s"] <= reported[-1]["elapsed_s"]


async def test_a_load_that_takes_too_long_is_given_up() -> None:
    release = threading.Event()
    with pytest.raises(TimeoutError):
        await load_in_thread(release.wait, model="m", timeout_s=0.05)
    release.set()


async def test_what_a_load_starts_does_not_hear_ctrl_c() -> None:
    def blocked() -> set[int]:
        return set(signal.pthread_sigmask(signal.SIG_BLOCK, []))

    assert signal.SIGINT in await load_in_thread(blocked, model="m", timeout_s=10.0)
    assert signal.SIGINT not in blocked()
