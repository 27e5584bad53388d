"""The models that a card may run, in a terminal and in docs/engine.md."""

from collections.abc import Iterator, Mapping, Sequence

from rich.table import Table

from service.tools.planning.choices import ModelChoice, choices
from service.tools.planning.cost_tables import money
from service.tools.planning.gpus import find_gpu
from service.tools.planning.models import DEFAULT_MODEL, short_name
from service.tools.planning.overview import rate
from service.tools.planning.plan_tables import plain_table
from service.tools.planning.workload import Workload

# Cards that docs/engine.md compares the models on, with round prices of rented ones, in US dollars an hour.
SHOWN = {"RTX 4090": 0.4, "L4": 0.7, "H100": 2.5}
_HEADER = (
    "| Card | USD an hour | Model | Take | Images/s | with tags for all | USD per 1,000 | as fast as 8B |",
    "|---|---:|---|---|---:|---:|---:|---:|",
)
_NOTHING = "–"


def choices_table(found: Sequence[ModelChoice], gpu_hour: float, currency: str = "") -> Table:
    """Return the models with their rates and what 1,000 images cost on a card that is always busy."""
    table = plain_table()
    table.add_column("model")
    table.add_column("take", no_wrap=True)
    for name in (
        "images/s",
        "all tagged",
        " ".join(f"per 1,000, at {gpu_hour:.2f} {currency} an hour".split()),
        "as fast as 8B",
    ):
        table.add_column(name, justify="right")
    for each in found:
        table.add_row(*_cells(each, found, gpu_hour))
    return table


def choices_markdown(work: Workload) -> str:
    """Return the models on some cards as a Markdown table."""
    rows = (row for name, gpu_hour in SHOWN.items() for row in _rows(name, gpu_hour, work))
    return "".join(f"{line}\n" for line in (*_HEADER, *rows))


def priced(found: Sequence[ModelChoice], gpu_hour: float) -> Sequence[Mapping[str, object]]:
    """Return the models with their prices, for scripts."""
    return [
        {
            "model": each.model.name,
            "precision": each.precision,
            "images_per_s": each.images_per_s,
            "with_tags_per_s": each.with_tags_per_s,
            "per_1000": each.per_1000(gpu_hour),
        }
        for each in found
    ]


def _rows(name: str, gpu_hour: float, work: Workload) -> Iterator[str]:
    found = choices(find_gpu(name), work)
    for each in found:
        yield f"| {' | '.join((name, f'{gpu_hour:.2f}', *_cells(each, found, gpu_hour)))} |"


def _cells(each: ModelChoice, found: Sequence[ModelChoice], gpu_hour: float) -> Iterator[str]:
    yield short_name(each.model)
    if each.precision is None:
        yield from ("does not fit", *[_NOTHING] * 4)
        return
    usual = next((other.images_per_s for other in found if short_name(other.model) == DEFAULT_MODEL), 0.0)
    yield each.precision
    yield rate(each.images_per_s)
    yield rate(each.with_tags_per_s)
    yield money(each.per_1000(gpu_hour))
    yield f"{each.images_per_s / usual:.1f} ×" if usual else _NOTHING
