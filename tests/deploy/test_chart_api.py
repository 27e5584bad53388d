"""What helm makes of the chart's values for the HTTP API."""

from pathlib import Path

import pytest
import yaml

from testing.chart import API, STREAM, Manifest, case, manifests, notes, pod, pods, settings_text, template

pytestmark = pytest.mark.tool("helm")


def test_http_alone_needs_no_kafka() -> None:
    rendered = manifests(case("http"))
    assert pods(rendered).keys() == {API}
    assert {"ScaledObject", "Pod"} & rendered.keys() == set()
    ports = [[port["port"] for port in rule["ports"]] for rule in rendered["NetworkPolicy"]["spec"]["egress"]]
    assert ports == [[53, 53], [80, 443]]
    (container,) = pod(rendered, API)["containers"]
    assert container["args"] == ["api", "--port", "8080"]
    assert rendered["HorizontalPodAutoscaler"]["spec"]["scaleTargetRef"]["name"] == API


def test_requests_from_outside_are_encrypted_and_reach_the_api() -> None:
    rendered = manifests(case("http"))
    spec = rendered["Ingress"]["spec"]
    assert spec["tls"] == [{"hosts": ["moderation.example.com"], "secretName": "moderation-tls"}]
    (path,) = spec["rules"][0]["http"]["paths"]
    assert path["backend"]["service"]["name"] == rendered["Service"]["metadata"]["name"] == API
    labels = rendered["Deployment"]["spec"]["template"]["metadata"]["labels"]
    assert rendered["Service"]["spec"]["selector"].items() <= labels.items()


def test_http_beside_the_stream_is_reached_by_its_callers_and_reads_no_topic() -> None:
    rendered = manifests(case("production"))
    assert pods(rendered).keys() == {STREAM, API}
    policy = rendered[f"NetworkPolicy/{API}"]["spec"]
    assert 9092 not in [port["port"] for rule in policy["egress"] for port in rule["ports"]]
    assert {"from": [{"podSelector": {}}], "ports": [{"port": "http"}]} in policy["ingress"]
    assert "http" not in str(rendered[f"NetworkPolicy/{STREAM}"]["spec"]["ingress"])
    (trigger,) = rendered[f"ScaledObject/{API}"]["spec"]["triggers"]
    assert trigger["metadata"]["query"] == (
        'sum(modstream_api_images{namespace="moderation",pod=~"images-modstream-api-.*"})'
    )
    assert len({each["spec"]["selector"]["matchLabels"]["app.kubernetes.io/component"] for each in of(rendered)}) == 2


def of(rendered: dict[str, Manifest], kind: str = "PodMonitor") -> list[Manifest]:
    return [manifest for name, manifest in rendered.items() if name.startswith(f"{kind}/")]


def test_stream_and_http_can_share_a_card() -> None:
    rendered = manifests(case("gpu"))
    assert pods(rendered).keys() == {STREAM}
    (container,) = pod(rendered)["containers"]
    assert [port["name"] for port in container["ports"]] == ["monitoring", "http"]
    assert yaml.safe_load(settings_text(rendered))["api"]["port"] == 8080
    assert rendered[f"Service/{API}"]["spec"]["selector"]["app.kubernetes.io/component"] == "service"


@pytest.mark.parametrize(("name", "values"), [(API, "http"), (API, "production"), (STREAM, "gpu")])
def test_the_keys_of_the_api_are_a_secret_that_a_running_pod_follows(name: str, values: str) -> None:
    spec = pod(manifests(case(values)), name)
    volumes = {volume["name"]: volume for volume in spec["volumes"]}
    assert volumes["api-keys"]["secret"]["secretName"] == "modstream-api-keys"
    (mount,) = [mount for mount in spec["containers"][0]["volumeMounts"] if mount["name"] == "api-keys"]
    assert "subPath" not in mount
    file = yaml.safe_load(settings_text(manifests(case(values))))["api"]["keys_file"]
    assert Path(file).parent == Path(mount["mountPath"])


def test_the_notes_say_how_to_try_the_api(tmp_path: Path) -> None:
    reported = notes(tmp_path, case("http"))
    assert "port-forward service/images-modstream-api 8080:80" in reported
    assert "https://moderation.example.com" in reported
    assert "partition" not in reported
    assert "apiClients" not in reported


@pytest.mark.parametrize(
    ("setting", "complaint"),
    [
        ("stream.enabled=false", "nothing would run"),
        ("api.enabled=true", "modstream keys create"),
        ("api.enabled=true,settings.api.authentication=none", "authentication none"),
        ("stream.enabled=false,api.enabled=true,api.pods=stream,api.keys.existingSecret=k", "set api.pods to own"),
        ("api.enabled=true,api.keys.existingSecret=k,settings.api.port=8080", "the stream's pods too"),
        ("api.enabled=true,api.keys.existingSecret=k,api.ingress.enabled=true", "api.ingress.host"),
        ("api.enabled=true,api.keys.existingSecret=k,api.autoscaling.minReplicas=11", "maxReplicas"),
        ("api.enabled=true,api.keys.existingSecret=k,api.terminationGracePeriodSeconds=30", "requests in hand"),
    ],
)
def test_values_that_do_not_go_together_are_refused(setting: str, complaint: str) -> None:
    answer = template(case("defaults"), setting)
    assert answer.returncode != 0
    assert complaint in answer.stderr
