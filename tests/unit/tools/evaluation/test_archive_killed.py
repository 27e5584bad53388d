from collections.abc import Callable
from pathlib import Path
from pkgutil import resolve_name
from typing import Any

import pytest

from tests.unit.tools.evaluation.archives import archive, ids, small_polls
from tests.unit.tools.evaluation.outcome_log import OutcomeLog

STEPS = (
    "service.tools.evaluation.stored.archive_store:os.fsync",
    "service.tools.evaluation.stored.archive_store:shutil.copyfileobj",
    "pathlib:Path.replace",
    "pathlib:Path.hardlink_to",
    "pathlib:Path.mkdir",
)


class Killed(BaseException):
    """Stands for kill -9: nothing of the process runs after it, so no clean-up either."""


class Killer:
    """Ends the process before one of its steps on the file system; nothing is waited for, as no power is cut."""

    def __init__(self, patch: pytest.MonkeyPatch, *, at_step: int) -> None:
        self._left = at_step
        for name in STEPS:
            module, _, attribute = name.rpartition(".")
            target = resolve_name(module)
            patch.setattr(target, attribute, self._before(getattr(target, attribute)))
        unlink = Path.unlink

        def unlink_if_alive(path: Path, **options: bool) -> None:
            self._check()
            unlink(path, **options)

        patch.setattr(Path, "unlink", unlink_if_alive)

    def _before(self, step: Callable[..., Any]) -> Callable[..., Any]:
        def stepped(*arguments: Any, **options: Any) -> Any:
            self._left -= 1
            self._check()
            return step(*arguments, **options)

        return stepped

    def _check(self) -> None:
        if self._left <= 0:
            raise Killed


@pytest.fixture
def log(monkeypatch: pytest.MonkeyPatch) -> OutcomeLog:
    small_polls(monkeypatch, records=3)
    monkeypatch.setattr("service.tools.evaluation.stored.archive_store.os.fsync", lambda descriptor: None)
    log = OutcomeLog(partitions=1)
    log.publish_outcomes(range(3), tenants=2)
    return log


async def test_killed_at_any_step_and_started_again_no_row_is_missing_or_double(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, log: OutcomeLog
) -> None:
    await archive(log, tmp_path / "whole", flush_bytes=1)
    for step in range(1, 10_000):
        root = tmp_path / str(step)
        with monkeypatch.context() as patch:
            Killer(patch, at_step=step)
            try:
                await archive(log, root, flush_bytes=1)
            except Killed:
                pass
            else:
                break
        await archive(log, root, flush_bytes=1_000_000)
        for table in ("verdicts", "tags", "dead_letters"):
            assert ids(root, table) == ids(tmp_path / "whole", table), step
    assert step > 40
