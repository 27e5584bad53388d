"""`modstream serve`: the service itself."""

import asyncio
from collections.abc import Callable, Coroutine

import typer

from service.cli.exits import ExitCode
from service.cli.options import ConfigOption, load_or_exit
from service.core.errors import FatalError, UnexpectedEndError
from service.settings.settings import Settings


def serve(config: ConfigOption = None) -> None:
    """Judge images: read upload events, publish verdicts and tags, until SIGTERM or Ctrl-C.

    The first signal stops reading and finishes the records in flight; a second one exits at once. Nothing is lost in
    either case.

    [bold]Examples[/]

      modstream serve --config modstream.yaml

      MODSTREAM_KAFKA__BOOTSTRAP_SERVERS=kafka:9092 modstream serve

    [bold]Exit codes[/]  0 drained and stopped · 2 wrong settings or policies · 3 fatal fault:
    nothing is lost, start it again
    """
    from service.cli.served_keys import check_keys_or_exit  # noqa: PLC0415 - the help need not load it
    from service.cli.served_policies import check_policies_or_exit  # noqa: PLC0415 - as above
    from service.telemetry.logs import configure_logging  # noqa: PLC0415 - as above

    loaded = load_or_exit(config)
    check_policies_or_exit(loaded)
    if loaded.settings.api.port:
        check_keys_or_exit(loaded)
    configure_logging(loaded.settings.telemetry)
    raise typer.Exit(_serve(loaded.settings))


def _serve(settings: Settings) -> ExitCode:
    from service.app.run import run_service  # noqa: PLC0415 - the help need not load it

    return run_to_the_end(lambda: run_service(settings))


def run_to_the_end(begin: Callable[[], Coroutine[None, None, None]]) -> ExitCode:
    """Run the service; its fatal errors become the last line of the log."""
    import structlog  # noqa: PLC0415 - the help need not load it
    import uvloop  # noqa: PLC0415 - as above

    from service.telemetry.foreign_errors import scrub_exception  # noqa: PLC0415 - as above

    log = structlog.get_logger(__name__)
    try:
        with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
            runner.run(begin())
    except FatalError as error:
        log.critical("service.fatal", error=error)
        return ExitCode.FATAL
    except Exception as error:  # a defect, too, ends with a documented exit code and a reason
        log.critical(
            "service.fatal", error=UnexpectedEndError(kind=type(error).__name__), exc_info=scrub_exception(error)
        )
        return ExitCode.FATAL
    return ExitCode.OK
