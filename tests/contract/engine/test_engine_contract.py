"""What the pipeline relies on in every engine."""

import asyncio
import gc
import itertools
import random
import time
import weakref
from collections.abc import Sequence

import numpy as np
import pytest

from service.core.errors import ModstreamError
from service.core.pixels import RgbPixels
from service.inference.engine import Engine, EngineLoad, EngineOutput, EngineRequest
from service.policy.taxonomy import NAMES
from tests.contract.engine.candidates import Candidate, StartedEngine
from tests.contract.engine.images import extremes, small

# The engine is started once for all of them, and lives in one event loop.
pytestmark = pytest.mark.asyncio(loop_scope="session")

IN_TIME_S = 60.0

LONG_PAUSE = 0.25
"""The share of the time of a round for which the event loop may leave a task waiting."""


async def judge_all(engine: Engine, requests: Sequence[EngineRequest]) -> list[EngineOutput]:
    async with asyncio.timeout(IN_TIME_S):
        return await asyncio.gather(*(engine.judge(each) for each in requests))


async def test_description_names_what_a_verdict_carries(started: StartedEngine) -> None:
    description = started.description
    assert description.kind
    assert description.model_name
    assert description.model_revision
    assert description.concurrency >= 1
    assert description.image_spec.max_pixels >= description.image_spec.multiple_of**2 >= 1


async def test_description_stays_as_it_is(started: StartedEngine) -> None:
    before = started.description
    await judge_all(started.engine, started.crowd(rounds=1))
    assert started.description == before


async def test_covered_categories_are_in_the_taxonomy_or_the_instructions(started: StartedEngine) -> None:
    own = {category.name for category in started.candidate.instructions.categories}
    assert started.description.covers <= {*NAMES, *own}


async def test_hints_are_among_the_covered_categories(started: StartedEngine) -> None:
    assert started.description.hints <= started.description.covers


async def test_scores_are_probabilities_for_exactly_what_is_covered(started: StartedEngine) -> None:
    for output in await judge_all(started.engine, started.crowd(rounds=1)):
        scores = output.scores or {}
        assert scores.keys() == started.description.covers
        assert all(type(score) is float and 0.0 <= score <= 1.0 for score in scores.values())


async def test_an_engine_that_covers_nothing_says_that_it_did_not_judge(started: StartedEngine) -> None:
    output = await started.engine.judge(started.request())
    assert (output.scores is None) == (not started.description.covers)


async def test_scores_come_only_when_wanted(started: StartedEngine) -> None:
    assert (await started.engine.judge(started.request(wants_scores=False, wants_tags=True))).scores is None


async def test_tags_come_only_when_wanted_and_under_a_schema(started: StartedEngine) -> None:
    assert (await started.engine.judge(started.request())).tags == {}
    wanted = (await started.engine.judge(started.request(wants_tags=True))).tags
    assert bool(wanted) == (started.description.attribute_schema is not None)


async def test_tags_are_named_values_surest_first(started: StartedEngine) -> None:
    for output in await judge_all(started.engine, started.crowd(rounds=2)):
        for attribute, tags in output.tags.items():
            assert attribute
            assert all(tag.value and 0.0 <= tag.confidence <= 1.0 for tag in tags)
            assert all(first.confidence >= second.confidence for first, second in itertools.pairwise(tags))


async def test_every_shape_within_the_spec_is_judged(started: StartedEngine) -> None:
    images = extremes(started.spec)
    outputs = await judge_all(started.engine, [started.request(pixels, wants_tags=True) for pixels in images])
    assert len(outputs) == len(images)


async def test_pixels_are_only_read(started: StartedEngine) -> None:
    pixels = small(started.spec)
    before = pixels.copy()
    pixels.flags.writeable = False
    await started.engine.judge(started.request(pixels, wants_tags=True))
    assert np.array_equal(pixels, before)


async def test_output_is_the_same_alone_and_among_others(started: StartedEngine) -> None:
    requests = started.crowd(rounds=4)
    alone = [await started.engine.judge(each) for each in requests[:4]]
    assert started.are_alike((await judge_all(started.engine, requests))[:4], alone)


async def test_output_does_not_depend_on_the_order(started: StartedEngine) -> None:
    requests = started.crowd(rounds=2)
    order = random.Random(0).sample(range(len(requests)), len(requests))
    outputs = await judge_all(started.engine, [requests[place] for place in order])
    shuffled = dict(zip(order, outputs, strict=True))
    again = await judge_all(started.engine, requests)
    assert started.are_alike([shuffled[place] for place in range(len(requests))], again)


async def cancel_a_crowd(started: StartedEngine) -> list["weakref.ref[RgbPixels]"]:
    """Ask for far more than the engine takes at a time and give it all up at once; return who may hold the pixels."""
    requests = started.crowd(rounds=40)
    tasks = [asyncio.create_task(started.engine.judge(each), name="crowd") for each in requests]
    await asyncio.sleep(0)
    for task in tasks:
        task.cancel()
    await asyncio.wait(tasks)
    return [weakref.ref(each.pixels) for each in requests]


async def test_cancelled_requests_free_their_places(started: StartedEngine) -> None:
    await started.engine.judge(started.request())
    start = time.monotonic()
    await started.engine.judge(started.request())
    alone_s = time.monotonic() - start

    await cancel_a_crowd(started)
    # The crowd would take 40 times as long as what is busy at a time; some rounds are slack for a busy machine.
    async with asyncio.timeout(10 * alone_s + 0.3):
        await started.engine.judge(started.request())


async def test_cancelled_requests_free_their_pixels(started: StartedEngine) -> None:
    held = await cancel_a_crowd(started)
    await started.engine.judge(started.request())
    gc.collect()
    assert started.candidate.keeps_pixels or sum(reference() is not None for reference in held) == 0


async def test_load_is_what_is_in_flight(started: StartedEngine) -> None:
    tasks = [asyncio.create_task(started.engine.judge(each), name="load") for each in started.crowd(rounds=2)]
    await asyncio.sleep(0)
    load = started.engine.load()
    assert load.running + load.waiting > 0
    await asyncio.gather(*tasks)
    assert started.engine.load() == EngineLoad(running=0, waiting=0)


async def test_a_cancelled_request_leaves_its_neighbours_alone(started: StartedEngine) -> None:
    requests = started.crowd(rounds=4)
    tasks = [asyncio.create_task(started.engine.judge(each), name="neighbour") for each in requests]
    await asyncio.sleep(0)
    for task in tasks[::2]:
        task.cancel()
    await asyncio.wait(tasks, timeout=IN_TIME_S)
    answers = [task.result() for task in tasks[1::2]]
    assert started.are_alike(answers, await judge_all(started.engine, requests[1::2]))


async def test_stopping_before_the_start_is_harmless(candidate: Candidate) -> None:
    await candidate.build().stop()


async def test_preparing_for_instructions_again_changes_nothing(started: StartedEngine) -> None:
    before = started.description
    await started.engine.prepare(started.candidate.instructions)
    assert started.description == before
    started.engine.forget(started.candidate.instructions)
    assert started.description == before
    assert await started.engine.judge(started.request())


async def test_explanations_are_words_for_categories_that_were_asked_about(started: StartedEngine) -> None:
    asked = sorted(started.description.covers)[:2]
    explanations = await started.engine.explain(started.request(), asked)
    assert set(explanations) <= set(asked)
    assert all(explanations.values())
    assert bool(explanations) <= started.description.explains


async def longest_pause_s(work: asyncio.Task[list[EngineOutput]]) -> float:
    """Return the longest time that the event loop left a task waiting which wanted to run every 2 ms."""
    longest, before = 0.0, time.monotonic()
    while not work.done():
        await asyncio.sleep(0.002)
        now = time.monotonic()
        longest, before = max(longest, now - before), now
    return longest


async def test_the_event_loop_is_never_held_up(started: StartedEngine) -> None:
    largest = extremes(started.spec)[-1]
    requests = [started.request(largest, wants_tags=True)] * len(started.crowd(rounds=4))
    pauses: list[float] = []
    # A busy machine may pause a round; an engine that holds the loop up pauses every one, for all images at once.
    while len(pauses) < 5 and min(pauses, default=1.0) >= LONG_PAUSE:
        started_s = time.monotonic()
        work = asyncio.create_task(judge_all(started.engine, requests), name="work")
        pause_s = await longest_pause_s(work)
        await work
        pauses.append(pause_s / max(time.monotonic() - started_s, 0.2))
    assert min(pauses) < LONG_PAUSE


# The last one: it may stop an engine that all share.
async def test_stopping_ends_what_is_in_flight_and_stopping_again_is_harmless(candidate: Candidate) -> None:
    for turns in candidate.stops_after_turns:
        started = await candidate.begin()
        requests = started.crowd(rounds=20)
        tasks = [asyncio.create_task(started.engine.judge(each), name="in flight") for each in requests]
        for _ in range(turns):
            await asyncio.sleep(0)
        async with asyncio.timeout(IN_TIME_S):
            await started.engine.stop()
            ends = await asyncio.gather(*tasks, return_exceptions=True)
            await started.engine.stop()
        expected = EngineOutput | ModstreamError | asyncio.CancelledError
        assert [end for end in ends if not isinstance(end, expected)] == []
