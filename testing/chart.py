"""The Helm chart as its tests use it: values in, manifests or helm's complaint out."""

import subprocess
from pathlib import Path
from typing import Any

import yaml

from scripts.chart.rendering import template_command

ROOT = Path(__file__).parents[1]
CHART = ROOT / "deploy" / "chart"

Manifest = dict[str, Any]


def helm(*arguments: str | Path) -> subprocess.CompletedProcess[str]:
    """Run helm."""
    return subprocess.run(["helm", *map(str, arguments)], capture_output=True, text=True, check=False)


def template(values: Path, *settings: str) -> subprocess.CompletedProcess[str]:
    """Render the chart with values from a file and `NAME=VALUE`s."""
    sets = [word for setting in settings for word in ("--set", setting)]
    return helm(*template_command(values)[1:], *sets)


def manifests(values: Path, *settings: str) -> dict[str, Manifest]:
    """Return what is rendered, by kind; of two of one kind as `Kind/name`."""
    answer = template(values, *settings)
    assert answer.returncode == 0, answer.stderr
    found = [manifest for manifest in yaml.safe_load_all(answer.stdout) if manifest]
    return {manifest["kind"]: manifest for manifest in reversed(found)} | {
        f"{manifest['kind']}/{manifest['metadata']['name']}": manifest for manifest in found
    }


def case(name: str) -> Path:
    """Return one of the files of example values."""
    return CHART / "ci" / f"{name}.yaml"
