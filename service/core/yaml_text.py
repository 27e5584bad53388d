"""YAML as plain data: every text that cannot be read raises `yaml.YAMLError`, whatever is wrong with it.

PyYAML lets errors of Python through for values such as `2024-02-30`, and bounds neither the depth of a text nor what
its aliases stand for: 500 bytes can stand for billions of values.
"""

from dataclasses import dataclass
from typing import cast

import yaml

MAX_CHARACTERS = 1024 * 1024
"""Reading so many takes seconds, and up to 700 bytes of memory each."""

MAX_LEVELS = 64
"""Mappings and lists inside each other, counted through aliases."""

MAX_ALIASED = 10_000
"""Values that all aliases of a text stand for."""


def compose(text: str) -> yaml.Node | None:
    """Return the root of a text's nodes, which know their lines; None for an empty text. Raises `yaml.YAMLError`."""
    if len(text) > MAX_CHARACTERS:
        detail = f"the text has more than {MAX_CHARACTERS:,} characters"
        raise yaml.composer.ComposerError(None, None, detail, yaml.Mark("", 0, 0, 0, None, 0))
    return yaml.compose(text, Loader=_Loader)


def construct(node: yaml.Node) -> object:
    """Return the value of a composed node. Raises `yaml.YAMLError`."""
    # Only the node is used: the loader's own stream stays empty.
    return _Loader("").construct_object(node, deep=True)


def load(text: str) -> object:
    """Return the value of a text; None for an empty one. Raises `yaml.YAMLError`."""
    # Its own nodes: construction merges `<<` into them.
    node = compose(text)
    return None if node is None else construct(node)


@dataclass(slots=True)
class _Extent:
    """A node with all that is in it."""

    values: int = 1
    levels: int = 1

    def add(self, inner: "_Extent") -> None:
        self.values += inner.values
        self.levels = max(self.levels, inner.levels + 1)


class _Loader(yaml.SafeLoader):
    """PyYAML's loader of plain data, with bounds."""

    def __init__(self, text: str) -> None:
        super().__init__(text)
        self._open: list[_Extent] = []
        """The nodes around the present one, from the root."""
        self._extents: dict[yaml.Node, _Extent] = {}
        self._aliased = 0

    def compose_node(self, parent: yaml.Node | None, index: int) -> yaml.Node:
        is_alias = self.check_event(yaml.AliasEvent)
        mark = self.peek_event().start_mark  # type: ignore[no-untyped-call]  # the stubs leave it out
        self._check_levels(len(self._open) + 1, mark)
        self._open.append(_Extent())
        node = cast("yaml.Node", super().compose_node(parent, index))
        extent = self._open.pop()
        if is_alias:
            extent = self._of_alias(node, mark)
        self._check_levels(len(self._open) + extent.levels, mark)
        self._extents[node] = extent
        if self._open:
            self._open[-1].add(extent)
        return node

    def _of_alias(self, node: yaml.Node, mark: yaml.Mark) -> _Extent:
        extent = self._extents.get(node)
        if extent is None:
            raise yaml.composer.ComposerError(None, None, "an alias stands inside of what it stands for", mark)
        self._aliased += extent.values
        if self._aliased > MAX_ALIASED:
            raise yaml.composer.ComposerError(None, None, f"aliases stand for more than {MAX_ALIASED:,} values", mark)
        return extent

    def _check_levels(self, levels: int, mark: yaml.Mark) -> None:
        if levels > MAX_LEVELS:
            raise yaml.composer.ComposerError(None, None, f"more than {MAX_LEVELS} levels", mark)

    def construct_object(self, node: yaml.Node, deep: bool = False) -> object:
        try:
            if isinstance(node, yaml.ScalarNode):
                node.value.encode()  # half of a pair of surrogates is no text
            return super().construct_object(node, deep)
        except (ValueError, LookupError, AttributeError):
            # A date such as 2024-02-30, 5,000 digits, or `!!bool maybe`.
            detail = "the value cannot be read; text is written in quotation marks"
            raise yaml.constructor.ConstructorError(None, None, detail, node.start_mark) from None


def _construct_date(loader: _Loader, node: yaml.ScalarNode) -> object:
    return loader.construct_yaml_timestamp(node)


# Makes the table of constructors this loader's own. A library that vLLM imports replaces the entry for dates in that of
# PyYAML, and a text would be read otherwise once vLLM is loaded.
_Loader.add_constructor("tag:yaml.org,2002:timestamp", _construct_date)
