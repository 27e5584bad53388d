"""Measures an adapter for the command, and writes what was measured into its folder."""

import asyncio
from pathlib import Path

import typer

from service.cli.evaluate_compare_table import print_comparison
from service.cli.evaluate_run import shown_progress
from service.cli.exits import ExitCode
from service.cli.options import error_console, output_console, warn
from service.inference.adapter_card import read_card
from service.settings.settings import Settings
from service.telemetry.logs import configure_logging
from service.tools.evaluation.calibration.calibrate import calibration_text
from service.tools.evaluation.report.whole_file import write_whole
from service.tools.finetuning.examples import open_prepared
from service.tools.finetuning.measuring import AFTER_FILE, BEFORE_FILE, CALIBRATION_FILE, Measurement, measure
from service.tools.finetuning.training_errors import OutputFolderError
from service.tools.finetuning.written_card import write_card


def evaluated(settings: Settings, folder: Path, prepared: Path, policy: Path) -> Measurement:
    """Judge, and write calibration and card; raises `FatalError`."""
    data = open_prepared(prepared)
    card = read_card(folder)
    if card is None:
        detail = "it has no modstream.json: name a folder of 'modstream finetune train'"
        raise OutputFolderError(folder=folder, detail=detail)
    if card.data_hash != data.manifest.data_hash:
        detail = f"the adapter was trained on other data than {prepared} holds: name the folder that it was trained on"
        raise OutputFolderError(folder=folder, detail=detail)
    configure_logging(settings.telemetry)
    try:
        found = asyncio.run(measure(settings, data, folder, card=card, policy=policy, progress=shown_progress))
    except (KeyboardInterrupt, asyncio.CancelledError):
        error_console().print(f"stopped: the same command goes on with the verdicts in {folder}", highlight=False)
        raise typer.Exit(ExitCode.INTERRUPTED) from None
    changes = {"measured": found.measured, "calibration": CALIBRATION_FILE if found.calibration else None}
    if found.calibration is not None:
        write_whole(folder / CALIBRATION_FILE, calibration_text(found.calibration).encode())
    write_card(folder, card.model_copy(update=changes))
    return found


def print_measurement(found: Measurement, folder: Path) -> None:
    """Print the comparison, and what to do next."""
    print_comparison(found.comparison)
    console = output_console()
    if found.calibration is None:
        warn("no category has 32 positive and 32 negative images of the split for validation: there is no calibration")
    else:
        console.print(
            f"{folder / CALIBRATION_FILE}: the setting policy.calibration names it, once the policy has the adapter"
        )
    console.print(f"{folder / 'README.md'}: the model card")
    console.print(f"  modstream evaluate compare {folder / BEFORE_FILE} {folder / AFTER_FILE} -c modstream.yaml")
