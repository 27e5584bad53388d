"""The examples of docs/moderation.md are what people copy."""

import re
from pathlib import Path

import pytest
import yaml

from service.core.instructions import ModelInstructions
from service.inference.vision.prompt import prompter
from service.policy.attribute_file import AttributeFile
from service.policy.policy_file import check_policy

DOCUMENT = (Path(__file__).parents[3] / "docs/moderation.md").read_text(encoding="utf-8")
EXAMPLES = re.findall(r"```yaml\n(.*?)```", DOCUMENT, re.DOTALL)
POLICIES = [example for example in EXAMPLES if example.startswith("name: marketplace\n")]
FRAGMENTS = [example for example in EXAMPLES if example.startswith("  ")]
KEYS = [example for example in EXAMPLES if example.startswith("ambiguous:")]
SCHEMAS = [example for example in EXAMPLES if example.startswith("name: shoes\n")]


def instructions_of(folder: Path, content: str) -> ModelInstructions:
    path = folder / "example.yaml"
    path.write_text(content, encoding="utf-8")
    return check_policy(path).result().instructions


def test_every_example_is_tried() -> None:
    assert len(POLICIES) == 1
    assert len(FRAGMENTS) == 2
    assert len(KEYS) == 1
    assert len(SCHEMAS) == 1
    assert len(EXAMPLES) == 5


def test_examples_of_keys_are_part_of_a_policy(tmp_path: Path) -> None:
    assert instructions_of(tmp_path, re.sub(r"ambiguous: .*\n", KEYS[0], POLICIES[0]))


@pytest.mark.parametrize("fragment", ["", *FRAGMENTS])
def test_examples_of_policies_can_be_asked(tmp_path: Path, fragment: str) -> None:
    # The fragment on weapons is one of the example's own categories in other words.
    policy = re.sub(r"  weapons: .*\n", "", POLICIES[0]) if "weapons" in fragment else POLICIES[0]
    system = prompter(instructions_of(tmp_path, policy + fragment)).system
    assert ("Not meant: kitchen knives" in system) == ("weapons" not in fragment)
    assert ("\nK: rival_brand: " in system) == ("rival_brand" in fragment)


def test_the_example_of_an_attribute_schema_can_be_asked() -> None:
    assert AttributeFile.model_validate(yaml.safe_load(SCHEMAS[0])).as_schema().name == "shoes/1"
