"""The Helm chart as its tests use it: values in, manifests or helm's complaint out."""

import shutil
import subprocess
from pathlib import Path
from typing import Any

import yaml

from scripts.chart.rendering import template_command

ROOT = Path(__file__).parents[1]
CHART = ROOT / "deploy" / "chart"

Manifest = dict[str, Any]

STREAM, API = "images-modstream", "images-modstream-api"
"""Names of the two components in the release that is rendered here."""


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


def pod(rendered: dict[str, Manifest], name: str = STREAM) -> dict[str, Any]:
    """Return the pod of a Deployment."""
    spec: dict[str, Any] = rendered[f"Deployment/{name}"]["spec"]["template"]["spec"]
    return spec


def pods(rendered: dict[str, Manifest]) -> dict[str, dict[str, Any]]:
    """Return the pods of all Deployments, by their names."""
    names = [name.partition("/")[2] for name in rendered if name.startswith("Deployment/")]
    return {name: pod(rendered, name) for name in names}


def settings_text(rendered: dict[str, Manifest]) -> str:
    """Return the settings file of the pods."""
    text: str = rendered["ConfigMap/images-modstream"]["data"]["modstream.yaml"]
    return text


def notes(folder: Path, values: Path) -> str:
    """Return what helm prints after an installation, which it prints only with a cluster: here as a manifest."""
    copy = shutil.copytree(CHART, folder / "modstream")
    text = (copy / "templates" / "NOTES.txt").read_text(encoding="utf-8")
    manifest = f'{{{{- define "notes" -}}}}{text}{{{{- end -}}}}\nnotes: {{{{ include "notes" . | toJson }}}}\n'
    (copy / "templates" / "notes.yaml").write_text(manifest, encoding="utf-8")
    answer = helm(
        "template", "images", copy, "--kube-version=1.37", "--values", values, "--show-only=templates/notes.yaml"
    )
    assert answer.returncode == 0, answer.stderr
    return str(yaml.safe_load(answer.stdout)["notes"])
