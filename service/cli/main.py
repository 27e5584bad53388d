"""Where the `modstream` command begins: nothing is imported before Ctrl-C is handled."""

import sys


def run() -> None:
    """Run the command line."""
    try:
        from service.cli.commands import app  # noqa: PLC0415 - an interrupted import shows no traceback either

        app()
    except KeyboardInterrupt:
        sys.exit(130)  # `ExitCode.INTERRUPTED`, whose import may be what was interrupted
