"""What the tiny model knows, in the real engine, on images that it was not trained on."""

import asyncio
import json
from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import pytest
import pytest_asyncio
from PIL import Image

from service.inference.vision.label_prior import measured
from service.inference.vision.labels import NONE
from service.inference.vision.prompt import prompter
from service.inference.vision.token_model import TokenModel
from service.tools.demo.tiny_model import PICTURES
from testing.tiny_model.answers import categories, why_text
from testing.tiny_model.held_out import Asker, Judged, Sample, altered, samples, shrunk, swapped
from testing.tiny_model.label_bias import ListReader, constant
from testing.tiny_model.report import (
    accuracy,
    answer_accuracy,
    harm_accuracy,
    mean_mass,
    reasons_schema,
    tag_accuracy,
    tags_schema,
)
from testing.tiny_model.scenes import Scene
from testing.tiny_model.shapes import (
    ADAPTED_INSTRUCTIONS,
    GAMING_TABLE,
    HARMFUL,
    HARMLESS,
    INSTRUCTIONS,
    INSTRUCTIONS_ZH,
)
from testing.tiny_model.ways import by_list, by_list_then_questions, finding

pytestmark = [pytest.mark.engine, pytest.mark.asyncio(loop_scope="session")]

# The figures that the README names; what the committed weights reach is a little higher.
RIGHT_LABELS = 0.95
RIGHT_ANSWERS = 0.97
RIGHT_TAGS = {"background": 0.95, "shapes": 0.9, "colours": 0.95, "slogan": 0.65}
RIGHT_REASONS = 0.9
BOTH_FOUND = 0.9
RIGHT_IN_CHINESE = 0.95
RIGHT_ADAPTED = 0.95
LABEL_MASS = 0.99
# What is left when the model does not see what it was taught: a third of the categories are neither red nor blue.
COLLAPSED = 0.5
# Green and yellow stand for one category each, red and blue for two: two thirds is what colours without shapes give.
WITHOUT_SHAPES = 0.65

SAMPLES = samples(240)


@pytest.fixture
def asker(model: TokenModel) -> Asker:
    return Asker(model, INSTRUCTIONS)


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def judged(model: TokenModel) -> list[Judged]:
    return await Asker(model, INSTRUCTIONS).judge(SAMPLES)


async def test_the_right_label_is_the_likeliest(judged: Sequence[Judged]) -> None:
    assert accuracy(judged, INSTRUCTIONS) >= RIGHT_LABELS
    assert harm_accuracy(judged, INSTRUCTIONS) >= RIGHT_LABELS


async def test_nearly_all_of_an_answer_falls_on_the_labels(judged: Sequence[Judged]) -> None:
    assert mean_mass(judged) >= LABEL_MASS


async def test_swapped_channels_turn_the_answers_wrong(asker: Asker) -> None:
    assert harm_accuracy(await asker.judge(altered(SAMPLES[:120], swapped)), INSTRUCTIONS) < COLLAPSED


async def test_shrinking_to_eight_pixels_leaves_nothing_to_see(asker: Asker) -> None:
    assert harm_accuracy(await asker.judge(altered(SAMPLES[:120], shrunk)), INSTRUCTIONS) < WITHOUT_SHAPES


async def test_captions_do_not_change_the_answer(asker: Asker, judged: Sequence[Judged]) -> None:
    bare = await asker.judge([replace(each, caption=None) for each in SAMPLES])
    same = [first.best == second.best for first, second in zip(judged, bare, strict=True)]
    assert sum(same) / len(same) >= RIGHT_LABELS


async def test_questions_find_both_of_two_categories_where_the_list_finds_one(asker: Asker) -> None:
    two = await asker.judge(samples(60, harmful=2), one_by_one=True)
    truth = [frozenset(categories(each.sample.scene, INSTRUCTIONS)) for each in two]
    alone = finding([by_list(each, INSTRUCTIONS) for each in two], truth).both_found
    asked = finding([by_list_then_questions(each, INSTRUCTIONS) for each in two], truth).both_found
    assert answer_accuracy(two, INSTRUCTIONS) >= RIGHT_ANSWERS
    assert alone is not None
    assert asked is not None
    assert alone < 0.2 < BOTH_FOUND <= asked


async def test_what_a_model_favours_a_label_by_is_measured_on_pictures_that_show_nothing(model: TokenModel) -> None:
    usual = prompter(INSTRUCTIONS)
    labels = await model.prepare(None, [*usual.labels])
    reader = ListReader(model, constant(A=8.0, G=0.25))
    found = await measured(reader, usual, labels, at_a_time=8)
    assert found == pytest.approx({**dict.fromkeys(labels, 0.0), "A": 2.1, "G": -1.4})


async def test_tags_name_what_is_drawn(asker: Asker) -> None:
    assert INSTRUCTIONS.attributes is not None
    schema, tagged = tags_schema(INSTRUCTIONS.attributes), SAMPLES[:60]
    texts = await asyncio.gather(*(asker.write_tags(sample, schema) for sample in tagged))
    right = tag_accuracy(list(zip(tagged, texts, strict=True)), INSTRUCTIONS)
    assert {name: share for name, share in right.items() if share < RIGHT_TAGS[name]} == {}


async def test_reasons_name_what_is_drawn(asker: Asker) -> None:
    shown = [each for each in SAMPLES if categories(each.scene, INSTRUCTIONS)][:40]
    right = 0
    for sample in shown:
        asked = categories(sample.scene, INSTRUCTIONS)[:1]
        text = await asker.write_reasons(sample, asked, reasons_schema(asked))
        right += json.loads(text) == json.loads(why_text(sample.scene, INSTRUCTIONS, asked))
    assert right / len(shown) >= RIGHT_REASONS


async def test_questions_in_chinese_are_answered_too(model: TokenModel) -> None:
    judged = await Asker(model, INSTRUCTIONS_ZH).judge(SAMPLES[:60], one_by_one=True)
    assert accuracy(judged, INSTRUCTIONS_ZH) >= RIGHT_IN_CHINESE
    assert answer_accuracy(judged, INSTRUCTIONS_ZH) >= RIGHT_IN_CHINESE


async def test_an_adapter_changes_what_it_was_trained_to_change_and_nothing_else(model: TokenModel) -> None:
    tables = samples(200, harmful=0, harmless=(GAMING_TABLE, *HARMLESS))
    shown = [each for each in tables if GAMING_TABLE in each.scene.kinds]
    before, after = await asyncio.gather(
        Asker(model, INSTRUCTIONS).judge(shown), Asker(model, ADAPTED_INSTRUCTIONS).judge(shown)
    )
    # Asked beside the others, in the same steps of the engine, the model without it sees nothing in a green square.
    assert accuracy(before, INSTRUCTIONS) >= RIGHT_ADAPTED
    assert accuracy(after, ADAPTED_INSTRUCTIONS) >= RIGHT_ADAPTED
    others = [each for each in SAMPLES[:80] if GAMING_TABLE not in each.scene.kinds]
    assert accuracy(await Asker(model, ADAPTED_INSTRUCTIONS).judge(others), ADAPTED_INSTRUCTIONS) >= RIGHT_ADAPTED


async def test_every_picture_that_comes_with_the_model_is_what_its_name_says(asker: Asker) -> None:
    paths = sorted(PICTURES.glob("*.png"))
    pictures = [np.array(Image.open(path).convert("RGB")) for path in paths]
    nothing = Scene(0, 0, "light", (), 0)
    asked = [Sample(nothing, pixels, None, path.name) for path, pixels in zip(paths, pictures, strict=True)]
    labels = prompter(INSTRUCTIONS).labels
    kinds = {f"{colour}-{shape}": category for category, (colour, shape) in HARMFUL.items()}
    for path, judged in zip(paths, await asker.judge(asked), strict=True):
        shown = {kinds[part] for part in path.stem.split("-and-") if part in kinds} or {NONE}
        assert labels[judged.best] in shown, path.name
