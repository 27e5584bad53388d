from pathlib import Path

import pytest
import yaml

from service.settings.catalogue import catalogue
from service.settings.load import load_settings
from service.settings.problems import InvalidSettingsError
from service.settings.render import defaults_yaml, effective_yaml, reference_markdown

ROOT = Path(__file__).parents[3]


def test_the_effective_settings_load_again_to_the_same(tmp_path: Path) -> None:
    environment = {"MODSTREAM_MEDIA__FETCH__ALLOW_HOSTS": "a, b", "MODSTREAM_DELIVERY": "at_least_once"}
    loaded = load_settings(None, environment)
    config = tmp_path / "effective.yaml"
    config.write_text(effective_yaml(loaded), encoding="utf-8")
    assert load_settings(config, {}).settings == loaded.settings


def test_the_effective_settings_say_where_each_came_from(tmp_path: Path) -> None:
    config = tmp_path / "modstream.yaml"
    config.write_text("ordering: key\n", encoding="utf-8")
    text = effective_yaml(load_settings(config, {"MODSTREAM_DELIVERY": "at_least_once"}))
    remarks = {line.split(":")[0]: line.partition("  # ")[2] for line in text.splitlines() if "  # " in line}
    assert remarks == {"ordering": f"{config}:1", "delivery": "MODSTREAM_DELIVERY"}


def test_secrets_are_hidden() -> None:
    environment = {
        "MODSTREAM_KAFKA__SASL_PASSWORD": "hunter2",
        "MODSTREAM_TELEMETRY__OTLP_ENDPOINT": "http://user:hunter2@collector:4318",
    }
    assert "hunter2" not in effective_yaml(load_settings(None, environment))


SECRET_ADDRESSES = [
    "http://user:hunter2@collector:4318",
    "http://user:pa/hunter2@collector:4318",
    "http://user:p?a#hunter2@x@collector:4318/v1",
    "http://hunter2@collector:4318",
    "user:hunter2@collector:4318",
    "http://collector:4318?api_key=hunter2",
    "http://collector:4318/v1?x=1&token=hunter2#frag",
    "http://collector:4318/#access_token=hunter2",
    "http://collector:4318?hunter2",
    "http://collector:4318?key={hunter2}",
    "http://user:a b hunter2@collector:4318",
]


@pytest.mark.parametrize("address", SECRET_ADDRESSES)
def test_secrets_in_addresses_are_hidden_and_the_host_is_not(address: str) -> None:
    text = effective_yaml(load_settings(None, {"MODSTREAM_TELEMETRY__OTLP_ENDPOINT": address}))
    assert "hunter2" not in text
    assert "collector:4318" in text


@pytest.mark.parametrize("address", SECRET_ADDRESSES)
@pytest.mark.parametrize("name", ["KAFKA__OAUTH__TOKEN_URL", "ENGINE__OPENAI__BASE_URLS", "MEDIA__FETCH__ALLOW_HOSTS"])
def test_secrets_in_addresses_are_not_reported_by_the_problems_that_they_cause(name: str, address: str) -> None:
    with pytest.raises(InvalidSettingsError) as caught:
        load_settings(None, {f"MODSTREAM_{name}": f"{address},nonsense nonsense,http://"})
    assert "hunter2" not in str(caught.value)


def test_every_address_of_a_list_is_cleaned_and_other_settings_stay_readable() -> None:
    servers = "a:hunter2@k1:9092,b:hunter,2@k2:9092,k3:9092"
    text = effective_yaml(
        load_settings(
            None,
            {
                "MODSTREAM_KAFKA__BOOTSTRAP_SERVERS": servers,
                "MODSTREAM_TELEMETRY__TRACE_URL": "http://jaeger:16686/trace/{trace_id}?x={trace_id}",
            },
        )
    )
    assert "hunter" not in text
    assert "@k2:9092,k3:9092" in text
    assert "http://jaeger:16686/trace/{trace_id}?x={trace_id}" in text


def test_the_file_of_defaults_changes_nothing(tmp_path: Path) -> None:
    config = tmp_path / "defaults.yaml"
    config.write_text(defaults_yaml(), encoding="utf-8")
    assert load_settings(config, {}).settings == load_settings(None, {}).settings
    assert set(load_settings(config, {}).sources) == set(catalogue())


def test_the_file_of_defaults_is_plain_yaml() -> None:
    assert yaml.safe_load(defaults_yaml())["kafka"]["group_id"] == "modstream"


def test_every_setting_is_described() -> None:
    assert [setting.path for setting in catalogue().values() if not setting.description] == []


def test_the_reference_is_up_to_date() -> None:
    written = (ROOT / "docs" / "settings.md").read_text(encoding="utf-8")
    assert written == reference_markdown(), "write it anew: .venv/bin/modstream config --markdown > docs/settings.md"
