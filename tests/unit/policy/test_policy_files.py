"""Policy files are read as they are at one moment, and compared with those of another."""

import os
from collections.abc import Callable
from pathlib import Path

import pytest

from service.core.documents import MAX_BYTES
from service.policy import policy_files
from service.policy.errors import PolicyFileError, PolicySettingsError
from service.policy.loader import check_each
from service.policy.policy_files import PolicyFiles

POLICY = "name: {name}\nversion: '1'\ncategories:\n  child_safety: {{review: 0.1}}\n"
SHAPES = "name: shapes\nversion: '1'\nattributes:\n  shape: {key: f, asks: its shape, values: [circle]}\n"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    folder = tmp_path / "policies"
    folder.mkdir()
    write(folder, "shop")
    return folder


def write(folder: Path, name: str, more: str = "") -> Path:
    path = folder / f"{name}.yaml"
    path.write_text(POLICY.format(name=name) + more)
    return path


def problem(path: Path) -> str:
    """Return the one problem with the files of a path."""
    (found,) = check_each(PolicyFiles(path)).problems
    return str(found)


def names(files: PolicyFiles) -> list[str]:
    return [policy.name for policy in check_each(files).result()]


def rewritten(folder: Path) -> None:
    write(folder, "shop", "description: new\n")


def added(folder: Path) -> None:
    write(folder, "fair")


def deleted(folder: Path) -> None:
    (folder / "shop.yaml").unlink()


def renamed(folder: Path) -> None:
    (folder / "shop.yaml").rename(folder / "fair.yaml")


def gone(folder: Path) -> None:
    folder.rename(folder.with_name("away"))


@pytest.mark.parametrize("change", [rewritten, added, deleted, renamed, gone])
def test_files_differ_after_a_change(folder: Path, change: Callable[[Path], None]) -> None:
    before = PolicyFiles(folder)
    assert before.reread() == before
    change(folder)
    assert before.reread() != before


def test_files_that_were_touched_and_other_files_change_nothing(folder: Path) -> None:
    before = PolicyFiles(folder)
    os.utime(folder / "shop.yaml", (0, 0))
    (folder / "README.md").write_text("our policies")
    assert before.reread() == before


def test_what_was_read_is_used_whatever_stands_there_since(folder: Path) -> None:
    files = PolicyFiles(folder)
    (folder / "shop.yaml").write_text("[")
    assert names(files) == ["shop"]


def test_a_config_map_of_kubernetes_is_followed_through_its_links(tmp_path: Path) -> None:
    for release, name in (("one", "shop"), ("two", "fair")):
        (tmp_path / release).mkdir()
        write(tmp_path / release, "shop").write_text(POLICY.format(name=name))
    mount = tmp_path / "mount"
    mount.mkdir()
    (mount / "..data").symlink_to("../one")
    (mount / "shop.yaml").symlink_to("..data/shop.yaml")
    before = PolicyFiles(mount)
    assert names(before) == ["shop"]
    (mount / "..data_tmp").symlink_to("../two")
    (mount / "..data_tmp").replace(mount / "..data")
    after = before.reread()
    assert after != before
    assert names(after) == ["fair"]


@pytest.mark.parametrize("place", ["shapes.attributes.yaml", "tags/shapes.yaml", "../shapes.yaml"])
def test_the_attributes_that_a_policy_names_are_part_of_its_files(folder: Path, place: str) -> None:
    write(folder, "shop", f"attributes: {place}\n")
    before = PolicyFiles(folder)
    assert "nor a file beside the policy" in problem(folder)
    assert check_each(before).problems
    path = folder / place
    path.parent.mkdir(exist_ok=True)
    path.write_text(SHAPES)
    after = before.reread()
    assert after != before
    (policy,) = check_each(after).result()
    assert policy.instructions.attributes is not None
    path.write_text(SHAPES.replace("circle", "square"))
    assert after.reread() != after


def test_a_single_file_is_followed_with_its_attributes(folder: Path) -> None:
    path = write(folder, "shop", "attributes: shapes.yaml\n")
    (folder / "shapes.yaml").write_text(SHAPES)
    before = PolicyFiles(path)
    assert names(before) == ["shop"]
    write(folder, "fair")
    assert before.reread() == before
    (folder / "shapes.yaml").unlink()
    assert before.reread() != before


def test_a_file_of_a_gigabyte_is_refused_after_its_first_part(folder: Path) -> None:
    with (folder / "shop.yaml").open("ab") as file:
        file.truncate(1024**3)
    files = PolicyFiles(folder)
    assert len(files.read(folder / "shop.yaml")) == MAX_BYTES + 1
    assert problem(folder).startswith(f"{folder / 'shop.yaml'}, line 1: the file has more than 1,048,576 bytes")


def test_a_pipe_is_not_waited_for(folder: Path) -> None:
    os.mkfifo(folder / "pipe.yaml")
    assert "pipe.yaml, line 1: the file cannot be read: it is no regular file" in problem(folder)


def test_links_in_a_circle_are_reported(folder: Path) -> None:
    (folder / "one.yaml").symlink_to("two.yaml")
    (folder / "two.yaml").symlink_to("one.yaml")
    found = [str(each) for each in check_each(PolicyFiles(folder)).problems]
    assert [each.count("Too many levels of symbolic links") for each in found] == [1, 1]


def test_a_folder_of_policies_that_is_a_circle_is_reported(tmp_path: Path) -> None:
    (tmp_path / "one").symlink_to("two")
    (tmp_path / "two").symlink_to("one")
    assert "Too many levels of symbolic links" in problem(tmp_path / "one")


def test_a_folder_that_may_not_be_listed_is_reported(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(_: Path) -> None:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(Path, "iterdir", refuse)
    assert problem(folder) == f"policy.path: {folder} cannot be listed: Permission denied"


def test_a_file_that_may_not_be_read_is_reported(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(_: Path) -> bytes:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(policy_files, "read_bounded", refuse)
    assert f"{folder / 'shop.yaml'}, line 1: the file cannot be read: Permission denied" in problem(folder)


def test_a_name_that_no_file_can_have_is_reported(folder: Path) -> None:
    write(folder, "shop", 'attributes: "a\\0b"\n')
    assert "no name of a file" in problem(folder)


def test_a_folder_without_policies_is_reported_with_the_setting_that_named_it(tmp_path: Path) -> None:
    with pytest.raises(PolicySettingsError, match=r"shadow\.policies: .* holds no \.yaml or \.yml file"):
        PolicyFiles(tmp_path, setting="shadow.policies").reread().paths()


def test_a_folder_with_a_multitude_of_files_is_not_read(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(policy_files, "MAX_FILES", 2)
    write(folder, "fair")
    assert names(PolicyFiles(folder)) == ["fair", "shop"]
    write(folder, "market")
    assert "holds 3 policy files, and 2 are the most" in problem(folder)


def test_every_problem_of_every_file_is_reported(folder: Path) -> None:
    for name in ("one", "two"):
        (folder / f"{name}.yaml").write_text("name: 1\nversion: 2\n")
    found = check_each(PolicyFiles(folder)).problems
    assert len(found) == 6
    assert {type(each) for each in found} == {PolicyFileError}
