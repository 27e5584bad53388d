"""Files that are written whole or not at all."""

import os
from pathlib import Path

import pytest

from service.tools.evaluation.report.whole_file import write_whole


def test_a_file_keeps_its_content_where_the_new_one_cannot_be_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "report.html"
    path.write_text("old")

    def full(_: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(OSError, match="No space left"):
        write_whole(path, b"new")

    assert path.read_text() == "old"
    assert list(tmp_path.iterdir()) == [path]


def test_what_a_killed_run_left_behind_goes_when_it_is_old(tmp_path: Path) -> None:
    path = tmp_path / "report.html"
    old, new = (tmp_path / f".report.html.{name}.partial" for name in ("old", "new"))
    old.write_text("half")
    os.utime(old, (0, 0))
    new.write_text("half")

    write_whole(path, b"new")

    assert path.read_text() == "new"
    assert sorted(tmp_path.iterdir()) == [new, path]


def test_two_processes_that_write_one_file_do_not_mix(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path, fsync = tmp_path / "report.html", os.fsync

    def meanwhile(file: int) -> None:
        monkeypatch.setattr(os, "fsync", fsync)
        write_whole(path, b"second")
        assert path.read_text() == "second"
        fsync(file)

    monkeypatch.setattr(os, "fsync", meanwhile)
    write_whole(path, b"first")

    assert path.read_text() == "first"
    assert list(tmp_path.iterdir()) == [path]


def test_a_link_to_a_file_stays_a_link(tmp_path: Path) -> None:
    (tmp_path / "latest.html").symlink_to(tmp_path / "report.html")

    write_whole(tmp_path / "latest.html", b"new")

    assert (tmp_path / "latest.html").is_symlink()
    assert (tmp_path / "report.html").read_text() == "new"


def test_a_device_is_written_to_and_not_replaced() -> None:
    write_whole(Path(os.devnull), b"new")
    assert Path(os.devnull).is_char_device()
