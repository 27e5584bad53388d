"""`modstream try` and `modstream engine try`: a first verdict, and a machine's rate, without Kafka."""

import asyncio
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console

from service.cli.as_json import as_json_line
from service.cli.engine_choice import EngineOption, with_engine
from service.cli.exits import ExitCode
from service.cli.options import ConfigOption, errors_shown, load_or_exit
from service.cli.stderr_tail import stderr_tail
from service.cli.targets import left_out_in_words, uploads_or_exit
from service.client.upload_events import Upload, UploadOptions
from service.inference.errors import EngineConfigurationError
from service.inference.vllm.memory_advice import memory_advice
from service.settings.settings import Settings
from service.tools.demo.fitted_table import print_table
from service.tools.demo.tables import MAX_ROWS, dead_letter_columns, print_more, verdict_columns, verdict_row
from service.tools.demo.tiny_model import PICTURES

if TYPE_CHECKING:
    from service.client.offline import OfflineRun, Tried
    from service.settings.load import LoadedSettings

PHOTOGRAPHS = Path(__file__).parents[1] / "tools" / "demo" / "photographs"
"""Judged if no file is named."""

TagsOption = Annotated[bool, typer.Option("--tags", help="Request tags as well.")]
PolicyOption = Annotated[str | None, typer.Option(help="Name of a policy. Default: the setting policy.default.")]
CaptionOption = Annotated[str | None, typer.Option(help="Text shown with every image.")]
JsonOption = Annotated[bool, typer.Option("--json", help="Print one JSON object an image, and one for the rate.")]


def try_files(
    targets: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="PATH-or-URL…", help="Files, folders, or URLs: http(s), s3. Default: pictures of the package."
        ),
    ] = None,
    config: ConfigOption = None,
    *,
    engine: EngineOption = None,
    tags: TagsOption = False,
    policy: PolicyOption = None,
    caption: CaptionOption = None,
    json: JsonOption = False,
) -> None:
    """Judge files without Kafka and without a settings file; nothing is published.

    Without files, the command judges photographs of the package. --engine tiny runs Qwen3-VL's architecture with a
    million parameters, on pictures and a policy of the package. This model knows coloured shapes only, which that
    policy lets stand for categories: it shows all stages of a vision-language model, not the quality of a real one.

    [bold]Examples[/]

      modstream try

      modstream try photo.jpg ~/Pictures --tags

      modstream try --engine tiny

    [bold]Exit codes[/]  0 all were judged · 1 some were not, or the engine cannot start · 2 wrong arguments or settings
    """
    loaded = load_or_exit(config)
    with errors_shown():
        loaded = replace(loaded, settings=with_engine(loaded.settings, engine))
    pictures = PICTURES if engine == "tiny" else PHOTOGRAPHS
    options = UploadOptions(("moderation", "tags") if tags else ("moderation",), policy=policy, caption=caption)
    _try(loaded, targets or [str(path) for path in sorted(pictures.glob("*.[jp][pn]g"))], options, json=json)


def try_images(
    targets: Annotated[list[str], typer.Argument(metavar="PATH-or-URL…", help="Files, folders, or URLs: http(s), s3.")],
    config: ConfigOption = None,
    *,
    tags: TagsOption = False,
    policy: PolicyOption = None,
    caption: CaptionOption = None,
    json: JsonOption = False,
) -> None:
    """Judge images with the engine of 'modstream serve', without Kafka; nothing is published.

    The last line is the rate. To measure a rate, use some hundred different images and an idle machine, because the
    model's caches hold repeated images.

    [bold]Examples[/]

      modstream engine try photo.jpg -c modstream.yaml

      modstream engine try ~/Pictures -c modstream.yaml --tags

    [bold]Exit codes[/]  0 all were judged · 1 some were not, or the engine cannot start · 2 wrong arguments or settings
    """
    loaded = load_or_exit(config)
    options = UploadOptions(("moderation", "tags") if tags else ("moderation",), policy=policy, caption=caption)
    _try(loaded, targets, options, json=json)


def _try(loaded: "LoadedSettings", targets: Sequence[str], options: UploadOptions, *, json: bool) -> None:
    from service.cli.served_policies import check_policies_or_exit  # noqa: PLC0415 - the help need not load it
    from service.telemetry.logs import configure_logging  # noqa: PLC0415 - as above

    check_policies_or_exit(loaded)
    settings = loaded.settings
    configure_logging(settings.telemetry)
    found = uploads_or_exit(targets, options)
    with errors_shown(), _memory_errors_explained(settings):
        trial = asyncio.run(_judged(settings, found.uploads, options))
    if json:
        _print_json(trial, left_out=len(found.unusable))
    else:
        _print_tables(trial, left_out=len(found.unusable))
    raise typer.Exit(ExitCode.OK if trial.is_complete and found.is_complete else ExitCode.FAILED)


@contextmanager
def _memory_errors_explained(settings: Settings) -> Iterator[None]:
    """Name the setting to change where vLLM's processes said that memory is short before they ended."""
    if settings.engine.kind != "vllm":
        yield
        return
    with stderr_tail() as written:
        try:
            yield
        except EngineConfigurationError as error:
            if (advice := memory_advice(f"{error} {written()}")) is None:
                raise
            raise EngineConfigurationError(setting=advice.setting, detail=advice.detail) from error


async def _judged(settings: Settings, uploads: Sequence[Upload], options: UploadOptions) -> "OfflineRun":
    from service.app.run import moderation_alone  # noqa: PLC0415 - the help need not load engine and decoders
    from service.client.offline import judge_all  # noqa: PLC0415 - as above

    async with moderation_alone(settings) as moderator:
        return await judge_all(moderator, uploads, options, settings.topics, in_flight=settings.window.max_records)


def _print_tables(trial: "OfflineRun", *, left_out: int) -> None:
    console = Console()
    shown = trial.images[:MAX_ROWS]
    rows = [verdict_row(each.image_id, each.verdict, each.tags) for each in shown if each.verdict is not None]
    dead_letters = [each.dead_letter for each in shown if each.dead_letter is not None]
    if rows:
        print_table(console, verdict_columns(rows), title="Verdicts")
    if dead_letters:
        print_table(console, dead_letter_columns(dead_letters), title="Not judged")
    print_more(console, len(trial.images))
    console.print(f"{_rate_in_words(trial)}{left_out_in_words(left_out)}", highlight=False)


def _print_json(trial: "OfflineRun", *, left_out: int) -> None:
    for each in trial.images:
        typer.echo(as_json_line(_json(each)))
    rate = {
        "images": len(trial.images),
        "left_out": left_out,
        "seconds": trial.seconds,
        "images_per_s": trial.images_per_s,
    }
    typer.echo(as_json_line(rate))


def _json(tried: "Tried") -> dict[str, object]:
    dead_letter = tried.dead_letter
    return {
        "image_id": tried.image_id,
        "verdict": tried.verdict.model_dump(mode="json") if tried.verdict else None,
        "tags": tried.tags.model_dump(mode="json") if tried.tags else None,
        "not_judged": {"reason": dead_letter.reason, "message": dead_letter.message} if dead_letter else None,
    }


def _rate_in_words(trial: "OfflineRun") -> str:
    images = "1 image" if len(trial.images) == 1 else f"{len(trial.images)} images"
    return f"{images} in {trial.seconds:.1f} s: {trial.images_per_s:.1f} images/s"
