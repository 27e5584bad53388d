"""Where the `modstream` command begins: nothing is imported before Ctrl-C is handled."""

import errno
import io
import os
import sys

_OUTPUT_ERRORS = {errno.EBADF, errno.EDQUOT, errno.EFBIG, errno.EIO, errno.ENOSPC}
"""What a write to standard output fails with, which no error names as a file."""


def run() -> None:
    """Run the command line."""
    try:
        for stream in (sys.stdout, sys.stderr):
            _write_escapes_for_what_it_cannot_show(stream)
        from service.cli.commands import app  # noqa: PLC0415 - an interrupted import shows no traceback either

        app()
    except KeyboardInterrupt:
        sys.exit(130)  # `ExitCode.INTERRUPTED`, whose import may be what was interrupted
    except OSError as error:
        if error.filename is None and error.errno not in _OUTPUT_ERRORS:
            raise
        _fail(error)


def _write_escapes_for_what_it_cannot_show(stream: object) -> None:
    """Let a stream that is not UTF-8 take every character; a closed one is None."""
    if isinstance(stream, io.TextIOWrapper):
        stream.reconfigure(errors="backslashreplace")


def _fail(error: OSError) -> None:
    """Report what the operating system refused: a full disk, a folder that cannot be written."""
    print(f"error: {error.filename or 'the output cannot be written'}: {error.strerror}", file=sys.stderr)  # noqa: T201 - the console may be what failed
    # What is left in the buffer would fail once more when Python ends.
    os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
    sys.exit(1)
