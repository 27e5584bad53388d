"""Pure: what the tiny model answered, as figures and tables."""

import json
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from statistics import fmean

from service.core.instructions import AttributeSchema, ModelInstructions
from service.inference.vision.labels import NONE, label_map
from testing.tiny_model.answers import categories, right_labels, right_tags
from testing.tiny_model.held_out import Judged, Sample
from testing.tiny_model.ways import WAYS, Finding, finding


def accuracy(judged: Sequence[Judged], instructions: ModelInstructions) -> float:
    """Return the share of images whose likeliest label is right."""
    return fmean(each.best in right_labels(each.sample.scene, instructions) for each in judged)


def harm_accuracy(judged: Sequence[Judged], instructions: ModelInstructions) -> float:
    """Return the share of right labels among images that show harm."""
    return accuracy([each for each in judged if categories(each.sample.scene, instructions)], instructions)


def answer_accuracy(judged: Sequence[Judged], instructions: ModelInstructions) -> float:
    """Return the share of yes/no questions that were answered right."""
    return fmean(
        (share > 0.5) == (name in categories(each.sample.scene, instructions))
        for each in judged
        for name, share in each.yes.items()
    )


def mean_mass(judged: Sequence[Judged]) -> float:
    """Return how much of the answers fell on labels."""
    return fmean(each.reading.mass for each in judged)


def tag_accuracy(written: Sequence[tuple[Sample, str]], instructions: ModelInstructions) -> Mapping[str, float]:
    """Return the share of images, by attribute, whose values are exactly the right ones."""
    attributes = instructions.attributes.attributes if instructions.attributes else ()
    right = {each.name: 0 for each in attributes}
    for sample, text in written:
        wanted, content = right_tags(sample.scene, instructions), _content(text)
        for each in attributes:
            values = content.get(each.key, ())
            right[each.name] += ((values,) if isinstance(values, str) else tuple(values)) == wanted[each.name]
    return {name: count / len(written) for name, count in right.items()}


def tags_schema(schema: AttributeSchema) -> dict[str, object]:
    """Return the JSON Schema of tags: a value, or a list of them, by key in the schema's order."""
    properties: dict[str, object] = {}
    for each in schema.attributes:
        one: dict[str, object] = {"type": "string", "enum": list(each.values)}
        several = {"type": "array", "items": one, "maxItems": each.most}
        properties[each.key] = (one if each.most == 1 else several) if each.values else {"type": "string"}
    return {"type": "object", "properties": properties, "required": [*properties], "additionalProperties": False}


def reasons_schema(names: Sequence[str]) -> dict[str, object]:
    """Return the JSON Schema of reasons: a text by category."""
    properties = {name: {"type": "string"} for name in names}
    return {"type": "object", "properties": properties, "required": [*names], "additionalProperties": False}


def confusion(judged: Iterable[Judged], instructions: ModelInstructions) -> str:
    """Return a table: drawn categories down, answered ones across; of images with one category or none."""
    names = list(label_map(instructions).values())
    single = [each for each in judged if len(categories(each.sample.scene, instructions)) < 2]
    counts = Counter(_pair(each, instructions) for each in single)
    rows = [f"| {drawn} | {' | '.join(str(counts[drawn, said]) for said in names)} |" for drawn in names]
    return "\n".join([f"| drawn | {' | '.join(names)} |", "|---" * (len(names) + 1) + "|", *rows])


def ways_table(by_set: Mapping[str, Sequence[Judged]], instructions: ModelInstructions) -> str:
    """Return the table of the ways to scores on several sets of images."""
    head = "| images | way | precision | recall | worst precision, recall | both found | tokens an image |"
    return "\n".join([head, "|---" * 7 + "|", *_ways_rows(by_set, instructions)])


def _ways_rows(by_set: Mapping[str, Sequence[Judged]], instructions: ModelInstructions) -> Iterator[str]:
    for title, judged in by_set.items():
        truth = [frozenset(categories(each.sample.scene, instructions)) for each in judged]
        for name, way in WAYS.items():
            found = finding([way(each, instructions) for each in judged], truth)
            yield f"| {title} | {name} | {_figures(found)} |"


def _figures(found: Finding) -> str:
    precision, recall = ([*each.values()] for each in (found.precision, found.recall))
    means = [f"{fmean(precision):.3f}", f"{fmean(recall):.3f}"]
    both = "-" if found.both_found is None else f"{found.both_found:.3f}"
    return " | ".join([*means, f"{min(precision):.3f}, {min(recall):.3f}", both, f"{found.tokens_an_image:.2f}"])


def _pair(judged: Judged, instructions: ModelInstructions) -> tuple[str, str]:
    drawn = categories(judged.sample.scene, instructions)
    return (drawn[0] if drawn else NONE), label_map(instructions)[judged.best]


def _content(text: str) -> dict[str, str | list[str]]:
    try:
        content: dict[str, str | list[str]] = json.loads(text)
    except ValueError:
        return {}
    return content
