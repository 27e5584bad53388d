"""The real engine's processes, killed, stopped and starved."""

import asyncio
import os
import signal
import time
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import psutil
import pytest
import pytest_asyncio

from service.core.errors import EngineDeadError, FatalError
from service.inference.chat import ChatRequest
from service.inference.errors import EngineConfigurationError, EngineNotRunningError
from service.runtime.process_tree import descendants
from testing.vllm import new_model, tiny_settings
from testing.waiting import wait_until
from tests.integration.engine.asking import LABELS, which

if TYPE_CHECKING:
    from service.inference.vllm.model import VllmModel

STALL_S = 6.0
END_OF_TURN = {"1605": -100, "1607": -100}
"""Bias against the tokens that end an answer of the tiny model."""


def command_line(process: psutil.Process) -> str:
    try:
        return " ".join(process.cmdline())
    except psutil.Error:
        return ""


def is_of_the_engine(process: psutil.Process) -> bool:
    """Return whether a process is no helper, which frees shared memory and ends after the engine."""
    return "resource_tracker" not in command_line(process)


@dataclass(frozen=True, slots=True)
class Patient:
    """A model that something is done to, its processes, and what it reported."""

    model: "VllmModel"
    processes: Sequence[psutil.Process]
    failures: Sequence[FatalError]

    @property
    def core(self) -> psutil.Process:
        """The process of the engine."""
        return named(self.processes, "EngineCore")

    async def ask(self, count: int) -> list["asyncio.Task[object]"]:
        """Ask about pictures and do not wait."""
        words = await self.model.prepare(None, LABELS)
        return [asyncio.create_task(self.model.read(which(seed), words), name="ask") for seed in range(count)]

    def is_gone(self) -> bool:
        """Return whether no process of the engine is left."""
        return not {each.pid for each in self.processes} & {process.pid for process in descendants(1)}


def named(processes: Sequence[psutil.Process], name: str) -> psutil.Process:
    (found,) = (each for each in processes if name in command_line(each))
    return found


@pytest_asyncio.fixture
async def patient(request: pytest.FixtureRequest) -> AsyncIterator[Patient]:
    """A model of its own, with the settings that a test names as its parameter."""
    before = descendants(os.getpid())
    model, failures = new_model(tiny_settings(**getattr(request, "param", {})), stall_s=STALL_S, chat_images=1)
    try:
        await model.start()
        started = [each for each in descendants(os.getpid()) if each not in before and is_of_the_engine(each)]
        yield Patient(model, started, failures)
    finally:
        await model.stop()


async def test_a_starved_engine_is_slow_and_a_stopped_one_dead(patient: Patient) -> None:
    asked = await patient.ask(40)
    for _ in range(10):  # a fifth of the time is left to it
        os.kill(patient.core.pid, signal.SIGSTOP)
        await asyncio.sleep(0.4)
        os.kill(patient.core.pid, signal.SIGCONT)
        await asyncio.sleep(0.1)
    assert all(isinstance(answer, dict) for answer in await asyncio.gather(*asked))
    assert patient.failures == []

    asked = await patient.ask(8)
    os.kill(patient.core.pid, signal.SIGSTOP)
    stopped_s = time.monotonic()
    ends = await asyncio.gather(*asked, return_exceptions=True)
    assert {type(end) for end in ends} <= {dict, EngineDeadError}
    assert any(isinstance(end, EngineDeadError) for end in ends)
    assert STALL_S * 0.5 < time.monotonic() - stopped_s < STALL_S * 3
    assert ["engine.stall_s" in str(failure) for failure in patient.failures] == [True]
    await check_the_end(patient)


async def test_a_killed_engine_ends_what_is_in_flight(patient: Patient) -> None:
    asked = await patient.ask(40)
    assert patient.model.chat is not None
    endless = ChatRequest("endless", [{"role": "user", "content": "Hello"}], {"logit_bias": END_OF_TURN}, 1024, "t")
    events = patient.model.chat.stream(endless)
    assert b"assistant" in await anext(events)
    os.kill(patient.core.pid, signal.SIGKILL)
    with pytest.raises(EngineDeadError):
        [event async for event in events]
    ends = await asyncio.gather(*asked, return_exceptions=True)
    assert {type(end) for end in ends} <= {dict, EngineDeadError}
    assert any(isinstance(end, EngineDeadError) for end in ends)
    assert len(patient.failures) == 1
    await check_the_end(patient)


# As with tensor parallelism, where each card has a process of its own.
@pytest.mark.parametrize("patient", [{"engine_args": {"distributed_executor_backend": "mp"}}], indirect=True)
async def test_a_killed_worker_is_noticed_without_requests(patient: Patient) -> None:
    os.kill(named(patient.processes, "Worker").pid, signal.SIGKILL)
    await wait_until(lambda: bool(patient.failures), description="the death is reported")
    assert isinstance(patient.failures[0], EngineDeadError)
    await check_the_end(patient)


async def check_the_end(patient: Patient) -> None:
    """Stopping takes a bounded time whatever happened, and leaves no process behind."""
    async with asyncio.timeout(20.0):
        await patient.model.stop()
    await wait_until(patient.is_gone, description="no process of the engine is left")
    with pytest.raises(EngineNotRunningError):
        await patient.model.prepare(None, LABELS)


async def test_a_model_that_cannot_be_loaded_names_the_settings(tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text("{}")
    model, _ = new_model(tiny_settings(model=str(tmp_path)))
    with pytest.raises(EngineConfigurationError, match=r"engine\.vllm: .* cannot be loaded"):
        await model.start()
    await model.stop()


async def test_a_load_that_takes_too_long_is_ended() -> None:
    before = descendants(os.getpid())
    model, _ = new_model(tiny_settings(startup_timeout_s=4.0))
    with pytest.raises(EngineConfigurationError, match=r"engine\.vllm\.startup_timeout_s: .* longer than 4 s"):
        await model.start()
    await model.stop()
    known = {process.pid for process in before}
    await wait_until(
        lambda: not [each for each in descendants(os.getpid()) if each.pid not in known and is_of_the_engine(each)],
        description="no process of the engine is left",
    )


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"engine_args": {"max_num_sequences": 4}}, r"engine\.vllm\.engine_args: .* did you mean 'max_num_seqs'"),
        ({"precision": "awq"}, r"engine\.vllm\.precision: .* comes in bf16: name a model that comes in awq"),
    ],
)
async def test_settings_that_do_not_fit_are_named(changes: dict[str, object], message: str) -> None:
    model, _ = new_model(tiny_settings(**changes))
    with pytest.raises(EngineConfigurationError, match=message):
        await model.start()
    await model.stop()
