from pathlib import Path

import pytest

from service.policy.decide import decide
from service.policy.errors import PolicyFileError, PolicySettingsError, UnknownPolicyError
from service.policy.loader import load_policies
from service.policy.policy_file import check_policy
from service.policy.taxonomy import NAMES
from service.settings.settings import PolicySettings

VALID = """\
name: {name}
version: "1"
categories:
  child_safety: {{review: 0.1}}
  weapons: {{review: 0.5}}
"""


def write(folder: Path, file: str, content: str) -> Path:
    path = folder / file
    path.write_text(content, encoding="utf-8")
    return path


def test_the_bundled_policy_has_a_rule_for_every_category() -> None:
    policy = load_policies(PolicySettings()).select(None)
    assert policy.name == "default"
    assert set(policy.categories) == set(NAMES)


@pytest.mark.parametrize("category", ["swimwear_underwear", "alcohol", "weapons"])
def test_by_default_what_is_legal_and_common_is_labelled_and_never_blocked(category: str) -> None:
    policy = load_policies(PolicySettings()).default
    for score, decision in [(0.2, "allow"), (1.0, "review")]:
        result = decide(policy, {category: score}, frozenset())
        assert result.decision == decision
        assert result.reasons[0].category == category


def test_a_file_brings_one_policy(tmp_path: Path) -> None:
    path = write(tmp_path, "mine.yaml", VALID.format(name="mine"))
    policies = load_policies(PolicySettings(path=path, default="mine"))
    assert policies.select(None) is policies.select("mine")


def test_a_folder_brings_all_its_policies(tmp_path: Path) -> None:
    write(tmp_path, "a.yaml", VALID.format(name="default"))
    write(tmp_path, "b.yml", VALID.format(name="strict"))
    write(tmp_path, "notes.txt", "no policy")
    policies = load_policies(PolicySettings(path=tmp_path))
    assert (policies.select(None).name, policies.select("strict").name) == ("default", "strict")


def test_an_event_that_names_an_unknown_policy_is_refused() -> None:
    with pytest.raises(UnknownPolicyError, match="No policy is named 'strict'; known: default"):
        load_policies(PolicySettings()).select("strict")


def test_a_default_that_is_not_there_names_its_setting(tmp_path: Path) -> None:
    path = write(tmp_path, "mine.yaml", VALID.format(name="mine"))
    with pytest.raises(PolicySettingsError, match=r"policy\.default: no policy is named 'default'; known: mine"):
        load_policies(PolicySettings(path=path))


def test_two_files_with_one_name_are_an_error(tmp_path: Path) -> None:
    for file in ("a.yaml", "b.yaml"):
        write(tmp_path, file, VALID.format(name="default"))
    with pytest.raises(PolicySettingsError, match=r"policy\.path: two files define the policy 'default'"):
        load_policies(PolicySettings(path=tmp_path))


def test_an_empty_folder_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(PolicySettingsError, match=r"holds no \.yaml or \.yml file"):
        load_policies(PolicySettings(path=tmp_path))


@pytest.mark.parametrize(
    ("content", "line", "detail"),
    [
        ("", 1, "the file is empty"),
        ("name: a\nversion: [1", 2, "expected ',' or ']'"),
        ("- 1\n", 1, "should be an object with named fields"),
        ("name: a\nname: b\n", 2, "'name' stands there twice"),
        (VALID.format(name="a") + "  weapons: {review: 0.1}\n", 6, "'weapons' stands there twice"),
        (VALID.format(name="a").replace("0.5", "1.5"), 5, "categories.weapons.review: Input should be less than"),
        (
            VALID.format(name="a").replace("weapons", "weapon"),
            5,
            "categories.weapon: unknown category; known are child_safety, sexual_explicit",
        ),
        (VALID.format(name="a") + "colour: red\n", 6, "colour: Extra inputs are not permitted"),
        ("name: a\nversion: 1\ncategories: {}\n", 2, "version: Input should be a valid string"),
        ("name: a\nversion: !!python/object:os.system {}\n", 2, "could not determine a constructor"),
    ],
)
def test_a_mistake_is_named_with_file_line_and_setting(tmp_path: Path, content: str, line: int, detail: str) -> None:
    path = write(tmp_path, "mine.yaml", content)
    with pytest.raises(PolicyFileError) as caught:
        check_policy(path).result()
    assert caught.value.facts["line"] == line
    assert detail in str(caught.value)
    assert str(caught.value).startswith(f"{path}, line {line}: ")
    assert "policy.path" in str(caught.value)


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(PolicyFileError, match=r"none\.yaml"):
        load_policies(PolicySettings(path=tmp_path / "none.yaml"))


def test_a_file_that_is_no_text_is_named(tmp_path: Path) -> None:
    path = tmp_path / "mine.yaml"
    path.write_bytes(b"\xff\xfe\x00")
    with pytest.raises(PolicyFileError, match=r"mine\.yaml"):
        check_policy(path).result()


def test_an_attribute_schema_in_a_folder_of_policies_is_none(tmp_path: Path) -> None:
    write(tmp_path, "a.yaml", VALID.format(name="default"))
    write(tmp_path, "shoes.attributes.yaml", "name: shoes")
    assert set(load_policies(PolicySettings(path=tmp_path)).by_name) == {"default"}


def test_events_that_name_no_policy_get_their_tenants(tmp_path: Path) -> None:
    write(tmp_path, "a.yaml", VALID.format(name="default"))
    write(tmp_path, "b.yaml", VALID.format(name="shop") + "tenants: [shoes, hats]\n")
    policies = load_policies(PolicySettings(path=tmp_path))
    chosen = [policies.select(None, tenant=tenant).name for tenant in ("shoes", "hats", "cars", "")]
    assert chosen == ["shop", "shop", "default", "default"]


def test_a_policy_that_an_event_names_goes_before_its_tenants(tmp_path: Path) -> None:
    write(tmp_path, "a.yaml", VALID.format(name="default"))
    write(tmp_path, "b.yaml", VALID.format(name="shop") + "tenants: [shoes]\n")
    policies = load_policies(PolicySettings(path=tmp_path))
    assert policies.select("default", tenant="shoes").name == "default"
    with pytest.raises(UnknownPolicyError, match="No policy is named 'shoes'"):
        policies.select("shoes", tenant="shoes")


@pytest.mark.parametrize(("tenant", "named"), [("shoes", "default, shop"), ("cars", "default"), ("", "default")])
def test_an_unknown_policy_names_none_of_another_tenant(tmp_path: Path, tenant: str, named: str) -> None:
    write(tmp_path, "a.yaml", VALID.format(name="default"))
    write(tmp_path, "b.yaml", VALID.format(name="shop") + "tenants: [shoes]\n")
    write(tmp_path, "c.yaml", VALID.format(name="launch-2027") + "tenants: [hats]\n")
    policies = load_policies(PolicySettings(path=tmp_path))
    with pytest.raises(UnknownPolicyError, match=rf"known: {named}$"):
        policies.select("none", tenant=tenant)


def test_a_stranger_may_name_its_own_policies_and_those_for_all(tmp_path: Path) -> None:
    write(tmp_path, "a.yaml", VALID.format(name="default") + "tenants: [bags]\n")
    write(tmp_path, "b.yaml", VALID.format(name="shop") + "tenants: [shoes]\n")
    write(tmp_path, "c.yaml", VALID.format(name="strict"))
    policies = load_policies(PolicySettings(path=tmp_path))
    assert [policies.select_known(name, tenant="shoes").name for name in (None, "shop", "strict")] == [
        *("shop", "shop", "strict")
    ]
    # It applies to tenants without a policy, so they may name it.
    assert [policies.select_known(name, tenant="cars").name for name in (None, "default")] == ["default", "default"]
    with pytest.raises(UnknownPolicyError, match=r"No policy is named 'shop'; known: default, strict$"):
        policies.select_known("shop", tenant="cars")


def test_two_policies_for_one_tenant_are_an_error(tmp_path: Path) -> None:
    write(tmp_path, "a.yaml", VALID.format(name="default") + "tenants: [shoes]\n")
    write(tmp_path, "b.yaml", VALID.format(name="shop") + "tenants: [hats, shoes]\n")
    with pytest.raises(PolicySettingsError, match="'default' and 'shop' are both for the tenant 'shoes'"):
        load_policies(PolicySettings(path=tmp_path))


def test_a_tenant_without_a_name_is_an_error(tmp_path: Path) -> None:
    path = write(tmp_path, "a.yaml", VALID.format(name="default") + 'tenants: [""]\n')
    with pytest.raises(PolicyFileError, match=r"line 6: tenants\.0: String should have at least 1 character"):
        load_policies(PolicySettings(path=path))
