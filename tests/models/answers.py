"""The right answer to every question about a drawn image."""

import json
from collections.abc import Mapping, Sequence

from service.brief import Brief
from service.inference.vision.labels import NONE, label_map
from service.inference.vision.phrases import PHRASES
from tests.models.scenes import Scene
from tests.models.shapes import COLOURS, HARMFUL, SHAPES, WORDS, kind_name, meaning


def categories(scene: Scene, brief: Brief) -> tuple[str, ...]:
    """Return the categories that an image shows, gravest first."""
    return tuple(name for name, kinds in meaning(brief).items() if kinds & set(scene.kinds))


def right_labels(scene: Scene, brief: Brief) -> tuple[str, ...]:
    """Return the labels of what an image shows: each is as right as the others."""
    shown = categories(scene, brief) or (NONE,)
    return tuple(label for label, category in label_map(brief).items() if category in shown)


def yes_or_no(scene: Scene, brief: Brief, category: str) -> str:
    """Return the answer to whether an image shows a category."""
    phrases = PHRASES[brief.language]
    return phrases.yes if category in categories(scene, brief) else phrases.no


def right_tags(scene: Scene, brief: Brief) -> Mapping[str, tuple[str, ...]]:
    """Return the right values by attribute, in the order of the brief's lists."""
    words = WORDS[brief.language]
    shapes = tuple(words.names[shape] for shape in SHAPES if any(shape == kind[1] for kind in scene.kinds))
    colours = tuple(words.names[colour] for colour in COLOURS if any(colour == kind[0] for kind in scene.kinds))
    return {
        "background": (words.names[scene.background],),
        "shapes": shapes,
        "colours": colours,
        "slogan": (_slogan(scene, brief),),
    }


def tags_text(scene: Scene, brief: Brief) -> str:
    """Return the right attributes as the model writes them."""
    tags = right_tags(scene, brief)
    attributes = brief.attributes.attributes if brief.attributes else ()
    content = {each.key: tags[each.name][0] if each.most == 1 else tags[each.name] for each in attributes}
    return json.dumps(content, ensure_ascii=False, separators=(",", ":"))


def why_text(scene: Scene, brief: Brief, asked: Sequence[str]) -> str:
    """Return what speaks for categories as the model writes it."""
    words = WORDS[brief.language]
    background = words.names[scene.background]
    stands_for = meaning(brief)
    reasons = {}
    for name in asked:
        shown = [kind for kind in scene.kinds if kind in stands_for[name]]
        phrase, kind = (words.shown, shown[0]) if shown else (words.missing, HARMFUL[name])
        reasons[name] = phrase.format(kind=kind_name(kind, words), background=background)
    return json.dumps(reasons, ensure_ascii=False, separators=(",", ":"))


def _slogan(scene: Scene, brief: Brief) -> str:
    words = WORDS[brief.language]
    ordered = sorted(scene.kinds, key=lambda kind: (SHAPES.index(kind[1]), COLOURS.index(kind[0])))
    return words.both.join(kind_name(kind, words) for kind in ordered) or words.nothing
