"""`modstream api`: the HTTP API without Kafka."""

from dataclasses import replace
from typing import Annotated

import typer

from service.cli.engine_choice import EngineOption, with_engine
from service.cli.exits import ExitCode
from service.cli.options import ConfigOption, error_console, errors_shown, load_or_exit
from service.cli.serve import run_to_the_end
from service.settings.settings import Settings

DEFAULT_PORT = 8080


def api(
    config: ConfigOption = None,
    *,
    port: Annotated[
        int | None,
        typer.Option(
            min=1, max=65_535, help=f"Port to listen on. Default: api.port of the settings, or {DEFAULT_PORT}."
        ),
    ] = None,
    engine: EngineOption = None,
) -> None:
    """Answer HTTP requests without Kafka, until SIGTERM or Ctrl-C.

    OpenAI's clients work with it once their base URL is changed. The page at / judges images that you drop on it, /docs
    describes all routes. Without a settings file the embedded CPU engine judges, and the API listens on this machine
    alone. Where the settings name no api.keys_file, the command makes a key for this run and prints it. --engine tiny
    answers chat completions without a GPU: a Qwen3-VL with a million parameters, which knows coloured shapes only.

    [bold]Examples[/]

      modstream api

      modstream api --config modstream.yaml --port 8000

      modstream api --engine tiny

      curl -H "Authorization: Bearer KEY" -F image=@photo.jpg http://127.0.0.1:8080/v1/verdicts

    [bold]Exit codes[/]  0 drained and stopped · 2 wrong settings or policies · 3 fatal fault
    """
    from service.cli.served_keys import check_keys_or_exit  # noqa: PLC0415 - the help need not load it
    from service.cli.served_policies import check_policies_or_exit  # noqa: PLC0415 - as above
    from service.telemetry.logs import configure_logging  # noqa: PLC0415 - as above

    loaded = load_or_exit(config)
    with errors_shown():
        loaded = replace(loaded, settings=with_engine(loaded.settings, engine))
    check_policies_or_exit(loaded)
    check_keys_or_exit(loaded)
    configure_logging(loaded.settings.telemetry)
    settings = loaded.settings
    chosen = port or settings.api.port or DEFAULT_PORT
    settings = settings.model_copy(update={"api": settings.api.model_copy(update={"port": chosen})})
    raise typer.Exit(_run(settings))


def _run(settings: Settings) -> ExitCode:
    from service.api.callers.api_keys import new_key  # noqa: PLC0415 - the help need not load it
    from service.app.run import run_api  # noqa: PLC0415 - as above

    api = settings.api
    if api.authentication == "none" or api.keys_file is not None:
        return run_to_the_end(lambda: run_api(settings))
    key = new_key()
    scheme = "http" if api.tls_certificate is None else "https"
    error_console().print(
        f"API key of this run: {key.text}\nPage to try it: {scheme}://{api.host}:{api.port}/#key={key.text}",
        highlight=False,
        soft_wrap=True,
    )
    return run_to_the_end(lambda: run_api(settings, key_of_this_run=key.entry))
