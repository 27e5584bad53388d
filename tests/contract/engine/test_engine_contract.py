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

from service.errors import ModstreamError
from service.inference.engine import Engine, EngineOutput, EngineRequest
from service.pixels import RgbPixels
from service.policy.taxonomy import NAMES
from tests.contract.engine.images import extremes, small
from tests.support.asking import BRIEF, engine_request

IN_TIME_S = 60.0


async def judge_all(engine: Engine, requests: Sequence[EngineRequest]) -> list[EngineOutput]:
    async with asyncio.timeout(IN_TIME_S):
        return await asyncio.gather(*(engine.judge(each) for each in requests))


def crowd(engine: Engine, count: int) -> list[EngineRequest]:
    spec = engine.describe(BRIEF).image_spec
    return [engine_request(small(spec, seed=seed), wants_tags=seed % 2 == 0) for seed in range(count)]


def test_description_names_what_a_verdict_carries(unstarted_engine: Engine) -> None:
    description = unstarted_engine.describe(BRIEF)
    assert description.kind
    assert description.model_name
    assert description.model_revision
    assert description.concurrency >= 1
    assert description.image_spec.max_pixels >= description.image_spec.multiple_of**2 >= 1


async def test_description_stays_as_it_is(engine: Engine) -> None:
    before = engine.describe(BRIEF)
    await judge_all(engine, crowd(engine, 2))
    assert engine.describe(BRIEF) == before


def test_covered_categories_are_in_the_taxonomy(unstarted_engine: Engine) -> None:
    assert unstarted_engine.describe(BRIEF).covers <= set(NAMES)


def test_hints_are_among_the_covered_categories(unstarted_engine: Engine) -> None:
    assert unstarted_engine.describe(BRIEF).hints <= unstarted_engine.describe(BRIEF).covers


async def test_scores_are_probabilities_for_exactly_what_is_covered(engine: Engine) -> None:
    for output in await judge_all(engine, crowd(engine, 4)):
        scores = output.scores or {}
        assert scores.keys() == engine.describe(BRIEF).covers
        assert all(type(score) is float and 0.0 <= score <= 1.0 for score in scores.values())


async def test_an_engine_that_covers_nothing_says_that_it_did_not_judge(engine: Engine) -> None:
    output = await engine.judge(engine_request(small(engine.describe(BRIEF).image_spec)))
    assert (output.scores is None) == (not engine.describe(BRIEF).covers)


async def test_scores_come_only_when_wanted(engine: Engine) -> None:
    pixels = small(engine.describe(BRIEF).image_spec)
    assert (await engine.judge(engine_request(pixels, wants_scores=False, wants_tags=True))).scores is None


async def test_tags_come_only_when_wanted_and_under_a_schema(engine: Engine) -> None:
    pixels = small(engine.describe(BRIEF).image_spec)
    assert (await engine.judge(engine_request(pixels))).tags == {}
    wanted = (await engine.judge(engine_request(pixels, wants_tags=True))).tags
    assert bool(wanted) == (engine.describe(BRIEF).attribute_schema is not None)


async def test_tags_are_named_values_surest_first(engine: Engine) -> None:
    for output in await judge_all(engine, crowd(engine, 8)):
        for attribute, tags in output.tags.items():
            assert attribute
            assert all(tag.value and 0.0 <= tag.confidence <= 1.0 for tag in tags)
            assert all(first.confidence >= second.confidence for first, second in itertools.pairwise(tags))


async def test_every_shape_within_the_spec_is_judged(engine: Engine) -> None:
    images = extremes(engine.describe(BRIEF).image_spec)
    outputs = await judge_all(engine, [engine_request(pixels, wants_tags=True) for pixels in images])
    assert len(outputs) == len(images)


async def test_pixels_are_only_read(engine: Engine) -> None:
    pixels = small(engine.describe(BRIEF).image_spec)
    before = pixels.copy()
    pixels.flags.writeable = False
    await engine.judge(engine_request(pixels, wants_tags=True))
    assert np.array_equal(pixels, before)


async def test_output_is_the_same_alone_and_among_others(engine: Engine) -> None:
    requests = crowd(engine, 4 * engine.describe(BRIEF).concurrency)
    alone = [await engine.judge(each) for each in requests[:4]]
    assert (await judge_all(engine, requests))[:4] == alone


async def test_output_does_not_depend_on_the_order(engine: Engine) -> None:
    requests = crowd(engine, 2 * engine.describe(BRIEF).concurrency)
    order = random.Random(0).sample(range(len(requests)), len(requests))
    shuffled = dict(zip(order, await judge_all(engine, [requests[place] for place in order]), strict=True))
    assert [shuffled[place] for place in range(len(requests))] == await judge_all(engine, requests)


async def cancel_a_crowd(engine: Engine) -> list["weakref.ref[RgbPixels]"]:
    """Ask for far more than the engine takes at a time and give it all up at once; return who may hold the pixels."""
    pixels = [
        small(engine.describe(BRIEF).image_spec, seed=seed) for seed in range(40 * engine.describe(BRIEF).concurrency)
    ]
    tasks = [asyncio.create_task(engine.judge(engine_request(each)), name="crowd") for each in pixels]
    await asyncio.sleep(0)
    for task in tasks:
        task.cancel()
    await asyncio.wait(tasks)
    return [weakref.ref(each) for each in pixels]


async def test_cancelled_requests_free_their_places(engine: Engine) -> None:
    await engine.judge(crowd(engine, 1)[0])
    start = time.monotonic()
    await engine.judge(crowd(engine, 1)[0])
    alone_s = time.monotonic() - start

    await cancel_a_crowd(engine)
    # The crowd would take 40 times as long as what is busy at a time; some rounds are slack for a busy machine.
    async with asyncio.timeout(10 * alone_s + 0.3):
        await engine.judge(crowd(engine, 1)[0])


# The painted engine remembers its requests for tests to see.
@pytest.mark.parametrize("unstarted_engine", ["onnx", "rehearsal"], indirect=True)
async def test_cancelled_requests_free_their_pixels(engine: Engine) -> None:
    held = await cancel_a_crowd(engine)
    await engine.judge(crowd(engine, 1)[0])
    gc.collect()
    assert sum(reference() is not None for reference in held) == 0


async def test_a_cancelled_request_leaves_its_neighbours_alone(engine: Engine) -> None:
    requests = crowd(engine, 4 * engine.describe(BRIEF).concurrency)
    tasks = [asyncio.create_task(engine.judge(each), name="neighbour") for each in requests]
    await asyncio.sleep(0)
    for task in tasks[::2]:
        task.cancel()
    answers = await asyncio.wait_for(asyncio.gather(*tasks, return_exceptions=True), IN_TIME_S)
    assert answers[1::2] == await judge_all(engine, requests[1::2])


@pytest.mark.parametrize("turns", [0, 1, 100])
async def test_stopping_ends_what_is_in_flight(engine: Engine, turns: int) -> None:
    tasks = [
        asyncio.create_task(engine.judge(each), name="in flight")
        for each in crowd(engine, 20 * engine.describe(BRIEF).concurrency)
    ]
    for _ in range(turns):
        await asyncio.sleep(0)
    async with asyncio.timeout(IN_TIME_S):
        await engine.stop()
        ends = await asyncio.gather(*tasks, return_exceptions=True)
    assert [end for end in ends if not isinstance(end, EngineOutput | ModstreamError | asyncio.CancelledError)] == []


async def test_preparing_for_a_brief_again_changes_nothing(engine: Engine) -> None:
    before = engine.describe(BRIEF)
    await engine.prepare(BRIEF)
    assert engine.describe(BRIEF) == before


async def test_explanations_are_words_for_categories_that_were_asked_about(engine: Engine) -> None:
    asked = sorted(engine.describe(BRIEF).covers)[:2]
    pixels = small(engine.describe(BRIEF).image_spec)
    explanations = await engine.explain(engine_request(pixels), asked)
    assert set(explanations) <= set(asked)
    assert all(explanations.values())


async def test_stopping_twice_or_before_the_start_is_harmless(unstarted_engine: Engine) -> None:
    await unstarted_engine.stop()
    await unstarted_engine.start()
    await unstarted_engine.stop()
    await unstarted_engine.stop()


async def longest_pause_s(work: asyncio.Task[list[EngineOutput]]) -> float:
    """Return the longest time that the event loop left a task waiting which wanted to run every 2 ms."""
    longest, before = 0.0, time.monotonic()
    while not work.done():
        await asyncio.sleep(0.002)
        now = time.monotonic()
        longest, before = max(longest, now - before), now
    return longest


async def test_the_event_loop_is_never_held_up(engine: Engine) -> None:
    largest = extremes(engine.describe(BRIEF).image_spec)[-1]
    requests = [engine_request(largest, wants_tags=True)] * 4 * engine.describe(BRIEF).concurrency
    pauses = []
    for _ in range(5):
        work = asyncio.create_task(judge_all(engine, requests), name="work")
        pauses.append(await longest_pause_s(work))
        await work
    # A busy machine may pause one round; an engine that holds the loop up pauses every one, for all images at once.
    assert min(pauses) < 0.05
