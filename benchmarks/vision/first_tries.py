"""The service against what one would write first: a loop of `vllm.LLM.chat`, and OpenAI's client with `vllm serve`.

All three ask one token about the same photographs, with the same policy, the same model and the same engine settings.
"""

import json
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from functools import cache
from itertools import count
from pathlib import Path
from tempfile import TemporaryDirectory

from benchmarks.contest import Contest, numbered_from, running_contest
from benchmarks.killing import KilledRun, killed_in_the_middle
from benchmarks.runner import Comparison, Contender, TimedRun
from benchmarks.vision.model import prepare_for_a_cpu, require_engine, tiny_settings
from benchmarks.vision.photo_events import photo_event
from testing.shapes_policy import write_shapes_policy
from testing.tiny_model.shapes import INSTRUCTIONS
from testing.tiny_model.tiny import model_folder
from testing.vllm_server import vllm_server

EVENTS = 256
ROUNDS = 3
# Near to what the tiny model was trained with.
VISION_TOKENS = 64

Contestant = tuple[str, str]
"""Its module, and the argument that it takes besides its task."""


@contextmanager
def comparisons() -> Iterator[Sequence[Comparison]]:
    """Compare speed, and what is left after a kill."""
    require_engine()
    prepare_for_a_cpu()
    with running_contest() as contest, TemporaryDirectory() as folder, _server(Path(folder)) as url:
        contestants = {
            "loop of vllm.LLM.chat, a batch a poll": ("benchmarks.peers.chat_loop", json.dumps(_engine_arguments())),
            "OpenAI's client, gathered, and vllm serve": ("benchmarks.peers.openai_gather", f"{url}/v1"),
            "modstream, exactly once": ("benchmarks.peers.modstream_vision", json.dumps(_settings(Path(folder)))),
        }
        yield (_speed(contest, contestants), *_losses(contest, contestants))


def _speed(contest: Contest, contestants: Mapping[str, Contestant]) -> Comparison:
    first_numbers = count(0, EVENTS)  # the server lives through all rounds, and would know its photographs again

    def contender(name: str, module: str, argument: str) -> Contender:
        def run() -> TimedRun:
            photographs = numbered_from(next(first_numbers), photo_event)
            return TimedRun(EVENTS, contest.run(module, argument, records=EVENTS, value=photographs).seconds)

        return Contender(name, run)

    return Comparison(
        f"photographs of 1.2 megapixels, {VISION_TOKENS} vision tokens and one token each",
        tuple(contender(name, *contestant) for name, contestant in contestants.items()),
        rounds=ROUNDS,
        warm_ups=0,
    )


def _losses(contest: Contest, contestants: Mapping[str, Contestant]) -> tuple[Comparison, Comparison]:
    @cache
    def killed_run(module: str, argument: str) -> KilledRun:
        task = contest.prepare(EVENTS, photo_event)
        return killed_in_the_middle([sys.executable, "-m", module, task.as_argument(), argument], task)

    def judged(name: str, contestant: Contestant) -> Contender:
        return Contender(name, lambda: TimedRun(killed_run(*contestant).judged, EVENTS))

    def outcomes(name: str, contestant: Contestant) -> Contender:
        return Contender(name, lambda: TimedRun(killed_run(*contestant).outcomes, killed_run(*contestant).judged))

    sent = Contender("images sent", lambda: TimedRun(EVENTS, EVENTS))
    counted = Comparison(
        "killed with -9 and started again: share of the images that have a verdict",
        (sent, *(judged(*named) for named in contestants.items())),
        unit="an image",
        target_ratio=1.0,
        rounds=1,
        warm_ups=0,
        quick=False,
    )
    doubled = replace(
        counted,
        title="killed with -9 and started again: verdicts of an image that has one",
        contenders=(sent, *(outcomes(*named) for named in contestants.items())),
        target_ratio=None,
    )
    return counted, doubled


def _sizes() -> dict[str, int]:
    return {"shortest_edge": 4 * 32**2, "longest_edge": VISION_TOKENS * 32**2}


def _engine_arguments() -> dict[str, object]:
    settings = tiny_settings()
    return {
        "model": settings.model,
        "max_model_len": settings.max_model_len,
        "max_num_batched_tokens": settings.max_batched_tokens,
        "max_num_seqs": settings.max_sequences,
        "block_size": settings.block_size,
        "kv_cache_memory_bytes": settings.kv_cache_bytes,
        "limit_mm_per_prompt": {"image": 1, "video": 0},
        "mm_processor_kwargs": {"size": _sizes()},
        "enforce_eager": True,
    }


@contextmanager
def _server(folder: Path) -> Iterator[str]:
    """Serve the model with the same settings; what is given later holds."""
    arguments = _engine_arguments()
    del arguments["model"], arguments["enforce_eager"]
    flags = []
    for name, value in arguments.items():
        flags += [f"--{name.replace('_', '-')}", value if isinstance(value, str) else json.dumps(value)]
    with vllm_server(model_folder(), folder / "vllm.log", *flags) as server:
        yield server.url


def _settings(folder: Path) -> dict[str, object]:
    policy = write_shapes_policy(folder, replace(INSTRUCTIONS, vision_tokens=VISION_TOKENS))
    vllm = tiny_settings().model_copy(update={"max_vision_tokens": VISION_TOKENS})
    return {
        "engine": {"kind": "vllm", "vllm": vllm.model_dump(mode="json", exclude_defaults=True)},
        "policy": {"path": str(policy), "default": "shapes"},
    }
