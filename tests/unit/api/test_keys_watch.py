"""Keys come and go without a restart; a broken file changes nothing."""

import asyncio
import os
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest
import structlog
from structlog.typing import EventDict

from service.api.callers.access_errors import KeysFileError
from service.api.callers.api_keys import NewKey, new_key
from service.api.callers.keys_watch import KeysWatch
from testing.waiting import wait_until


def text_of(*made: NewKey) -> str:
    return "".join(
        f"- {{id: {each.entry.id}, sha256: '{each.entry.sha256}', tenant: shop, scopes: [read]}}\n" for each in made
    )


def write(path: Path, text: str | None) -> None:
    """Write the file, or delete it."""
    if text is None:
        path.unlink()
    else:
        path.write_text(text)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "keys.yaml"


@pytest.fixture
def logged() -> Iterator[list[EventDict]]:
    with structlog.testing.capture_logs() as events:
        yield events


async def settle(watch: KeysWatch) -> None:
    await watch.refresh()
    await watch.refresh()


def ids(watch: KeysWatch) -> set[str]:
    return set(watch.keys.by_id)


async def test_a_key_that_is_added_is_accepted_and_one_that_is_taken_out_is_not(
    path: Path, logged: list[EventDict]
) -> None:
    first, second = new_key(), new_key()
    write(path, text_of(first))
    watch = KeysWatch(path)
    assert ids(watch) == {first.entry.id}
    write(path, text_of(second))
    await settle(watch)
    assert ids(watch) == {second.entry.id}
    assert [(event["event"], event["keys"]) for event in logged] == [("access.keys_read", 1)]


async def test_an_unchanged_file_is_not_parsed_again(path: Path, logged: list[EventDict]) -> None:
    write(path, text_of(new_key()))
    watch = KeysWatch(path)
    keys = watch.keys
    await settle(watch)
    os.utime(path)
    await settle(watch)
    assert watch.keys is keys
    assert logged == []


async def test_a_secret_of_kubernetes_is_followed_through_its_links(tmp_path: Path) -> None:
    first, second = new_key(), new_key()
    for name, made in (("one", first), ("two", second)):
        (tmp_path / name).mkdir()
        (tmp_path / name / "keys.yaml").write_text(text_of(made))
    (tmp_path / "..data").symlink_to("one")
    (tmp_path / "keys.yaml").symlink_to("..data/keys.yaml")
    watch = KeysWatch(tmp_path / "keys.yaml")
    assert ids(watch) == {first.entry.id}
    (tmp_path / "..data_tmp").symlink_to("two")
    (tmp_path / "..data_tmp").replace(tmp_path / "..data")
    await settle(watch)
    assert ids(watch) == {second.entry.id}


async def test_a_file_is_not_taken_while_it_is_being_written(path: Path) -> None:
    first, second = new_key(), new_key()
    write(path, text_of(first, second))
    watch = KeysWatch(path)
    write(path, text_of(first))  # half of what the editor writes
    await watch.refresh()
    assert ids(watch) == {first.entry.id, second.entry.id}
    write(path, text_of(first, second) + "# done\n")
    await settle(watch)
    assert ids(watch) == {first.entry.id, second.entry.id}


@pytest.mark.parametrize("content", ["", "- id: 7\n", "keys: [", "[" * 100])
async def test_a_broken_file_is_refused_loudly_and_the_keys_stay(
    path: Path, content: str, logged: list[EventDict]
) -> None:
    made = new_key()
    write(path, text_of(made))
    watch = KeysWatch(path)
    write(path, content)
    for _ in range(3):
        await settle(watch)
    assert ids(watch) == {made.entry.id}
    (event,) = logged
    assert (event["event"], event["log_level"], event["keys_in_force"]) == ("access.keys_refused", "error", 1)
    assert f"{path}, line 1: " in event["detail"]
    (warning,) = watch.warnings()
    assert warning.endswith("see access.keys_refused in the log")


async def test_the_warning_ends_when_the_file_is_mended(path: Path) -> None:
    made = new_key()
    write(path, text_of(made))
    watch = KeysWatch(path)
    for broken in ("- id: 7\n", None):
        write(path, broken)
        await settle(watch)
        assert watch.warnings()
        write(path, text_of(made))  # as it was
        await settle(watch)
        assert watch.warnings() == []
        assert ids(watch) == {made.entry.id}


async def test_a_file_that_vanishes_is_reported_once_and_the_keys_stay(path: Path, logged: list[EventDict]) -> None:
    made = new_key()
    write(path, text_of(made))
    watch = KeysWatch(path)
    write(path, None)
    for _ in range(3):
        await settle(watch)
    assert ids(watch) == {made.entry.id}
    assert [event["event"] for event in logged] == ["access.keys_refused"]


def test_a_start_with_a_broken_file_is_refused(path: Path) -> None:
    write(path, "- id: 7\n")
    with pytest.raises(KeysFileError, match=r"line 1: 0\.id: Input should be a valid string"):
        KeysWatch(path)


async def test_the_file_is_watched_until_the_watch_is_cancelled(path: Path) -> None:
    first, second = new_key(), new_key()
    write(path, text_of(first))
    watch = KeysWatch(path, every_s=0.001)
    task = asyncio.create_task(watch.watch())
    write(path, text_of(second))
    await wait_until(lambda: ids(watch) == {second.entry.id}, description="the new key is read")
    task.cancel()
    with suppress(asyncio.CancelledError):
        await task
