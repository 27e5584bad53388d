"""The second question about an image: over caches that the first one filled, against an image not seen before."""

import time
from dataclasses import replace

from benchmarks.runner import Comparison, Contender, TimedRun
from benchmarks.vision.model import RunningModel
from service.inference.vision.prompt import prompter
from testing.asking import INSTRUCTIONS

IMAGES = 8


def second_stage(running: RunningModel) -> Comparison:
    """Compare a yes-or-no question about a new image with one about an image that was just looked at."""
    asker = prompter(INSTRUCTIONS)
    category = INSTRUCTIONS.categories[0].name
    labels = running.runner.run(running.model.prepare(None, list(asker.labels)))
    yes_no = running.runner.run(running.model.prepare(None, [asker.phrases.yes, asker.phrases.no]))

    async def again(*, warm: bool) -> float:
        seconds = 0.0
        for _ in range(IMAGES):
            first = running.ask(asker.which(None))
            if warm:
                await running.model.read(first, labels)
            second = replace(first, request_id=f"{first.request_id}-2", prompt=asker.is_it(None, category))
            start = time.perf_counter()
            await running.model.read(second, yes_no)
            seconds += time.perf_counter() - start
        return seconds

    def contender(name: str, *, warm: bool) -> Contender:
        return Contender(name, lambda: TimedRun(running.runner.run(again(warm=warm)) * 1000, IMAGES))

    return Comparison(
        "a yes-or-no question, one at a time",
        (
            contender("about the image just looked at", warm=True),
            contender("about an image not seen before", warm=False),
        ),
        unit="ms an answer",
    )
