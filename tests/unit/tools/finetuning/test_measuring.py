"""The two policies by which a model without an adapter and with it is measured."""

from pathlib import Path

import pytest
import yaml

from service.policy.loader import load_policies
from service.settings.settings import PolicySettings
from service.tools.finetuning.measuring import two_policies

RULES = {"child_safety": {"review": 0.5}, "weapons": {"review": 0.5}}


@pytest.mark.parametrize("name", ["shop", "with-adapter", "shop/de", "../../shop"])
def test_they_differ_by_the_adapter_alone_and_neither_has_a_first_pass(tmp_path: Path, name: str) -> None:
    policy = {
        "name": name,
        "version": "1",
        "adapter": "another",
        "tenants": "shop",
        "first_pass": {"engine": "smaller", "clear_below": {"default": 0.1, "child_safety": 0.1}},
        "categories": RULES,
    }
    (tmp_path / "policy.yaml").write_text(yaml.safe_dump(policy))
    with two_policies(tmp_path / "policy.yaml", "mine") as (folder, before, after):
        policies = load_policies(PolicySettings(path=folder, default=before))
        asked = [policies.select(each).instructions for each in (before, after)]
        assert {path.parent for path in folder.iterdir()} == {folder}
    assert before == name
    assert [each.adapter for each in asked] == [None, "mine"]
    assert [each.first_pass for each in asked] == [None, None]
    assert asked[0].categories == asked[1].categories
