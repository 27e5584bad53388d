"""Whatever ends the service ends it with a code that supervisors know, and a last line that says why."""

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

from service.cli.commands import app
from service.kafka.errors import TransactionsRefusedError
from service.settings.settings import Settings


async def crash(_settings: Settings) -> None:
    raise RuntimeError("https://signed.example/?secret")


def test_a_defect_ends_the_service_with_the_code_for_fatal_faults(
    monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("service.app.run.run_service", crash)

    result = CliRunner(env={"MODSTREAM_TELEMETRY__LOG_FORMAT": "json"}).invoke(app, ["serve"])

    assert result.exit_code == 3
    (line,) = [json.loads(text) for text in (result.stderr + capfd.readouterr().err).splitlines()]
    assert (line["event"], line["reason"], line["branch"]) == ("service.fatal", "service.unexpected", "fatal")
    assert "RuntimeError" in line["error"]
    assert "crash" in {frame["name"] for frame in line["exception"][0]["frames"]}
    assert "secret" not in json.dumps(line)


async def refuse(_settings: Settings) -> None:
    raise TransactionsRefusedError(detail="no transactions")


def test_a_fatal_error_is_the_last_line_with_its_reason_and_ends_the_service_with_its_code(
    monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("service.app.run.run_service", refuse)

    result = CliRunner(env={"MODSTREAM_TELEMETRY__LOG_FORMAT": "json"}).invoke(app, ["serve"])

    assert result.exit_code == 3
    (line,) = [json.loads(text) for text in (result.stderr + capfd.readouterr().err).splitlines()]
    assert (line["event"], line["reason"]) == ("service.fatal", "kafka.transactions_refused")
    assert "MODSTREAM_DELIVERY=at_least_once" in line["error"]


@pytest.mark.parametrize("command", [["serve"], ["try"], ["policy", "show"]], ids=" ".join)
def test_wrong_policies_are_wrong_settings_and_every_mistake_is_listed_with_its_line(
    tmp_path: Path, command: list[str]
) -> None:
    folder = tmp_path / "policies"
    folder.mkdir()
    (folder / "a.yaml").write_text("name: a\nversion: 1\ncolour: red\ncategories:\n  violence: {review: 2}\n")
    (folder / "b.yaml").write_text("kafka:\n  group_id: a\n")
    config = tmp_path / "modstream.yml"
    config.write_text(f"policy:\n  path: {folder}\n")

    result = CliRunner().invoke(app, [*command, "-c", str(config)])

    assert result.exit_code == 2
    heading, *problems = result.stderr.splitlines()
    assert heading == f"5 problems with the policies (policy.path, {config}:2):"
    assert {problem.partition(": ")[0] for problem in problems} == {
        f"{folder}/a.yaml:{line}" for line in (2, 3, 4, 5)
    } | {f"{folder}/b.yaml:1"}


@pytest.mark.parametrize(
    ("variable", "value", "problem"),
    [
        ("MODSTREAM_POLICY__DEFAULT", "shop", "policy.default: no policy is named 'shop'; known: default"),
        ("MODSTREAM_POLICY__PATH", "/nowhere", "/nowhere:1: the file cannot be read: No such file or directory"),
    ],
)
def test_a_policy_that_is_not_there_names_its_setting_and_where_it_was_given(
    variable: str, value: str, problem: str
) -> None:
    result = CliRunner(env={variable: value}).invoke(app, ["serve"])
    assert result.exit_code == 2
    setting = variable.removeprefix("MODSTREAM_").lower().replace("__", ".")
    assert result.stderr.splitlines() == [f"1 problem with the policies ({setting}, {variable}):", problem]


@pytest.mark.parametrize(("kind", "code"), [("onnx", 0), ("vllm", 2)])
def test_labels_that_no_prompt_can_have_end_the_service_where_its_engine_reads_prompts(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, kind: str, code: int
) -> None:
    monkeypatch.setattr("service.app.run.run_service", end)
    policy = tmp_path / "default.yaml"
    policy.write_text(
        "name: default\nversion: '1'\ncategories:\n  child_safety: {review: 0.1}\n"
        "  rival_brand: {review: 0.5, definition: {means: the brand of a rival, label: A}}\n"
    )
    environment = {"MODSTREAM_POLICY__PATH": str(policy), "MODSTREAM_ENGINE__KIND": kind}
    result = CliRunner(env=environment).invoke(app, ["serve"])
    assert result.exit_code == code
    assert ("begin with the same token" in result.stderr) == (code == 2)


async def end(_settings: Settings) -> None:
    """Serve nothing."""


@pytest.mark.parametrize(
    ("command", "port", "code"), [("serve", 0, 3), ("serve", 8080, 2), ("api", 0, 2), ("api", 8080, 2)]
)
def test_a_wrong_keys_file_is_a_wrong_setting_where_the_api_opens_a_port(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, command: str, port: int, code: int
) -> None:
    monkeypatch.setattr("service.app.run.run_service", refuse)
    keys = tmp_path / "keys.yaml"
    keys.write_text("- id: 7\n- id: two\n  scopes: [x]\n")
    config = tmp_path / "modstream.yml"
    config.write_text(f"api:\n  port: {port}\n  keys_file: {keys}\n")

    result = CliRunner().invoke(app, [command, "-c", str(config)])

    assert result.exit_code == code
    if code == 2:
        heading, *problems = result.stderr.splitlines()
        assert heading == f"7 problems with the API keys (api.keys_file, {config}:3):"
        assert f"{keys}:1: 0.id: Input should be a valid string" in problems
        assert any(problem.startswith(f"{keys}:3: 1.scopes.0: ") for problem in problems)
