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
from benchmarks.vision.model import prepare_for_a_cpu, require_engine
from benchmarks.vision.photo_events import photo_event
from benchmarks.vision.same_engine import VISION_TOKENS, engine_arguments, service_settings, vllm_serve

EVENTS = 256
ROUNDS = 3

Contestant = tuple[str, str]
"""Its module, and the argument that it takes besides its task."""


@contextmanager
def comparisons() -> Iterator[Sequence[Comparison]]:
    """Compare speed, and what is left after a kill."""
    require_engine()
    prepare_for_a_cpu()
    with running_contest() as contest, TemporaryDirectory() as folder, vllm_serve(Path(folder)) as url:
        settings = service_settings(Path(folder))
        contestants = {
            "loop of vllm.LLM.chat, a batch a poll": ("benchmarks.peers.chat_loop", json.dumps(engine_arguments())),
            "OpenAI's client, gathered, and vllm serve": ("benchmarks.peers.openai_gather", f"{url}/v1"),
            "modstream, exactly once": ("benchmarks.peers.modstream_vision", json.dumps(settings)),
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
