"""Pure: the same figures for parts of a dataset: by tenant, and by the values of every further column."""

from collections.abc import Mapping, Sequence

from service.tools.evaluation.quality.outcomes import JudgedExample

MAX_VALUES = 20
"""A column with more values is an id or a text and no property."""

TENANT = "tenant"


Slices = Mapping[str, Mapping[str, Sequence[JudgedExample]]]
"""Examples by column and value."""


def slices(judged: Sequence[JudgedExample]) -> tuple[Slices, Sequence[str]]:
    """Return the examples by column and value, and the columns with too many values for slices.

    A column with one value alone is no slice.
    """
    found: dict[str, dict[str, list[JudgedExample]]] = {}
    for each in judged:
        for column, value in {TENANT: each.example.tenant, **each.example.columns}.items():
            found.setdefault(column, {}).setdefault(value, []).append(each)
    usable = {column: values for column, values in found.items() if 1 < len(values) <= MAX_VALUES}
    return usable, sorted(column for column, values in found.items() if len(values) > MAX_VALUES)
