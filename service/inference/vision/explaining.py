"""Pure: the JSON Schema of explanations, and reading them from a model's text."""

from collections.abc import Mapping, Sequence
from typing import Any

from service.inference.vision.answers import plain, read_answer


def json_schema(categories: Sequence[str], *, max_chars: int) -> Mapping[str, Any]:
    """Return the JSON Schema of the answer, the categories in the order asked."""
    return {
        "type": "object",
        "properties": {category: {"type": "string", "maxLength": max_chars} for category in categories},
        "required": list(categories),
        "additionalProperties": False,
    }


def read_explanations(text: str, categories: Sequence[str], *, max_chars: int) -> Mapping[str, str]:
    """Return the words for each category that was asked about; leaves out what is missing, broken or empty."""
    said = read_answer(text).said
    words = {name: plain(said[name][0].text)[:max_chars].rstrip() for name in categories if said.get(name)}
    return {name: text for name, text in words.items() if text}
