"""Exit codes, documented in `modstream --help` and relied upon by supervisors."""

from enum import IntEnum

from service.core.errors import EXIT_FATAL


class ExitCode(IntEnum):
    """Exit codes of every subcommand."""

    OK = 0
    FAILED = 1
    """The command understood what it should do and could not."""
    USAGE = 2
    """Wrong arguments or settings: the same command fails again until they are mended."""
    FATAL = EXIT_FATAL
    """`serve` met a fault that it cannot go on with. Nothing is lost: start it again."""
    INTERRUPTED = 130
    """Ctrl-C ended it, as shells report of a program that SIGINT ended."""
