"""The Dockerfile and the manifests under the eyes of linters and scanners."""

import json
import shutil
import subprocess
from pathlib import Path

import pytest

from scripts.chart.rendering import EXPECTED

ROOT = Path(__file__).parents[2]

# Shows that the scanner looks at all.
CARELESS = """
apiVersion: v1
kind: Pod
metadata: {name: careless, namespace: x}
spec:
  containers:
    - {name: careless, image: "careless:1", securityContext: {privileged: true}}
"""


@pytest.mark.tool("hadolint")
def test_the_dockerfile_has_no_bad_habits() -> None:
    answer = subprocess.run(["hadolint", "Dockerfile"], cwd=ROOT, capture_output=True, text=True, check=False)
    assert answer.returncode == 0, answer.stdout


@pytest.mark.tool("checkov")
def test_the_scanner_finds_nothing_but_what_is_put_there(tmp_path: Path) -> None:
    shutil.copytree(EXPECTED, tmp_path / "manifests")
    shutil.copy(ROOT / "Dockerfile", tmp_path)
    (tmp_path / "careless.yaml").write_text(CARELESS, encoding="utf-8")
    config = ROOT / "deploy" / "checkov.yaml"
    command = ["checkov", f"--config-file={config}", f"--directory={tmp_path}", "--output=json"]
    answer = subprocess.run(command, capture_output=True, text=True, check=False)
    reports = {report["check_type"]: report["results"] for report in json.loads(answer.stdout)}
    assert reports.keys() == {"dockerfile", "kubernetes"}
    failed = [check for results in reports.values() for check in results["failed_checks"]]
    assert {check["resource"] for check in failed} == {"Pod.x.careless"}
    assert "CKV_K8S_16" in {check["check_id"] for check in failed}
