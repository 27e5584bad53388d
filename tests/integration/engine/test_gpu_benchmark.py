"""The measurement of a GPU's shares, rehearsed on a CPU: PyTorch comes with vLLM."""

import json
import os
import subprocess
import sys
from pathlib import Path


def test_a_rehearsal_measures_every_share_and_prints_the_cards_entry(tmp_path: Path) -> None:
    kept = tmp_path / "card.jsonl"
    command = [sys.executable, "-m", "benchmarks.gpu", "--tiny", "--out", str(kept)]
    printed = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    card, *lines = map(json.loads, kept.read_text(encoding="utf-8").splitlines())
    assert card["card"] == "cpu, rehearsal"
    assert {line["what"] for line in lines} == {"bf16", "fp8", "encoder", "bandwidth"}
    assert all(line["seconds"] > 0 for line in lines)
    assert "measured=MeasuredShares(" in printed.splitlines()[-1]


def test_without_a_gpu_it_says_so() -> None:
    hidden = {"CUDA_VISIBLE_DEVICES": ""}
    command = [sys.executable, "-m", "benchmarks.gpu"]
    refused = subprocess.run(command, capture_output=True, text=True, check=False, env=os.environ | hidden)
    assert refused.returncode == 1
    assert "no NVIDIA GPU" in refused.stderr
