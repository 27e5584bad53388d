"""What helm makes of the chart with each of the example values."""

import re
import subprocess
from pathlib import Path

from scripts.chart.values_schema import CHART

# helm assumes an old one when it cannot ask a cluster.
KUBERNETES = "1.37"

# Prometheus's rules within their manifest, which a test compares with the file that they are copied from.
_RULES = re.compile(r"(?<=\nkind: PrometheusRule\n)(?P<head>.*?\nspec:\n).*?(?=---\n)", re.DOTALL)

EXPECTED = CHART.parents[1] / "tests" / "deploy" / "golden"


def cases() -> list[Path]:
    """Return the files of example values."""
    return sorted((CHART / "ci").glob("*.yaml"))


def template_command(values: Path) -> list[str]:
    """Return how helm is asked."""
    release = ["images", str(CHART), "--namespace=moderation"]
    return ["helm", "template", *release, f"--kube-version={KUBERNETES}", f"--values={values}"]


def render(values: Path) -> str:
    """Return the manifests; raises `CalledProcessError` with what helm says."""
    return subprocess.run(template_command(values), check=True, capture_output=True, text=True).stdout  # noqa: S603 - our own arguments


def reviewed(manifests: str) -> str:
    """Return of rendered manifests what is committed for review: all but Prometheus's rules."""
    return _RULES.sub(r"\g<head>", manifests)
