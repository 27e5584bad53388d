from pathlib import Path

import pytest

from service.settings.load import LoadedSettings, load_settings
from service.settings.problems import InvalidSettingsError, Problem


@pytest.fixture
def config(tmp_path: Path) -> Path:
    return tmp_path / "modstream.yaml"


def load(config: Path, text: str, **environment: str) -> LoadedSettings:
    config.write_text(text, encoding="utf-8")
    return load_settings(config, environment)


def problems(config: Path, text: str = "", **environment: str) -> list[Problem]:
    with pytest.raises(InvalidSettingsError) as caught:
        load(config, text, **environment)
    return list(caught.value.problems)


def only_problem(config: Path, text: str = "", **environment: str) -> Problem:
    (problem,) = problems(config, text, **environment)
    return problem


def test_defaults_hold_where_nothing_is_given() -> None:
    loaded = load_settings(None, {})
    assert loaded.settings.kafka.bootstrap_servers == "localhost:9092"
    assert loaded.sources == {}


def test_the_environment_wins_over_the_file(config: Path) -> None:
    loaded = load(config, "kafka: {group_id: file, client_id: file}", MODSTREAM_KAFKA__GROUP_ID="environment")
    assert loaded.settings.kafka.group_id == "environment"
    assert loaded.settings.kafka.client_id == "file"
    assert loaded.sources == {"kafka.group_id": "MODSTREAM_KAFKA__GROUP_ID", "kafka.client_id": f"{config}:1"}


def test_the_environment_can_name_the_file(config: Path) -> None:
    config.write_text("ordering: key", encoding="utf-8")
    assert load_settings(None, {"MODSTREAM_CONFIG": str(config)}).settings.ordering == "key"


@pytest.mark.parametrize("text", ["", "# nothing\n", "kafka:\n", "kafka:\n  # group_id: x\nwindow: {}\n"])
def test_an_empty_file_or_group_is_fine(config: Path, text: str) -> None:
    assert load(config, text).settings.kafka.group_id == "modstream"


def test_an_empty_variable_counts_as_not_set(config: Path) -> None:
    loaded = load(config, "kafka: {group_id: file}", MODSTREAM_KAFKA__GROUP_ID="")
    assert loaded.settings.kafka.group_id == "file"


@pytest.mark.parametrize("text", ["a, b", '["a", "b"]', "[a, b]"])
def test_lists_in_the_environment_have_commas_or_brackets(config: Path, text: str) -> None:
    loaded = load(config, "", MODSTREAM_MEDIA__FETCH__S3__BUCKETS=text)
    assert loaded.settings.media.fetch.s3.buckets == ("a", "b")


def test_maps_are_read_from_the_file_and_from_json_in_the_environment(config: Path) -> None:
    text = "engine:\n  vllm:\n    engine_args:\n      seed: 7\n      hf_overrides: {a: [1]}\n"
    assert load(config, text).settings.engine.vllm.engine_args == {"seed": 7, "hf_overrides": {"a": [1]}}
    loaded = load(config, text, MODSTREAM_ENGINE__VLLM__ENGINE_ARGS='{"seed": 8}')
    assert loaded.settings.engine.vllm.engine_args == {"seed": 8}


@pytest.mark.parametrize("text", ["seed", "[seed]", "{seed: "])
def test_what_is_no_map_is_reported(config: Path, text: str) -> None:
    problem = only_problem(config, MODSTREAM_ENGINE__VLLM__ENGINE_ARGS=text)
    assert problem.setting == "engine.vllm.engine_args"
    assert "a map of names to values" in problem.detail


def test_variables_that_kubernetes_sets_for_services_are_no_settings(config: Path) -> None:
    kubernetes = {
        "MODSTREAM_SERVICE_HOST": "10.0.0.1",
        "MODSTREAM_SERVICE_PORT_METRICS": "9000",
        "MODSTREAM_PORT": "tcp://10.0.0.1:9000",
        "MODSTREAM_PORT_9000_TCP_ADDR": "10.0.0.1",
        "MODSTREAM_GPU_SERVICE_HOST": "10.0.0.2",
    }
    assert load(config, "", **kubernetes).sources == {}


@pytest.mark.parametrize(
    ("text", "setting", "line", "meant"),
    [
        ("kafka:\n  group_di: x", "kafka.group_di", 2, "kafka.group_id"),
        ("group_id: x", "group_id", 1, "kafka.group_id"),
        ("kafak:\n  group_id: x", "kafak", 1, "kafka"),
        ("\nengine: {kid: onnx}", "engine.kid", 2, "engine.kind"),
    ],
)
def test_a_misspelt_name_in_the_file_is_reported_with_line_and_suggestion(
    config: Path, text: str, setting: str, line: int, meant: str
) -> None:
    problem = only_problem(config, text)
    assert (problem.setting, problem.source) == (setting, f"{config}:{line}")
    assert problem.detail == f"There is no such setting. Did you mean {meant}?"


@pytest.mark.parametrize(
    ("variable", "meant"),
    [
        ("MODSTREAM_KAFAK__GROUP_ID", "MODSTREAM_KAFKA__GROUP_ID"),
        ("MODSTREAM_KAFKA_GROUP_ID", "MODSTREAM_KAFKA__GROUP_ID"),
        ("modstream_delivry", "MODSTREAM_DELIVERY"),
    ],
)
def test_a_misspelt_variable_is_an_error_with_a_suggestion(config: Path, variable: str, meant: str) -> None:
    problem = only_problem(config, **{variable: "x"})
    assert variable in str(problem)
    assert f"Did you mean {meant}?" in problem.detail


def test_a_name_like_no_other_points_to_the_list_of_all(config: Path) -> None:
    assert "modstream config --defaults" in only_problem(config, "zzz: 1").detail


@pytest.mark.parametrize(
    ("text", "setting", "given", "allowed"),
    [
        ("delivery: twice", "delivery", 'the text "twice"', "one of exactly_once, at_least_once"),
        ("window: {max_records: many}", "window.max_records", 'the text "many"', "a whole number above 0"),
        ("window: {max_span: 30000}", "window.max_span", "the number 30000", "up to 24000"),
        ("kafka: {group_id: ''}", "kafka.group_id", 'the text ""', "text that is not empty"),
        ("retry: {jitter: }", "retry.jitter", "nothing", "a number of at least 0 and up to 1"),
        ("media: {fetch: {allow_hosts: [a, 1]}}", "media.fetch.allow_hosts", "the number 1 (item 2)", "a list"),
        ("engine: {onnx: {threads: [2]}}", "engine.onnx.threads", "the list [2]", "a whole number"),
    ],
)
def test_a_wrong_value_is_reported_with_its_kind_and_what_is_allowed(
    config: Path, text: str, setting: str, given: str, allowed: str
) -> None:
    problem = only_problem(config, text)
    assert (problem.setting, problem.source) == (setting, f"{config}:1")
    assert given in problem.detail
    assert allowed in problem.detail


def test_a_wrong_value_in_the_environment_names_the_variable(config: Path) -> None:
    problem = only_problem(config, MODSTREAM_WINDOW__MAX_BYTES="-1")
    assert problem == Problem(
        "window.max_bytes",
        "MODSTREAM_WINDOW__MAX_BYTES",
        'Given is the text "-1"; allowed is a whole number above 0.',
    )


def test_secrets_and_credentials_in_urls_are_not_reported(config: Path) -> None:
    secret = only_problem(config, "kafka: {sasl_password: [hunter2]}")
    assert "hunter2" not in str(secret)
    assert "(hidden)" in secret.detail
    url = only_problem(config, "window: {max_bytes: 'http://user:hunter2@host'}")
    assert "hunter2" not in str(url)


def test_all_problems_of_file_and_environment_are_reported_at_once(config: Path) -> None:
    found = problems(config, "delivery: x\nordering: y\nnope: 1", MODSTREAM_NOPE="1", MODSTREAM_ENGINE__KIND="z")
    assert len(found) == 5


@pytest.mark.parametrize(
    ("text", "settings"),
    [
        ("commit: {timeout_s: 30}", ["commit.timeout_s", "kafka.request_timeout_s"]),
        ("commit: {transaction_timeout_s: 3}", ["commit.transaction_timeout_s", "commit.timeout_s"]),
        ("kafka: {security_protocol: SASL_SSL, sasl_username: me}", ["kafka.sasl_username", "kafka.sasl_password"]),
        ("topics: {verdicts: images.uploaded}", ["topics.uploads"]),
        ("media: {fetch: {s3: {access_key_id: a}}}", ["access_key_id", "secret_access_key"]),
    ],
)
def test_settings_that_do_not_go_together_are_all_named(config: Path, text: str, settings: list[str]) -> None:
    problem = only_problem(config, text)
    assert f"{config}:1" in problem.source
    for setting in settings:
        assert setting in str(problem)


@pytest.mark.parametrize(
    ("text", "line", "detail"),
    [
        ("kafka:\n  group_id: 'x", 2, "not YAML"),
        ("kafka:\n  group_id: 2024-02-30", 2, "quotation marks"),
        ("kafka:\n  group_id: !!bool maybe", 2, "quotation marks"),
        ("kafka:\n  group_id: " + "[" * 1000, 2, "64 levels"),
        ("just text", 1, "name: value"),
        ("kafka: [1]", 1, "name: value"),
        ("delivery: exactly_once\ndelivery: at_least_once", 2, "set twice"),
    ],
)
def test_a_file_that_cannot_be_understood_is_reported_with_its_line(
    config: Path, text: str, line: int, detail: str
) -> None:
    problem = only_problem(config, text)
    assert problem.source == f"{config}:{line}"
    assert detail in problem.detail


@pytest.mark.parametrize("content", [b"\x89PNG\r\n", b"kafka: \x00"])
def test_a_file_that_is_no_text_is_reported(config: Path, content: bytes) -> None:
    config.write_bytes(content)
    with pytest.raises(InvalidSettingsError, match="The file is no YAML text in UTF-8"):
        load_settings(config, {})


@pytest.mark.parametrize("text", ["[2024-02-30]", "[!!bool maybe]", "[&a [*a]]", "[" * 1000])
def test_a_variable_that_cannot_be_read_is_reported(text: str) -> None:
    with pytest.raises(InvalidSettingsError, match=r"engine\.openai\.base_urls"):
        load_settings(None, {"MODSTREAM_ENGINE__OPENAI__BASE_URLS": text})


def test_a_file_with_nothing_but_mistakes_is_reported_by_the_first_hundred(config: Path) -> None:
    config.write_text("".join(f"k{number}: 1\n" for number in range(20_000)), encoding="utf-8")
    with pytest.raises(InvalidSettingsError) as caught:
        load_settings(config, {})
    assert len(caught.value.problems) == 100


def test_a_policy_in_place_of_settings_is_reported_with_the_setting_that_takes_it(config: Path) -> None:
    problem = only_problem(config, "name: shop\ncategories: {}\n")
    assert problem.source == str(config)
    assert problem.detail.startswith("This looks like a policy and not like a settings file: the setting policy.path")


def test_a_missing_file_is_reported(tmp_path: Path) -> None:
    with pytest.raises(InvalidSettingsError, match="cannot be read: No such file"):
        load_settings(tmp_path / "absent.yaml", {})


def test_a_setting_that_was_removed_is_read_with_a_warning_for_one_release(config: Path) -> None:
    loaded = load(config, "engine:\n  openai:\n    patience_s: 30\n", MODSTREAM_ENGINE__OPENAI__PATIENCE_S="30")
    assert [(warning.setting, warning.source) for warning in loaded.warnings] == [
        ("engine.openai.patience_s", f"{config}:3"),
        ("engine.openai.patience_s", "MODSTREAM_ENGINE__OPENAI__PATIENCE_S"),
    ]
    assert "engine.openai.patience_s" not in loaded.sources


@pytest.mark.parametrize("value", ["!vault hunter2", "2020-13-45", "!!int hunter2"])
def test_a_secret_that_yaml_cannot_read_is_a_problem_and_not_reported(config: Path, value: str) -> None:
    problem = only_problem(config, f"engine:\n  openai:\n    api_key: {value}\n")
    assert (problem.setting, problem.source) == ("engine.openai.api_key", f"{config}:3")
    assert "hunter2" not in str(problem)
