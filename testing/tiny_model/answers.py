"""The right answer to every question about a drawn image."""

import json
from collections.abc import Mapping, Sequence

from service.core.instructions import ModelInstructions
from service.inference.vision.labels import NONE, label_map
from service.inference.vision.phrases import PHRASES
from testing.tiny_model.scenes import Scene
from testing.tiny_model.shapes import COLOURS, HARMFUL, SHAPES, WORDS, kind_name, meaning


def categories(scene: Scene, instructions: ModelInstructions) -> tuple[str, ...]:
    """Return the categories that an image shows, gravest first."""
    return tuple(name for name, kinds in meaning(instructions).items() if kinds & set(scene.kinds))


def right_labels(scene: Scene, instructions: ModelInstructions) -> tuple[str, ...]:
    """Return the labels of what an image shows: each is as right as the others."""
    shown = categories(scene, instructions) or (NONE,)
    return tuple(label for label, category in label_map(instructions).items() if category in shown)


def yes_or_no(scene: Scene, instructions: ModelInstructions, category: str) -> str:
    """Return the answer to whether an image shows a category."""
    phrases = PHRASES[instructions.language]
    return phrases.yes if category in categories(scene, instructions) else phrases.no


def right_tags(scene: Scene, instructions: ModelInstructions) -> Mapping[str, tuple[str, ...]]:
    """Return the right values by attribute, in the order of the instructions' lists."""
    words = WORDS[instructions.language]
    shapes = tuple(words.names[shape] for shape in SHAPES if any(shape == kind[1] for kind in scene.kinds))
    colours = tuple(words.names[colour] for colour in COLOURS if any(colour == kind[0] for kind in scene.kinds))
    return {
        "background": (words.names[scene.background],),
        "shapes": shapes,
        "colours": colours,
        "slogan": (_slogan(scene, instructions),),
    }


def tags_text(scene: Scene, instructions: ModelInstructions) -> str:
    """Return the right attributes as the model writes them."""
    tags = right_tags(scene, instructions)
    attributes = instructions.attributes.attributes if instructions.attributes else ()
    content = {each.key: tags[each.name][0] if each.most == 1 else tags[each.name] for each in attributes}
    return json.dumps(content, ensure_ascii=False, separators=(",", ":"))


def why_text(scene: Scene, instructions: ModelInstructions, asked: Sequence[str]) -> str:
    """Return what speaks for categories as the model writes it."""
    words = WORDS[instructions.language]
    background = words.names[scene.background]
    stands_for = meaning(instructions)
    reasons = {}
    for name in asked:
        shown = [kind for kind in scene.kinds if kind in stands_for[name]]
        phrase, kind = (words.shown, shown[0]) if shown else (words.missing, HARMFUL[name])
        reasons[name] = phrase.format(kind=kind_name(kind, words), background=background)
    return json.dumps(reasons, ensure_ascii=False, separators=(",", ":"))


def _slogan(scene: Scene, instructions: ModelInstructions) -> str:
    words = WORDS[instructions.language]
    ordered = sorted(scene.kinds, key=lambda kind: (SHAPES.index(kind[1]), COLOURS.index(kind[0])))
    return words.both.join(kind_name(kind, words) for kind in ordered) or words.nothing
