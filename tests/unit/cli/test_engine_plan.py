import json
from pathlib import Path

import pytest
import yaml
from typer.testing import CliRunner, Result

from service.cli.commands import app
from service.settings.load import load_settings
from service.tools.planning.gpus import GPUS


def plan(*arguments: str) -> Result:
    return CliRunner().invoke(app, ["engine", "plan", *arguments], env={"COLUMNS": "200", "NO_COLOR": "1"})


@pytest.mark.parametrize("gpu", [gpu.name for gpu in GPUS])
def test_a_plan_shows_precisions_settings_cores_and_assumptions(gpu: str) -> None:
    result = plan("--gpu", gpu, "--model", "4B")
    assert result.exit_code == 0
    for text in (
        "bf16",
        "fp8-block",
        "fp8-dynamic",
        "int8",
        "awq",
        "Take",
        "Settings",
        "CPU cores",
        "Assumptions",
        "Where the",
    ):
        assert text in result.stdout


def test_the_settings_can_be_copied_as_they_stand() -> None:
    text = plan("--gpu", "h100").stdout
    settings = yaml.safe_load(text[text.index("engine:\n") : text.index("CPU cores")])
    assert settings["engine"]["kind"] == "vllm"
    assert settings["engine"]["vllm"]["model"] == "Qwen/Qwen3-VL-8B-Instruct-FP8"


def test_scripts_get_json_with_the_assumptions() -> None:
    answer = json.loads(plan("--gpu", "h100", "--json").stdout)
    assert answer["plan"]["take"]["precision"]["name"] == "fp8-block"
    assert answer["plan"]["take"]["images_per_s"] > 100
    assert yaml.safe_load(answer["settings_yaml"])["engine"]["kind"] == "vllm"
    assert "not measured" in answer["assumptions"][0]


def test_all_and_list_have_a_row_for_each_card() -> None:
    assert len(json.loads(plan("--gpu", "all", "--json").stdout)) == len(GPUS)
    assert [row["name"] for row in json.loads(plan("--gpu", "list", "--json").stdout)] == [gpu.name for gpu in GPUS]
    for shown in (plan("--gpu", "all").stdout, plan("--gpu", "list").stdout):
        assert all(gpu.name in shown for gpu in GPUS)


def test_tags_and_follow_ups_cost_images_a_second() -> None:
    shares = (("0", "0"), ("0.5", "0"), ("0.5", "1"))
    rates = [
        json.loads(plan("--gpu", "h100", "--stage2-share", stage2, "--tags-share", tags, "--json").stdout)["plan"][
            "take"
        ]["images_per_s"]
        for stage2, tags in shares
    ]
    assert rates == sorted(rates, reverse=True)
    assert len(set(rates)) == 3


def test_the_machines_cores_limit_what_the_card_gets() -> None:
    assert "2 cores and this card: 40 images/s of 2 MP" in plan("--gpu", "h100", "--cores", "2").stdout


def test_a_card_on_which_nothing_fits_fails_and_says_what_would() -> None:
    result = plan("--gpu", "3080 10GB")
    assert result.exit_code == 1
    assert "--model 4B" in result.stdout


@pytest.mark.parametrize(
    ("arguments", "option", "hint"),
    [
        (["--gpu", "A100"], "--gpu", "A100 40GB or A100 80GB"),
        (["--gpu", "RTX 3091"], "--gpu", "RTX 3090"),
        (["--gpu", "h100", "--model", "7B"], "--model", "2B, 4B, 8B, 32B"),
        (["--gpu", "h100", "--tags-share", "20"], "--tags-share", "less than or equal to 1"),
    ],
)
def test_a_wrong_argument_is_named_with_what_would_be_right(arguments: list[str], option: str, hint: str) -> None:
    result = plan(*arguments)
    assert result.exit_code == 2
    assert option in result.stderr
    assert hint in result.stderr


@pytest.mark.parametrize("gpu", [gpu.name for gpu in GPUS])
def test_the_settings_are_ones_that_the_service_takes(gpu: str, tmp_path: Path) -> None:
    file = tmp_path / "modstream.yaml"
    shown = plan("--gpu", gpu, "--model", "2B", "--vision-tokens", "1100", "--settings").stdout
    file.write_text(shown, encoding="utf-8")
    assert load_settings(file, {}).settings.engine.vllm.max_vision_tokens == 1100


def test_the_settings_alone_are_a_file() -> None:
    settings = yaml.safe_load(plan("--gpu", "rtx 3090", "--settings").stdout)
    assert settings["engine"]["vllm"]["precision"] == "bf16"
    nothing = plan("--gpu", "3080 10GB", "--settings")
    assert (nothing.exit_code, nothing.stdout) == (1, "")


def test_a_plan_for_a_server_has_its_command_and_the_settings_beside_it(tmp_path: Path) -> None:
    text = plan("--gpu", "L4", "--remote").stdout
    assert "--max-num-batched-tokens 2048" in text[text.index("vllm serve") : text.index("Settings")]
    answer = json.loads(plan("--gpu", "L4", "--remote", "--json").stdout)
    assert answer["serve_command"] in text
    file = tmp_path / "modstream.yaml"
    file.write_text(plan("--gpu", "L4", "--remote", "--settings").stdout, encoding="utf-8")
    assert load_settings(file, {}).settings.engine.kind == "openai"


def test_a_precision_can_be_asked_for() -> None:
    settings = yaml.safe_load(plan("--gpu", "L4", "--precision", "fp8-dynamic", "--settings").stdout)
    assert settings["engine"]["vllm"]["precision"] == "fp8"
    assert plan("--gpu", "L4", "--precision", "fp7").exit_code == 2


def test_a_plan_compares_the_models_by_rate_and_price() -> None:
    models = json.loads(plan("--gpu", "h100", "--gpu-hour", "2.5", "--json").stdout)["models"]
    assert [each["model"][-11:-9] for each in models] == ["2B", "4B", "8B"]
    assert models[-1]["per_1000"] == pytest.approx(2.5 / 3.6 / models[-1]["images_per_s"])
    assert "per 1,000, at 2.50 an hour" in plan("--gpu", "h100", "--gpu-hour", "2.5").stdout


def test_each_figure_names_its_source() -> None:
    sources = json.loads(plan("--gpu", "h100", "--json").stdout)["sources"]
    assert {each["kind"] for each in sources} == {"measured", "calculated", "published", "assumed"}


FEW_TOKENS = ("--first-pass-tokens", "64", "--cleared", "0.8")


def test_a_first_pass_is_planned_beside_the_full_pass_alone() -> None:
    text = plan("--gpu", "h100", *FEW_TOKENS, "--cores", "4").stdout
    section = text[text.index("With a first pass") :]
    for words in ("the same engine, 64 vision tokens, 80% cleared; calculated", "1.85 ×", "It is a gain from 31%"):
        assert words in section
    assert "4 cores and this card: 44 instead of 44 images/s of 12 MP: CPU cores limit the gain" in section
    answer = json.loads(plan("--gpu", "h100", *FEW_TOKENS, "--json").stdout)
    assert answer["first_pass"]["images_per_s"] > 1.8 * answer["first_pass"]["without_per_s"]
    assert {each["kind"] for each in answer["first_pass_sources"]} == {"calculated", "given"}


def test_a_smaller_model_for_the_first_pass_has_cards_of_its_own() -> None:
    text = plan("--gpu", "h100", "--first-pass-model", "2B", "--cleared", "0.1").stdout
    section = text[text.index("With a first pass") :]
    assert "2B on cards of its own, 256 vision tokens, 10% cleared" in section
    assert "No gain: it pays from 40% cleared images, and here are 10%" in section
    assert "cards of the first pass, of the same kind" in section


@pytest.mark.parametrize(
    ("arguments", "option", "hint"),
    [
        (["--cleared", "0.8"], "--cleared", "--first-pass-tokens, --first-pass-model or both"),
        (["--first-pass-tokens", "64"], "--cleared", "such as 0.8"),
        (["--first-pass-tokens", "256", "--cleared", "0.8"], "--first-pass-tokens 256", "fewer than the 256"),
        (["--first-pass-model", "7B", "--cleared", "0.8"], "--first-pass-model", "2B, 4B, 8B, 32B"),
        (["--first-pass-model", "32B", "--cleared", "0.8"], "--first-pass-model", "not smaller"),
        (["--first-pass-tokens", "64", "--cleared", "0.97"], "--cleared 0.97", "lower one of the two"),
        (["--first-pass-tokens", "64", "--cleared", "0.8", "--settings"], "--cleared", "without --settings"),
    ],
)
def test_a_first_pass_that_cannot_be_is_a_wrong_argument(arguments: list[str], option: str, hint: str) -> None:
    result = plan("--gpu", "h100", *arguments)
    assert result.exit_code == 2
    assert option in result.stderr
    assert hint in " ".join(result.stderr.split())
