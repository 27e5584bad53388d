"""Pictures of scenarios: what came and what was judged, what waited, how long, and how many processes there were."""

from collections.abc import Iterator, Sequence
from pathlib import Path

import matplotlib as mpl
import numpy as np

mpl.use("Agg")

from matplotlib import pyplot as plt
from matplotlib.axes import Axes

from service.tools.planning.simulation.fleet import Sample
from service.tools.planning.simulation.scenarios import Result, latencies_of
from service.tools.planning.simulation.statistics import percentiles

POINTS = 180
INCHES, DOTS_AN_INCH = (8.0, 6.4), 80
OFFERED, JUDGED, SLOW = "#7a869a", "#1f6f8b", "#c8553d"
# Longer ones have hours on their axis.
HOURS_FROM_S = 20_000.0
MINUTE_S, HOUR_S = 60.0, 3600.0


def draw(result: Result, inside: Sequence[float], target_s: float, folder: Path) -> Path:
    """Draw one scenario into the folder and return the file."""
    figure, axes = plt.subplots(4, 1, figsize=INCHES, sharex=True, height_ratios=(3, 2, 3, 1.6))
    figure.suptitle(result.scenario.title, fontsize=11)
    unit_s = HOUR_S if result.scenario.duration_s > HOURS_FROM_S else MINUTE_S
    spans = list(_spans(result))
    moments = [span[-1].at_s / unit_s for span in spans]
    _rates(axes[0], moments, spans, result)
    axes[1].fill_between(moments, [max(sample.lag for sample in span) for span in spans], color=JUDGED, alpha=0.6)
    axes[1].set(ylabel="records\nwaiting", ylim=(0, None))
    axes[1].ticklabel_format(style="plain", axis="y")
    _latencies(axes[2], moments, [percentiles(latencies_of(span, inside).items()) for span in spans], target_s)
    axes[3].step(moments, [span[-1].processes for span in spans], where="post", color=JUDGED)
    axes[3].set(ylabel="processes", ylim=(0, 1.15 * result.most_processes))
    axes[3].set_xlabel("minute" if unit_s == MINUTE_S else "hour")
    for each in axes:
        each.grid(visible=True, alpha=0.25)
    figure.tight_layout()
    path = folder / f"capacity-{result.scenario.name}.png"
    figure.savefig(path, dpi=DOTS_AN_INCH, metadata={"Software": None})
    plt.close(figure)
    return path


def _spans(result: Result) -> Iterator[Sequence[Sample]]:
    samples = result.samples
    size = max(1, len(samples) // POINTS)
    return (samples[first : first + size] for first in range(0, len(samples), size))


def _rates(axes: Axes, moments: Sequence[float], spans: Sequence[Sequence[Sample]], result: Result) -> None:
    tick_s = result.scenario.settings.tick_s
    for name, colour in (("offered", OFFERED), ("judged", JUDGED)):
        rates = [np.mean([getattr(sample, name) for sample in span]) / tick_s for span in spans]
        axes.plot(moments, rates, color=colour, label=name, linewidth=1.6)
    axes.set(ylabel="images/s", ylim=(0, None))
    axes.legend(loc="best", fontsize=7)


def _latencies(axes: Axes, moments: Sequence[float], shares: Sequence[tuple[float, ...]], target_s: float) -> None:
    axes.plot(moments, [p50 for p50, _ in shares], color=JUDGED, label="median")
    axes.plot(moments, [p99 for _, p99 in shares], color=SLOW, label="99th percentile")
    axes.axhline(target_s, color=OFFERED, linestyle=":", label=f"target {target_s:g} s")
    axes.set(yscale="log", ylabel="s until\nthe verdict")
    axes.legend(loc="best", fontsize=7)


def draw_agreement(
    simulated: Sequence[tuple[float, float]], measured: Sequence[tuple[float, float]], path: Path
) -> None:
    """Draw each image's latency, as simulated and as measured."""
    figure, axes = plt.subplots(figsize=(8.0, 3.4))
    for name, pairs, colour in (("measured", measured, SLOW), ("simulated", simulated, JUDGED)):
        thinned = list(pairs)[:: max(1, len(pairs) // 1500)]
        axes.plot(*zip(*thinned, strict=True), ".", markersize=2.5, alpha=0.7, color=colour, label=name)
    axes.set(xlabel="second of the upload", ylabel="s until the verdict", ylim=(0, None))
    axes.legend(loc="upper right", fontsize=8, markerscale=4)
    axes.grid(visible=True, alpha=0.25)
    figure.tight_layout()
    figure.savefig(path, dpi=DOTS_AN_INCH, metadata={"Software": None})
    plt.close(figure)
