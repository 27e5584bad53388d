from pathlib import Path

import pytest

from service.policy.errors import PolicyFileError
from service.policy.policy_file import check_policy

POLICY = """\
name: shop
version: "1"
attributes: {attributes}
categories:
  child_safety: {{review: 0.1}}
  rival_brand:
    review: 0.5
    definition:
      means: the brand of a rival
      not_meant: >
        our own brand,
        in every colour
      label: K
"""

SHAPES = """\
name: shapes
version: "1"
attributes:
  shape: {key: s, asks: its shape, values: [circle, square]}
"""


def write(folder: Path, attributes: str = "product", policy: str = POLICY) -> Path:
    path = folder / "shop.yaml"
    path.write_text(policy.format(attributes=attributes), encoding="utf-8")
    return path


def problems(path: Path) -> list[tuple[str, int, str]]:
    facts = [error.facts for error in check_policy(path).problems]
    return [(Path(str(fact["path"])).name, int(str(fact["line"])), str(fact["detail"])) for fact in facts]


def test_an_own_category_is_a_name_a_threshold_and_a_definition(tmp_path: Path) -> None:
    category = check_policy(write(tmp_path)).result().instructions.categories[-1]
    assert (category.name, category.means, category.label) == ("rival_brand", "the brand of a rival", "K")
    assert category.not_meant == "our own brand, in every colour"


def test_a_policy_names_a_schema_in_a_file_beside_it(tmp_path: Path) -> None:
    folder = tmp_path / "tags"
    folder.mkdir()
    (folder / "shapes.yaml").write_text(SHAPES, encoding="utf-8")
    schema = check_policy(write(tmp_path, "tags/shapes.yaml")).result().instructions.attributes
    assert schema is not None
    assert (schema.name, schema.attributes[0].values) == ("shapes/1", ("circle", "square"))


@pytest.mark.parametrize("written", ["2024-02-30", "&a {x: *a}", "!!bool maybe"])
def test_a_value_that_cannot_be_read_is_reported_with_its_line(tmp_path: Path, written: str) -> None:
    ((name, line, detail),) = problems(write(tmp_path, written.replace("{", "{{").replace("}", "}}")))
    assert (name, line) == ("shop.yaml", 3)
    assert "not YAML" in detail


def test_a_file_with_nothing_but_mistakes_is_reported_by_the_first_hundred(tmp_path: Path) -> None:
    path = write(tmp_path, policy="".join(f"k{number}: 1\n" for number in range(20_000)))
    assert len(problems(path)) == 100


def test_a_name_that_no_file_can_have_is_reported(tmp_path: Path) -> None:
    ((_, line, detail),) = problems(write(tmp_path, "x" * 300))
    assert (line, detail.startswith("attributes: neither a bundled schema")) == (3, True)


@pytest.mark.parametrize("nothing", ["null", "~", ""])
def test_a_policy_may_ask_for_no_tags(tmp_path: Path, nothing: str) -> None:
    assert check_policy(write(tmp_path, nothing)).result().instructions.attributes is None


@pytest.mark.parametrize("named", ["products", "none.yaml", "[product]", "{name: product}", "3"])
def test_a_schema_that_is_not_there_is_named_with_its_line(tmp_path: Path, named: str) -> None:
    ((file, line, detail),) = problems(write(tmp_path, named))
    assert (file, line) == ("shop.yaml", 3)
    assert detail.startswith("attributes: neither a bundled schema (product) nor a file beside the policy: ")


def test_a_mistake_in_a_schema_is_reported_at_its_own_line(tmp_path: Path) -> None:
    (tmp_path / "shapes.yaml").write_text(SHAPES + "  size: {key: s, asks: its size, values: [big]}\n")
    path = write(tmp_path, "shapes.yaml")
    assert problems(path) == [("shapes.yaml", 5, "attributes.size.key: two attributes have the key 's'")]
    with pytest.raises(PolicyFileError, match=r"shapes\.yaml, line 5: .*policy\.path"):
        check_policy(path).result()


def test_a_mistake_in_a_list_is_reported_at_its_entrys_line(tmp_path: Path) -> None:
    values = "values: [circle, square]"
    (tmp_path / "shapes.yaml").write_text(SHAPES.replace(values, "values:\n    [circle,\n    <square>]"))
    ((_, line, detail),) = problems(write(tmp_path, "shapes.yaml"))
    assert (line, detail.partition(":")[0]) == (6, "attributes.shape.values.1")


def test_every_problem_of_both_files_is_reported(tmp_path: Path) -> None:
    (tmp_path / "shapes.yaml").write_text(SHAPES.replace("version", "vision"))
    content = POLICY.replace("0.5", "5").replace("label: K", "label: K L") + "name: twice\n"
    found = [(file, line) for file, line, _ in problems(write(tmp_path, "shapes.yaml", content))]
    assert found == [
        ("shop.yaml", 14),
        ("shop.yaml", 7),
        ("shop.yaml", 13),
        ("shapes.yaml", 1),
        ("shapes.yaml", 2),
    ]


def test_two_categories_with_one_label_are_reported_at_the_seconds_line(tmp_path: Path) -> None:
    content = POLICY + "  weapons: {{review: 0.4, definition: {{label: K}}}}\n"
    ((_, line, detail),) = problems(write(tmp_path, policy=content))
    assert line == 14
    assert detail == "categories.weapons.definition.label: rival_brand and weapons have the same label 'K'"


def test_every_category_that_does_not_fit_in_is_reported_at_its_line(tmp_path: Path) -> None:
    content = POLICY.replace("0.1", "0.9") + "  weapon: {{review: 0.4}}\n  Own: {{definition: {{means: mine}}}}\n"
    found = [(line, detail.partition(":")[0]) for _, line, detail in problems(write(tmp_path, policy=content))]
    assert found == [(14, "categories.weapon"), (15, "categories.Own"), (5, "categories.child_safety")]


def test_a_file_that_is_no_yaml_is_a_problem_and_no_crash(tmp_path: Path) -> None:
    path = tmp_path / "shop.yaml"
    path.write_bytes(b"name: \x07")
    assert [line for _, line, _ in problems(path)] == [1]
