"""Subcommands whose modules are imported when they are called, not when they are listed."""

import re
from collections.abc import Callable
from dataclasses import dataclass
from importlib import import_module
from typing import Any

import typer
from typer import BadParameter
from typer.core import TyperGroup

from service.core.validation_text import without_prefix

_OF_EVALUATION = frozenset({"duckdb", "jinja2", "markupsafe", "matplotlib", "pyarrow", "scipy", "sklearn", "sqlglot"})
"""Libraries that an installation of the service alone lacks."""


@dataclass(frozen=True, slots=True)
class Subcommand:
    """A subcommand's name, where its code is, and what the list of subcommands says about it."""

    name: str
    place: str
    """Module and attribute of a function or a `typer.Typer`, as in `service.cli.serve:serve`."""
    summary: str
    """The first sentence of its help."""
    panel: str | None = None
    """The list in the group's help that it stands in."""


class LazyGroup(TyperGroup):
    """A group of commands that imports those added by `add` when they are called."""

    def resolve_command(self, ctx: Any, args: list[str]) -> tuple[str | None, Any, list[str]]:
        """Return the name of the command that is called, the command, and the arguments that are left for it."""
        name, command, rest = super().resolve_command(ctx, args)
        return name, imported(command), rest

    def invoke(self, ctx: Any) -> Any:
        """Run the command that is called; wrong arguments are reported without pydantic's word for them."""
        try:
            return super().invoke(ctx)
        except BadParameter as error:
            error.message = without_prefix(error.message)
            raise
        except ModuleNotFoundError as error:
            if (missing := (error.name or "").partition(".")[0]) not in _OF_EVALUATION:
                raise
            from service.cli.options import fail  # noqa: PLC0415 - only here, and the help need not load it

            message = f"{missing} is missing: install the extra 'evaluation' of the package"
            raise fail(message) from None


def add(app: typer.Typer, subcommand: Subcommand) -> None:
    """Add a subcommand without importing it; the app's `cls` is `LazyGroup`."""
    app.command(subcommand.name, help=subcommand.summary, rich_help_panel=subcommand.panel)(_placeholder(subcommand))


def imported(command: Any) -> Any:
    """Return the command that a placeholder stands for, or the command itself if it is none."""
    callback = getattr(command, "callback", None)
    subcommand = getattr(callback, "subcommand", None)
    if subcommand is None:
        return command
    module, _, attribute = subcommand.place.partition(":")
    target = getattr(import_module(module), attribute)
    if isinstance(target, typer.Typer):
        group = typer.main.get_group(target)
        for inner in group.commands.values():
            inner.help = one_line_paragraphs(inner.help or "")
        return group
    alone = typer.Typer(add_completion=False)
    alone.command(subcommand.name)(target)
    found = typer.main.get_command(alone)
    found.help = one_line_paragraphs(found.help or "")
    return found


def one_line_paragraphs(text: str) -> str:
    """Return a help text without line ends inside of paragraphs: rich keeps those, and breaks long lines as well."""
    return re.sub(r"(?<=\S)\n[ \t]*(?=\S)", " ", text)


def _placeholder(subcommand: Subcommand) -> Callable[[], None]:
    def placeholder() -> None: ...

    placeholder.subcommand = subcommand  # type: ignore[attr-defined]  # a command keeps its callback's attributes
    return placeholder
