"""A group of commands with one that is meant where none is named: `modstream evaluate DATASET`."""

from typing import Any, ClassVar

from service.cli.lazy import LazyGroup


class DefaultCommandGroup(LazyGroup):
    """A lazy group; arguments that begin with none of its commands are those of its default one."""

    default: ClassVar[str] = "dataset"
    """The command that is meant where none is named."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        """Parse arguments after the name of the default command where they begin with none."""
        is_own = not args or args[0] in self.commands or args[0] in {"--help", "-h"}
        return super().parse_args(ctx, args if is_own else [self.default, *args])
