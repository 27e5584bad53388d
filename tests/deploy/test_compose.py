"""compose.yaml and what it mounts: valid, pinned, and closed to the network."""

import json
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml

ROOT = Path(__file__).parents[2]
PROMETHEUS = ROOT / "deploy" / "prometheus" / "prometheus.yml"
GRAFANA = ROOT / "deploy" / "grafana" / "provisioning"


def composed(*options: str) -> dict[str, Any]:
    """Return what docker compose makes of the file."""
    answer = subprocess.run(
        ["docker", "compose", *options, "config", "--format", "json"], cwd=ROOT, capture_output=True, check=False
    )
    assert answer.returncode == 0, answer.stderr.decode()
    services: dict[str, Any] = json.loads(answer.stdout)["services"]
    return services


OBSERVING = {"collector", "grafana", "jaeger", "prometheus"}


@pytest.mark.docker
def test_up_alone_starts_everything_with_the_embedded_engine() -> None:
    assert composed().keys() == OBSERVING | {"kafka", "topics", "modstream"}


@pytest.mark.docker
def test_the_gpu_profile_takes_the_place_of_the_cpu_one() -> None:
    services = composed("--profile", "gpu")
    assert services.keys() == OBSERVING | {"kafka", "topics", "modstream-gpu"}
    (device,) = services["modstream-gpu"]["deploy"]["resources"]["reservations"]["devices"]
    assert device["capabilities"] == ["gpu"]


@pytest.mark.docker
def test_the_api_starts_without_anything_else_where_it_is_asked_for() -> None:
    api = composed("--profile", "api")["api"]
    assert "depends_on" not in api
    assert api["environment"]["MODSTREAM_API__KEYS_FILE"].startswith("/var/lib/modstream/")
    assert {volume["target"]: volume["type"] for volume in api["volumes"]}["/var/lib/modstream"] == "volume"


@pytest.mark.docker
def test_no_port_is_open_to_others_than_this_machine() -> None:
    for services in (composed(), composed("--profile", "gpu"), composed("--profile", "api")):
        ports = [port for service in services.values() for port in service.get("ports", [])]
        assert {port["host_ip"] for port in ports} == {"127.0.0.1"}


@pytest.mark.docker
def test_every_image_has_a_version_and_no_container_more_rights_than_it_needs() -> None:
    for name, service in (composed() | composed("--profile", "gpu") | composed("--profile", "api")).items():
        tag = service["image"].rpartition(":")[2]
        assert tag in {"cpu", "gpu"} if "build" in service else tag.lstrip("v")[0].isdigit(), name
        assert service["cap_drop"] == ["ALL"], name
        assert service["security_opt"] == ["no-new-privileges:true"], name
        assert service.get("read_only") or name == "kafka"


@pytest.mark.docker
def test_docker_kills_no_process_that_still_drains() -> None:
    assert composed()["modstream"]["stop_grace_period"] == "1m0s"
    assert composed("--profile", "api")["api"]["stop_grace_period"] == "1m0s"


@pytest.mark.tool("prometheus")
def test_prometheus_understands_its_configuration() -> None:
    answer = subprocess.run(["promtool", "check", "config", PROMETHEUS], capture_output=True, text=True, check=False)
    assert answer.returncode == 0, answer.stdout + answer.stderr


def test_grafana_finds_its_sources_and_dashboards_where_compose_mounts_them() -> None:
    volumes = yaml.safe_load((ROOT / "compose.yaml").read_text(encoding="utf-8"))["services"]["grafana"]["volumes"]
    (provider,) = yaml.safe_load((GRAFANA / "dashboards" / "dashboards.yaml").read_text(encoding="utf-8"))["providers"]
    assert f"./deploy/grafana/dashboards:{provider['options']['path']}:ro" in volumes
    sources = yaml.safe_load((GRAFANA / "datasources" / "datasources.yaml").read_text(encoding="utf-8"))["datasources"]
    assert {source["uid"]: source["type"] for source in sources} == {"prometheus": "prometheus", "traces": "jaeger"}
