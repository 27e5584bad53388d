"""`modstream evaluate compare`: whether one of two engines or policies is better, or was lucky."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from service.cli.as_json import as_json
from service.cli.evaluate_files import write_or_exit
from service.cli.options import ConfigOption, errors_shown, load_or_exit
from service.cli.served_policies import check_policies_or_exit
from service.policy.loader import load_policies

if TYPE_CHECKING:
    from service.tools.evaluation.quality.compare import Side


def compare(
    first: Annotated[Path, typer.Argument(metavar="A", help="File of predictions.", exists=True, dir_okay=False)],
    second: Annotated[Path, typer.Argument(metavar="B", help="Another one.", exists=True, dir_okay=False)],
    config: ConfigOption = None,
    *,
    second_config: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="YAML file of settings with the policies for B. Default: those for A."),
    ] = None,
    policy: Annotated[str | None, typer.Option(help="Name of a policy. Default: as 'modstream evaluate'.")] = None,
    json: Annotated[Path | None, typer.Option(metavar="FILE", help="Write all figures as JSON.")] = None,
    report: Annotated[Path | None, typer.Option(metavar="FILE", help="Write an HTML report.")] = None,
) -> None:
    """Compare two files of predictions that 'modstream evaluate' wrote for the same labelled images.

    McNemar's exact test looks at the images that only one of the two judged as labelled. Its p-values are corrected by
    Holm's method for the number of categories: one of twenty is below 0.05 by chance alone. Differences of precision,
    recall, F1 and average precision have 95 % intervals by a paired bootstrap; they are not corrected.

    Both are decided by the policies of today's settings. Images that one of the two did not judge are left out.

    [bold]Examples[/]

      modstream evaluate dataset photos/ --predictions onnx.jsonl

      modstream evaluate dataset photos/ -c vllm.yaml --predictions vllm.jsonl

      modstream evaluate compare onnx.jsonl vllm.jsonl --report difference.html

    [bold]Exit codes[/]  0 compared, whatever the difference · 1 the files are not about the same images, or cannot be
    used · 2 wrong arguments or settings
    """
    from service.cli.evaluate_compare_table import print_comparison  # noqa: PLC0415 - the help need not load it
    from service.tools.evaluation.quality.compare import compare as compared  # noqa: PLC0415 - loads NumPy and SciPy

    with errors_shown():
        found = compared(_side(first, config, policy), _side(second, second_config or config, policy))
    print_comparison(found)
    if json is not None:
        write_or_exit(json, as_json(found) + "\n")
    if report is not None:
        from service.tools.evaluation.quality.comparison_report import comparison_report  # noqa: PLC0415 - loads Jinja

        write_or_exit(report, comparison_report(found))


def _side(path: Path, config: Path | None, policy: str | None) -> "Side":
    from service.tools.evaluation.quality.compare import Side  # noqa: PLC0415 - the help need not load it
    from service.tools.evaluation.quality.prediction_file import read_predictions  # noqa: PLC0415 - as above

    loaded = load_or_exit(config)
    check_policies_or_exit(loaded)
    policies = load_policies(loaded.settings.policy)
    policies.select(policy)
    return Side(str(path), [*read_predictions(path)], lambda example: policies.select(policy, tenant=example.tenant))
