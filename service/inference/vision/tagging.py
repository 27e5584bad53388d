"""Pure: the JSON Schema of tags for an attribute schema, and reading tags from a model's text."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from service.core.instructions import Attribute, AttributeSchema, TextLimit
from service.inference.engine import Tag
from service.inference.vision.answers import Answer, ParsedString, plain, read_answer
from service.inference.vision.token_model import GeneratedText

UNKNOWN_CONFIDENCE = 0.5
"""The confidence in values whose probability the model does not report: halfway between unlikely and sure."""

# A grammar counts characters, not words: English words of product texts have six on average, with their space.
_CHARS_PER_WORD = 10
# Of UTF-8, and a tokenizer makes a token a byte at worst; rarer characters take four and are no bound's business.
_BYTES_PER_CHAR = 3
_DEFAULT_LIMIT = TextLimit(20, "words")


def json_schema(schema: AttributeSchema) -> Mapping[str, Any]:
    """Return the JSON Schema of the answer: short keys, in the schema's order."""
    return {
        "type": "object",
        "properties": {attribute.key: _value_schema(attribute) for attribute in schema.attributes},
        "required": [attribute.key for attribute in schema.attributes],
        "additionalProperties": False,
    }


def longest_answer(schema: AttributeSchema) -> int:
    """Return the largest number of tokens of an answer, with free texts at their limits."""
    return len("{}") + sum(_longest(attribute) for attribute in schema.attributes)


def read_tags(schema: AttributeSchema, written: GeneratedText) -> tuple[Mapping[str, tuple[Tag, ...]], bool]:
    """Return the valid tags by attribute, surest first, and whether nothing of the answer was invalid or missing.

    An attribute of which nothing is known is left out; one that the model answered with nothing is empty.
    """
    answer = read_answer(written.text)
    tags: dict[str, tuple[Tag, ...]] = {}
    is_complete = answer.is_whole
    for attribute in schema.attributes:
        said = _said(attribute, answer)
        values = _valid(attribute, said or ())
        is_complete = is_complete and said is not None and [each.text for each in said] == [*values]
        if values or said == []:
            tags[attribute.name] = _surest_first(attribute, values, written)
    return tags, is_complete


def _said(attribute: Attribute, answer: Answer) -> Sequence[ParsedString] | None:
    """Return what was answered, None if nothing; an empty free text means that there is none."""
    said = answer.said.get(attribute.key)
    if said is None or attribute.values:
        return said
    return [replace(each, text=text) for each in said if (text := plain(each.text))]


def _value_schema(attribute: Attribute) -> Mapping[str, Any]:
    if not attribute.values:
        return {"type": "string", "maxLength": _max_chars(_limit(attribute))}
    one = {"type": "string", "enum": list(attribute.values)}
    return one if attribute.most == 1 else {"type": "array", "items": one, "maxItems": attribute.most}


def _limit(attribute: Attribute) -> TextLimit:
    return attribute.limit or _DEFAULT_LIMIT


def _max_chars(limit: TextLimit) -> int:
    return limit.most if limit.unit == "characters" else limit.most * _CHARS_PER_WORD


def _longest(attribute: Attribute) -> int:
    around = len(f'"{attribute.key}":,'.encode()) + len("[]")
    if not attribute.values:
        return around + len('""') + _max_chars(_limit(attribute)) * _BYTES_PER_CHAR
    sizes = sorted((len(f'"{value}",'.encode()) for value in attribute.values), reverse=True)
    return around + sum(sizes[: attribute.most])


def _valid(attribute: Attribute, said: Sequence[ParsedString]) -> Mapping[str, ParsedString]:
    """Return what may stay, in the model's order, by its final text."""
    kept: dict[str, ParsedString] = {}
    for each in said:
        text = each.text if attribute.values else _within(_limit(attribute), each.text)
        if len(kept) < attribute.most and (not attribute.values or text in attribute.values):
            kept.setdefault(text, each)
    return kept


def _within(limit: TextLimit, text: str) -> str:
    if limit.unit == "characters":
        return text[: limit.most].rstrip()
    return " ".join(text.split()[: limit.most])


def _surest_first(attribute: Attribute, values: Mapping[str, ParsedString], written: GeneratedText) -> tuple[Tag, ...]:
    tags = [Tag(text, _confidence(attribute, said, written)) for text, said in values.items()]
    return tuple(sorted(tags, key=lambda tag: -tag.confidence))


def _confidence(attribute: Attribute, said: ParsedString, written: GeneratedText) -> float:
    """Return the probability of a listed value, or the mean probability of a free text's tokens.

    A listed value is as likely as its tokens together. A free text could have been put in countless other words, so
    that its own probability would say little.
    """
    chances = _chances(said, written)
    if not chances:
        return UNKNOWN_CONFIDENCE
    exponent = math.fsum(chances) / (1 if attribute.values else len(chances))
    return min(1.0, math.exp(exponent))


def _chances(said: ParsedString, written: GeneratedText) -> Sequence[float]:
    """Return the log-probabilities of the tokens that a value is made of; empty if the model does not report them."""
    found: list[float] = []
    start = 0
    for piece, log_probability in written.pieces:
        # A character that a tokenizer breaks up is in no piece; what stands before it is still known.
        if start >= said.end or not written.text.startswith(piece, start):
            break
        start += len(piece)
        if start > said.start:
            found.append(log_probability)
    return found if start >= said.end else ()
