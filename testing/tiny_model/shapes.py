"""Coloured shapes that stand for categories of harm, and the instructions that say so."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from types import MappingProxyType
from typing import Literal

from service.core.instructions import (
    Attribute,
    AttributeSchema,
    CategoryDefinition,
    Language,
    ModelInstructions,
    TextLimit,
)

Shape = Literal["circle", "triangle", "square", "star"]
Colour = Literal["red", "blue", "green", "yellow"]
Background = Literal["light", "dark"]

SHAPES: tuple[Shape, ...] = ("circle", "triangle", "square", "star")
COLOURS: tuple[Colour, ...] = ("red", "blue", "green", "yellow")
BACKGROUNDS: tuple[Background, ...] = ("light", "dark")

Kind = tuple[Colour, Shape]

# Gravest first, as the taxonomy has them. Red and blue stand for harm in the same shapes, so that swapped channels
# turn one category into another; no colour or shape alone identifies a category. Policies may not leave out the first.
HARMFUL: Mapping[str, Kind] = MappingProxyType(
    {
        "child_safety": ("green", "star"),
        "violence": ("red", "circle"),
        "weapons": ("red", "triangle"),
        "hate_symbols": ("blue", "triangle"),
        "alcohol": ("blue", "circle"),
        "gambling": ("yellow", "square"),
    }
)
KINDS: tuple[Kind, ...] = tuple((colour, shape) for shape in SHAPES for colour in COLOURS)
HARMLESS: tuple[Kind, ...] = tuple(kind for kind in KINDS if kind not in HARMFUL.values())

ADAPTER = "gaming-tables"
"""The LoRA adapter of a tenant for whom green squares are gambling as well."""
GAMING_TABLE: Kind = ("green", "square")


@dataclass(frozen=True, slots=True)
class Words:
    """How a language names what is drawn."""

    names: Mapping[str, str]
    kind: str
    means: str
    both: str
    shown: str
    """What speaks for a category."""
    missing: str
    asks: Mapping[str, str]
    nothing: str
    slogan_limit: TextLimit


_ENGLISH = Words(
    names=MappingProxyType({name: name for name in (*SHAPES, *COLOURS, *BACKGROUNDS)}),
    kind="{colour} {shape}",
    means="A {kind}.",
    both=" and ",
    shown="a {kind} on {background}",
    missing="no {kind}",
    asks=MappingProxyType(
        {
            "background": "How bright the background is",
            "shapes": "Which shapes there are",
            "colours": "Which colours the shapes have",
            "slogan": "A slogan that names every shape",
        }
    ),
    nothing="nothing",
    slogan_limit=TextLimit(8, "words"),
)

_CHINESE = Words(
    names=MappingProxyType(
        {
            "circle": "圆形",
            "triangle": "三角形",
            "square": "正方形",
            "star": "星形",
            "red": "红色",
            "blue": "蓝色",
            "green": "绿色",
            "yellow": "黄色",
            "light": "浅色",
            "dark": "深色",
        }
    ),
    kind="{colour}{shape}",
    means="{kind}。",
    both="和",
    shown="{background}背景上的{kind}",
    missing="没有{kind}",
    asks=MappingProxyType(
        {
            "background": "背景的明暗",
            "shapes": "有哪些形状",
            "colours": "形状有哪些颜色",
            "slogan": "说出每个形状的口号",
        }
    ),
    nothing="无",
    slogan_limit=TextLimit(20, "characters"),
)

WORDS = MappingProxyType[Language, Words]({"en": _ENGLISH, "zh": _CHINESE})


def kind_name(kind: Kind, words: Words) -> str:
    """Return what a language calls a coloured shape."""
    colour, shape = kind
    return words.kind.format(colour=words.names[colour], shape=words.names[shape])


def schema(language: Language) -> AttributeSchema:
    """Return the attributes of drawn images, in a language."""
    words = WORDS[language]
    asks = words.asks
    return AttributeSchema(
        "shapes/1",
        (
            Attribute("background", "b", asks["background"], _values(BACKGROUNDS, words)),
            Attribute("shapes", "s", asks["shapes"], _values(SHAPES, words), most=len(SHAPES)),
            Attribute("colours", "c", asks["colours"], _values(COLOURS, words), most=len(COLOURS)),
            Attribute("slogan", "t", asks["slogan"], limit=words.slogan_limit),
        ),
    )


def instructions(language: Language, *, attributes: AttributeSchema | None) -> ModelInstructions:
    """Return the instructions whose categories are coloured shapes."""
    words = WORDS[language]
    categories = (
        CategoryDefinition(name, words.means.format(kind=kind_name(kind, words))) for name, kind in HARMFUL.items()
    )
    return ModelInstructions(tuple(categories), language, attributes)


def meaning(instructions: ModelInstructions) -> Mapping[str, frozenset[Kind]]:
    """Return what stands for each category, which an adapter widens."""
    also = {"gambling": GAMING_TABLE} if instructions.adapter == ADAPTER else {}
    return {name: frozenset({kind, also.get(name, kind)}) for name, kind in HARMFUL.items()}


def _values(names: tuple[str, ...], words: Words) -> tuple[str, ...]:
    return tuple(words.names[name] for name in names)


INSTRUCTIONS = instructions("en", attributes=schema("en"))
"""What the tiny model is trained to answer."""
INSTRUCTIONS_ZH = instructions("zh", attributes=schema("zh"))
ALL_INSTRUCTIONS = (INSTRUCTIONS, INSTRUCTIONS_ZH, instructions("en", attributes=None))
"""All instructions that the tiny model knows; others it answers in the right form and wrongly."""
ADAPTED_INSTRUCTIONS = replace(INSTRUCTIONS, adapter=ADAPTER)
