"""The options that plan with a cheaper first pass."""

from typing import Annotated

import typer

from service.cli.exits import ExitCode
from service.cli.named_hardware import model_named
from service.cli.options import fail
from service.tools.planning.first_pass import FirstPass, FirstPassError, FirstPassPlan, plan_first_pass
from service.tools.planning.plan import GpuPlan

_PANEL = "A cheaper first pass"

FirstPassTokensOption = Annotated[
    int | None,
    typer.Option(min=1, max=16384, rich_help_panel=_PANEL, help="Vision tokens of the first pass, such as 64."),
]
FirstPassModelOption = Annotated[
    str | None,
    typer.Option(
        metavar="SIZE",
        rich_help_panel=_PANEL,
        help="A smaller model for the first pass, on cards of its own. Default: the same engine.",
    ),
]
ClearedOption = Annotated[
    float | None,
    typer.Option(
        min=0.0,
        max=1.0,
        rich_help_panel=_PANEL,
        help="Share of images that the first pass clears; 'modstream thresholds' measures it on your images.",
    ),
]


def first_pass_of(tokens: int | None, model: str | None, cleared: float | None) -> FirstPass | None:
    """Return the first pass that the options mean, or fail as wrong usage; None without one."""
    if cleared is None:
        if tokens is None and model is None:
            return None
        raise fail("--cleared: give the share of images that the first pass clears, such as 0.8", code=ExitCode.USAGE)
    if tokens is None and model is None:
        raise fail("--cleared: give --first-pass-tokens, --first-pass-model or both with it", code=ExitCode.USAGE)
    return FirstPass(cleared, tokens, None if model is None else model_named(model, "--first-pass-model"))


def planned_first_pass(plan: GpuPlan, first: FirstPass | None) -> FirstPassPlan | None:
    """Return what a first pass is worth, or fail as wrong usage; None without one, or where the model does not fit."""
    if first is None:
        return None
    try:
        return plan_first_pass(plan, first)
    except FirstPassError as error:
        raise fail(str(error), code=ExitCode.USAGE) from None
