"""What helm makes of the chart."""

import json
import math
import shutil
import subprocess
from ipaddress import collapse_addresses, ip_network
from pathlib import Path

import pytest
import yaml

from scripts.chart.rendering import EXPECTED, cases, render, reviewed
from service.media.fetch import addresses
from service.settings.load import load_settings
from testing.chart import CHART, STREAM, case, helm, manifests, notes, pod, pods, settings_text, template

pytestmark = pytest.mark.tool("helm")

every_case = pytest.mark.parametrize("values", cases(), ids=lambda path: path.stem)


@every_case
def test_helm_finds_nothing_to_complain_about(values: Path) -> None:
    answer = helm("lint", "--strict", CHART, "--values", values)
    assert answer.returncode == 0, answer.stdout + answer.stderr


@every_case
def test_the_manifests_are_those_that_were_reviewed(values: Path) -> None:
    answer = template(values)
    assert answer.returncode == 0, answer.stderr
    assert reviewed(answer.stdout) == (EXPECTED / values.name).read_text(encoding="utf-8"), (
        "make chart writes them anew"
    )


def test_no_reviewed_manifest_lacks_its_values() -> None:
    assert {path.name for path in EXPECTED.iterdir()} == {path.name for path in cases()}


@pytest.mark.tool("kubeconform")
def test_the_manifests_are_valid_kubernetes_keda_and_prometheus_operator(tmp_path: Path) -> None:
    program = shutil.which("kubeconform")
    assert program
    for values in cases():
        (tmp_path / values.name).write_text(render(values), encoding="utf-8")
    schemas = Path(program).parents[1] / "k8s-schemas"
    locations = [
        f"--schema-location={schemas}/{kind}/{{{{.ResourceKind}}}}{{{{.KindSuffix}}}}.json" for kind in ("k8s", "crd")
    ]
    answer = subprocess.run(
        [program, "-strict", "-output=json", "-summary", "-kubernetes-version=1.37.0", *locations, tmp_path],
        capture_output=True,
        text=True,
        check=False,
    )
    report = json.loads(answer.stdout)
    assert report.get("resources", []) == []
    assert report["summary"]["valid"] > 30
    assert report["summary"]["skipped"] == 0


@every_case
def test_the_service_understands_its_settings(values: Path, tmp_path: Path) -> None:
    rendered = manifests(values)
    file = tmp_path / "modstream.yaml"
    file.write_text(settings_text(rendered), encoding="utf-8")
    for spec in pods(rendered).values():
        (container,) = spec["containers"]
        secrets = {each["name"]: "x" for each in container["env"] if "secretKeyRef" in str(each)}
        settings = load_settings(file, secrets).settings
        pause_s = container.get("lifecycle", {"preStop": {"sleep": {"seconds": 0}}})["preStop"]["sleep"]["seconds"]
        assert spec["terminationGracePeriodSeconds"] > math.ceil(settings.shutdown.drain_s) + pause_s
        assert container["ports"][0]["containerPort"] == settings.monitoring.port


def test_large_numbers_reach_the_service_as_they_were_written() -> None:
    assert yaml.safe_load(settings_text(manifests(case("production"))))["window"]["max_bytes"] == 268435456


@every_case
def test_a_pod_may_do_nothing_that_it_does_not_need(values: Path) -> None:
    rendered = manifests(values)
    tests = [rendered["Pod"]["spec"]] if "Pod" in rendered else []
    for spec in (*pods(rendered).values(), *tests):
        (container,) = spec["containers"]
        assert spec["automountServiceAccountToken"] is False
        assert spec["securityContext"]["runAsNonRoot"] is True
        assert spec["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}
        assert container["securityContext"] == {
            "allowPrivilegeEscalation": False,
            "readOnlyRootFilesystem": True,
            "capabilities": {"drop": ["ALL"]},
        }


def test_nothing_scales_above_the_partitions() -> None:
    scaled = manifests(case("gpu"))["ScaledObject"]["spec"]
    assert (scaled["maxReplicaCount"], scaled["minReplicaCount"]) == (36, 1)
    assert "replicas" not in manifests(case("gpu"))["Deployment"]["spec"]


def test_a_pod_drains_before_the_next_one_is_taken_away() -> None:
    rendered = manifests(case("production"))
    behaviour = rendered[f"ScaledObject/{STREAM}"]["spec"]["advanced"]["horizontalPodAutoscalerConfig"]["behavior"]
    (policy,) = behaviour["scaleDown"]["policies"]
    assert policy["value"] == 1
    assert policy["periodSeconds"] >= pod(rendered)["terminationGracePeriodSeconds"] == 75


def test_uploads_scale_beside_the_lag_where_that_is_asked_for() -> None:
    by_lag, *by_uploads = manifests(case("production"))[f"ScaledObject/{STREAM}"]["spec"]["triggers"]
    assert by_lag["type"] == "kafka"
    (metadata,) = (trigger["metadata"] for trigger in by_uploads)
    assert metadata["threshold"] == "90"
    assert "modstream_records_total" in metadata["query"]
    assert "modstream_lag" in metadata["query"]
    assert len(manifests(case("gpu"))["ScaledObject"]["spec"]["triggers"]) == 1


def checksum(*settings: str) -> str:
    """Return what rolls the pods when it changes."""
    metadata = manifests(case("defaults"), *settings)["Deployment"]["spec"]["template"]["metadata"]
    return str(metadata["annotations"]["checksum/config"])


def test_changed_settings_roll_the_pods() -> None:
    # The first policy of one's own comes with a mount.
    sums = {checksum(), checksum("settings.window.max_records=64"), checksum(r"policies.shop\.yaml=name: shop")}
    assert len(sums) == 3


@pytest.mark.parametrize("kind", ["policies", "shadowPolicies"])
@pytest.mark.parametrize(("interval", "sums"), [("5", 1), ("null", 2)])
def test_changed_policies_roll_the_pods_where_these_do_not_follow_them(kind: str, interval: str, sums: int) -> None:
    follows = f"settings.policy.reload_interval_s={interval}"
    assert len({checksum(follows, rf"{kind}.shop\.yaml=name: {name}") for name in ("shop", "fair")}) == sums


def test_policies_are_mounted_as_a_folder_which_follows_its_config_map() -> None:
    (container,) = pod(manifests(case("defaults"), r"policies.shop\.yaml=name: shop"))["containers"]
    (mount,) = [each for each in container["volumeMounts"] if each["name"] == "policies"]
    assert "subPath" not in mount


def test_a_gpu_pod_asks_for_its_card_and_keeps_its_model() -> None:
    spec = pod(manifests(case("gpu")))
    (container,) = spec["containers"]
    assert container["resources"]["limits"]["nvidia.com/gpu"] == 1
    assert spec["nodeSelector"] == {"nvidia.com/gpu.present": "true"}
    assert container["startupProbe"]["failureThreshold"] * container["startupProbe"]["periodSeconds"] == 2100
    volumes = {volume["name"]: volume for volume in spec["volumes"]}
    claim = manifests(case("gpu"))["PersistentVolumeClaim"]["metadata"]["name"]
    assert volumes["models"]["persistentVolumeClaim"]["claimName"] == claim


def test_a_pod_reaches_only_what_is_named() -> None:
    policy = manifests(case("production"))["NetworkPolicy"]["spec"]
    assert policy["policyTypes"] == ["Ingress", "Egress"]
    ports = [[port["port"] for port in rule["ports"]] for rule in policy["egress"]]
    assert ports == [[53, 53], [9092, 9093, 9094], [9000], [4318], [80, 443]]
    assert all(rule["to"] and all(rule["to"]) for rule in policy["egress"])


def test_secrets_are_named_and_not_held() -> None:
    rendered = manifests(case("production"))
    assert "Secret" not in rendered
    env = {each["name"]: each for each in pod(rendered)["containers"][0]["env"]}
    assert env["MODSTREAM_KAFKA__SASL_PASSWORD"]["valueFrom"] == {
        "secretKeyRef": {"name": "modstream", "key": "password"}
    }


@pytest.mark.parametrize(
    ("setting", "complaint"),
    [
        ("settings.kafka.grup_id=x", "grup_id"),
        ("settings.window.max_records=many", "max_records"),
        ("settings.kafka.sasl_password=geheim", "sasl_password"),
        ("settings.media.fetch.s3.secret_access_key=geheim", "secret_access_key"),
        ("env.MODSTREAM_KAFKA__GROUP_ID=x", "MODSTREAM_KAFKA__GROUP_ID"),
        ("env.API_KEY=x", "API_KEY"),
        ("replica=3", "replica"),
        ("image.tag=latest", "tag"),
        ("flavour=tpu", "flavour"),
        ("networkPolicy.brokers.peers=null", "peers"),
        ("terminationGracePeriodSeconds=20", "drain"),
        ("replicas=13", "partitions"),
        ("settings.monitoring.port=0", "no endpoint"),
        ("settings.shutdown.drain_s=90,autoscaling.enabled=true", "stepS"),
        ("autoscaling.enabled=true,autoscaling.minReplicas=13", "partitions"),
        ("autoscaling.enabled=true,autoscaling.minReplicas=0,autoscaling.source=prometheus", "no lag"),
    ],
)
def test_wrong_values_are_refused(setting: str, complaint: str) -> None:
    answer = template(case("defaults"), setting)
    assert answer.returncode != 0
    assert complaint in answer.stderr


def test_alerts_come_with_the_chart_where_it_has_them() -> None:
    rules = CHART / "files" / "rules.yaml"
    assert manifests(case("production"))["PrometheusRule"]["spec"] == yaml.safe_load(rules.read_text(encoding="utf-8"))
    ours = CHART.parent / "prometheus" / "rules.yaml"
    assert not ours.exists() or rules.read_bytes() == ours.read_bytes(), "make chart copies them"


def test_the_notes_report_what_is_still_missing(tmp_path: Path) -> None:
    reported = notes(tmp_path, case("defaults"))
    assert "autoscaling.enabled=true" in reported
    assert "networkPolicy.objectStores" in reported
    assert "scraping.kind=PodMonitor" in reported
    assert "drains for up to 25 s and has 60 s" in reported


def test_the_notes_do_not_complain_of_what_is_there(tmp_path: Path) -> None:
    reported = notes(tmp_path, case("production"))
    assert "KEDA runs 2 to 24 processes" in reported
    assert "=PodMonitor" not in reported
    assert "networkPolicy" not in reported


def test_public_images_leave_out_every_address_that_the_service_itself_refuses() -> None:
    rules = manifests(case("production"))["NetworkPolicy"]["spec"]["egress"]
    blocks = [peer["ipBlock"] for rule in rules for peer in rule["to"] if "ipBlock" in peer]
    public = {block["cidr"]: [ip_network(each) for each in block["except"]] for block in blocks if "except" in block}
    refused = (*addresses._NOT_PUBLIC, *addresses._METADATA)
    assert set(public["0.0.0.0/0"]) == set(collapse_addresses(each for each in refused if each.version == 4))
    inside = [each for each in refused if each.version == 6 and each.subnet_of(addresses._GLOBAL_UNICAST_V6)]
    assert set(public["2000::/3"]) == set(collapse_addresses(inside))


@pytest.mark.parametrize("tag", ["", "1.2.3"])
def test_an_image_given_by_digest_is_pulled_by_it_whatever_the_tag(tag: str, tmp_path: Path) -> None:
    digest = f"sha256:{'0123456789abcdef' * 4}"
    given = yaml.safe_load(case("defaults").read_text(encoding="utf-8")) or {}
    given["image"] = {"repository": "registry.example/modstream", "tag": tag, "digest": digest}
    values = tmp_path / "values.yaml"
    values.write_text(yaml.safe_dump(given), encoding="utf-8")
    (container,) = pod(manifests(values))["containers"]
    assert container["image"] == f"registry.example/modstream@{digest}"
