import json
from pathlib import Path

import jsonschema
import pytest
import sqlglot
import yaml
from typer.testing import CliRunner, Result

from service.cli.commands import app
from service.cli.policy_text import estimated_tokens
from service.inference.vision.prompt import prompter
from service.policy.loader import load_policies
from service.policy.policy import Policy
from service.policy.policy_files import policy_paths
from service.settings.settings import PolicySettings

POLICY = """\
name: {name}
version: "1"
language: zh
categories:
  child_safety: {{review: 0.1}}
  rival_brand: {{review: 0.5, definition: {{means: the brand of a rival, label: K}}}}
"""


def modstream(*arguments: str, **environment: str) -> Result:
    return CliRunner().invoke(app, ["policy", *arguments], env=environment)


def write(folder: Path, content: str, file: str = "shop.yaml") -> str:
    path = folder / file
    path.write_text(content, encoding="utf-8")
    return str(path)


def test_show_prints_the_prompt_of_a_model_and_nothing_else() -> None:
    prompts = prompter(load_policies(PolicySettings()).default.instructions)
    shown = modstream("show").stdout
    assert prompts.system in shown
    for question in (prompts.which(None), prompts.is_it(None, "CATEGORY"), prompts.describe(None)):
        assert question.question in shown
    assert prompts.hash in shown
    assert "A none, B child_safety, C sexual_explicit" in shown
    assert f"{len(prompts.system)} characters" in shown


def test_show_prints_the_policy_that_is_named(tmp_path: Path) -> None:
    path = write(tmp_path, POLICY.format(name="shop"))
    result = modstream("show", "shop", MODSTREAM_POLICY__PATH=path, MODSTREAM_POLICY__DEFAULT="shop")
    assert result.exit_code == 0
    assert "K: rival_brand: the brand of a rival" in result.stdout
    assert "属于哪一类" in result.stdout


def test_show_leaves_out_tags_that_are_not_requested(tmp_path: Path) -> None:
    path = write(tmp_path, POLICY.format(name="default") + "attributes: null\n")
    assert "tags         none" in (shown := modstream("show", MODSTREAM_POLICY__PATH=path).stdout)
    assert "for events that want tags" not in shown


def test_show_names_the_policies_that_there_are() -> None:
    result = modstream("show", "shop")
    assert result.exit_code == 1
    assert "No policy is named 'shop'; known: default" in result.stderr


def test_show_of_a_file_says_how_its_policy_is_named(tmp_path: Path) -> None:
    result = modstream("show", path := write(tmp_path, POLICY.format(name="shop")))
    assert result.exit_code == 2
    assert f"MODSTREAM_POLICY__PATH={path} modstream policy show NAME" in result.stderr


def test_check_says_of_right_files_what_they_hold(tmp_path: Path) -> None:
    result = modstream("check", write(tmp_path, POLICY.format(name="shop")))
    assert result.exit_code == 0
    assert "shop, version 1: 2 categories (1 of its own), about " in result.stdout
    assert "error" not in result.stderr


def test_check_warns_of_categories_that_the_configured_engine_does_not_look_for(tmp_path: Path) -> None:
    path = write(tmp_path, POLICY.format(name="shop"))
    embedded = modstream("check", path)
    assert embedded.exit_code == 0
    assert "warning" in embedded.stderr
    assert "(engine.kind: onnx) does not look for child_safety, rival_brand" in embedded.stderr
    assert modstream("check", path, MODSTREAM_ENGINE__KIND="vllm").stderr == ""
    assert "(engine.kind: rehearsal)" in modstream("check", path, MODSTREAM_ENGINE__KIND="rehearsal").stderr


CHEAPER = """\
first_pass: {{engine: {engine}, clear_below: {{default: 0.02, child_safety: 0.005}}}}
"""


def test_check_and_show_say_what_a_first_pass_does(tmp_path: Path) -> None:
    path = write(tmp_path, POLICY.format(name="default") + CHEAPER.format(engine="same"))
    said = (
        "the same engine looks first, with 64 instead of 256 vision tokens, and clears images with child_safety below "
        "0.005; rival_brand below 0.02"
    )
    assert f"; {said}\n" in modstream("check", path).stdout
    assert said in modstream("show", MODSTREAM_POLICY__PATH=path).stdout


def test_check_warns_of_a_first_pass_that_the_configured_engines_cannot_take(tmp_path: Path) -> None:
    path = write(tmp_path, POLICY.format(name="shop") + CHEAPER.format(engine="smaller"))
    large, kind = {"MODSTREAM_ENGINE__KIND": "vllm"}, "MODSTREAM_ENGINE__FIRST_PASS__KIND"
    assert "engine.first_pass.kind is none" in modstream("check", path, **large).stderr
    embedded = modstream("check", path, **large, **{kind: "onnx"})
    assert "does not look for child_safety, rival_brand, so the first pass would clear no image" in embedded.stderr
    assert modstream("check", path, **large, **{kind: "openai"}).stderr == ""
    same = write(tmp_path, POLICY.format(name="shop") + CHEAPER.format(engine="same"))
    assert "its first pass has no effect with the engine of these settings" in modstream("check", same).stderr
    assert modstream("check", same, **large).stderr == ""


def test_check_refuses_a_first_pass_that_forgets_child_safety(tmp_path: Path) -> None:
    path = write(tmp_path, POLICY.format(name="shop") + "first_pass: {clear_below: 0.02}\n")
    result = modstream("check", path)
    assert result.exit_code == 1
    assert "child_safety has no entry of its own, and neither a single number nor default covers it" in " ".join(
        result.stderr.split()
    )


def test_check_takes_the_settings_that_are_named(tmp_path: Path) -> None:
    path = write(tmp_path, POLICY.format(name="shop"))
    config = write(tmp_path, "engine: {kind: vllm}\n", "modstream.yml")
    assert modstream("check", path, "--config", config).stderr == ""


def test_check_reports_mistakes_of_every_depth_at_once(tmp_path: Path) -> None:
    content = (
        "name: shop\nversion: 1\ncolour: red\ncategories:\n  violence: {review: 2}\n"
        "  weapons: {review: 0.9, block: 0.5}\n  gadgets: {review: 0.5}\n  gadgets: {review: 0.4}\n"
        "  toys: {review: 0.5, definition: {label: K}}\n  hate_symbols: {review: 0.5, definition: {label: A}}\n"
        "attributes: shoes.attributes.yaml\n"
    )
    write(tmp_path, "name: shoes\nversion: '1'\nattributes: {sole: {key: SOLE}}\n", "shoes.attributes.yaml")
    path = write(tmp_path, content)
    reported = modstream("check", path).stderr
    for mistake in (
        f"{path}:2: version",
        f"{path}:3: colour",
        f"{path}:5: categories.violence.review",
        f"{path}:6: categories.weapons: the threshold for review (0.9) is above the threshold for block (0.5)",
        f"{path}:8: 'gadgets' stands there twice",
        f"{path}:7: categories.gadgets: unknown category",
        f"{path}:9: categories.toys.definition: a category of your own needs words",
        "child_safety needs a threshold for review",
        "shoes.attributes.yaml:3: attributes.sole.key",
        "attributes.sole.asks",
    ):
        assert mistake in reported


@pytest.mark.parametrize(
    ("content", "hint"),
    [
        ("kafka: {group_id: a}\n", "looks like a settings file and not like a policy: the option --config (-c)"),
        ("name: a\nattributes:\n  sole: {key: s}\n", "looks like a file of attributes for tags"),
        ("classifiers: []\n", "the setting engine.onnx.classifiers names it"),
        ('{"image_id": "1", "image": {"url": "x"}, "caption": "y"}', "'modstream send' publishes one for an image"),
    ],
)
def test_check_of_another_kind_of_file_says_what_it_is_and_what_takes_it(
    tmp_path: Path, content: str, hint: str
) -> None:
    path = write(tmp_path, content)
    result = modstream("check", path)
    assert result.exit_code == 1
    (line,) = result.stderr.splitlines()
    assert line.startswith(f"error: {path}:1: this looks like")
    assert hint in line


def test_check_says_that_attributes_are_another_kind_of_file(tmp_path: Path) -> None:
    write(tmp_path, "kafka: {}\n", "shoes.attributes.yaml")
    path = write(tmp_path, POLICY.format(name="shop") + "attributes: shoes.attributes.yaml\n")
    (line,) = [line for line in modstream("check", path).stderr.splitlines() if "error" in line]
    assert "shoes.attributes.yaml:1: this looks like a settings file and not like a file of attributes" in line


@pytest.mark.parametrize("content", [b"\x89PNG\r\n\x1a\n\x00", b"name: a\x00", b"\xff\xfe"])
def test_check_of_a_file_that_is_no_text_says_so(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "photo.yaml"
    path.write_bytes(content)
    result = modstream("check", str(path))
    assert (result.exit_code, result.stderr) == (1, f"error: {path}:1: the file is no YAML text in UTF-8\n")


def test_check_holds_files_with_mistakes_against_each_other_too(tmp_path: Path) -> None:
    for file, wrong in (("a.yaml", "weapons: {review: 2}"), ("b.yaml", "violence: {label: 7}")):
        content = POLICY.format(name="shop") + f"  {wrong}\ntenants: shoes\n"
        write(tmp_path, content.replace("label: K", "label: A"), file)
    reported = modstream("check", str(tmp_path), str(tmp_path / "absent.yaml")).stderr
    for mistake in ("weapons.review", "violence.label", "two files define", "absent.yaml", "begin with the same token"):
        assert mistake in reported


def test_a_single_tenant_may_stand_without_brackets(tmp_path: Path) -> None:
    path = write(tmp_path, POLICY.format(name="shop") + "tenants: shoes\n")
    assert modstream("check", path).exit_code == 0
    assert load_policies(PolicySettings(path=Path(path), default="shop")).current.by_tenant.keys() == {"shoes"}
    schema = json.loads(modstream("schema").stdout)
    jsonschema.validate(yaml.safe_load(Path(path).read_text(encoding="utf-8")), schema)


def test_show_has_the_thresholds_of_every_category(tmp_path: Path) -> None:
    lines = modstream("show").stdout.splitlines()
    assert any(line.split() == ["child_safety", "review", "from", "0.1,", "block", "from", "0.8"] for line in lines)
    assert any(line.split() == ["drugs_tobacco", "label", "from", "0.2,", "review", "from", "0.5"] for line in lines)
    assert any(line.split() == ["not", "judged", "review"] for line in lines)


def test_check_reports_every_problem_of_every_file(tmp_path: Path) -> None:
    first = write(tmp_path, POLICY.format(name="a").replace("0.1", "0.9").replace('"1"', "1"), "a.yaml")
    second = write(tmp_path, POLICY.format(name="b").replace("means", "mean"), "b.yaml")
    result = modstream("check", first, second)
    assert result.exit_code == 1
    for place in (f"{first}:2: version", f"{first}:5: categories.child_safety", f"{second}:6: categories.rival_brand"):
        assert place in result.stderr


def test_check_finds_what_does_not_go_together_in_a_folder(tmp_path: Path) -> None:
    for file in ("a.yaml", "b.yaml"):
        write(tmp_path, POLICY.format(name="shop") + "tenants: [shoes]\n", file)
    result = modstream("check", str(tmp_path))
    assert result.exit_code == 1
    assert "two files define the policy 'shop'" in result.stderr
    assert "both for the tenant 'shoes'" in result.stderr


def test_check_finds_labels_that_a_prompt_cannot_have(tmp_path: Path) -> None:
    result = modstream("check", write(tmp_path, POLICY.format(name="shop").replace("label: K", "label: A")))
    assert result.exit_code == 1
    assert "The answers for none and rival_brand begin with the same token ('A')" in result.stderr


@pytest.mark.parametrize("missing", ["none.yaml", "."])
def test_check_fails_where_there_is_no_policy(tmp_path: Path, missing: str) -> None:
    result = modstream("check", str(tmp_path / missing))
    assert result.exit_code == 1
    assert str(tmp_path) in result.stderr


def test_the_schemas_of_files_are_ones_that_editors_read() -> None:
    schema = json.loads(modstream("schema").stdout)
    (bundled,) = policy_paths(None)
    content = yaml.safe_load(bundled.read_text(encoding="utf-8"))
    jsonschema.validate(content, schema)
    for wrong in ({"colour": "red"}, {"attributes": {"name": "inline"}}, {"language": "xx"}):
        with pytest.raises(jsonschema.ValidationError):
            jsonschema.validate(content | wrong, schema)


def test_the_schema_of_attributes_fits_the_bundled_ones() -> None:
    schema = json.loads(modstream("schema", "--attributes").stdout)
    (bundled,) = policy_paths(None)
    for path in (bundled.parent.parent / "attributes").glob("*.yaml"):
        jsonschema.validate(yaml.safe_load(path.read_text(encoding="utf-8")), schema)


@pytest.mark.parametrize(("language", "tokens"), [("en", 1085), ("zh", 1234)])
def test_estimates_of_tokens_are_near_what_was_counted(language: str, tokens: int) -> None:
    # Counted with the vocabulary of Qwen over the bundled policy's prompt.
    policy = Policy.model_validate(dict(load_policies(PolicySettings()).default) | {"language": language})
    assert estimated_tokens(prompter(policy.instructions).system) == pytest.approx(tokens, rel=0.1)


@pytest.mark.parametrize("column", ["decision", "deciding_category"])
@pytest.mark.parametrize("dialect", ["duckdb", "spark", "trino", "bigquery", "clickhouse", "postgres"])
def test_sql_prints_one_expression_in_the_dialect(tmp_path: Path, dialect: str, column: str) -> None:
    path = write(tmp_path, POLICY.format(name="shop"))
    printed = modstream("sql", path, "--dialect", dialect, "--column", column).stdout
    quote = "`" if dialect in {"spark", "bigquery"} else '"'
    assert f"{quote}score_rival_brand{quote} >= 0.5e0" in printed
    sqlglot.parse_one(printed, read=dialect)


def test_sql_lists_the_problems_of_a_file_and_prints_nothing(tmp_path: Path) -> None:
    result = modstream("sql", write(tmp_path, "name: shop\n"))
    assert (result.exit_code, result.stdout) == (1, "")
    assert "shop.yaml:1: " in result.stderr
