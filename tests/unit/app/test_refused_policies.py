"""Files with a mistake are refused as a whole until they are corrected."""

from collections.abc import Callable
from pathlib import Path

import pytest
from structlog.typing import EventDict

from service.app.policy_reload import PolicyReload
from service.settings.settings import PolicySettings
from testing.metrics import counting, scraped
from tests.unit.app.policies import Preparing, started, use, versions, write


def no_yaml(folder: Path) -> None:
    (folder / "shop.yaml").write_text("name: shop\n  version: [")


def half_written(folder: Path) -> None:
    text = (folder / "shop.yaml").read_text()
    (folder / "shop.yaml").write_text(text[: len(text) // 2])


def truncated(folder: Path) -> None:
    (folder / "shop.yaml").write_text("")


def default_gone(folder: Path) -> None:
    (folder / "shop.yaml").unlink()
    write(folder, "fair")


def name_twice(folder: Path) -> None:
    (folder / "copy.yaml").write_text((folder / "shop.yaml").read_text())


def tenant_twice(folder: Path) -> None:
    write(folder, "fair", tenants="eu")
    write(folder, "market", tenants="eu")


def no_file(folder: Path) -> None:
    (folder / "shop.yaml").unlink()


def vanished(folder: Path) -> None:
    no_file(folder)
    folder.rmdir()


def mended(folder: Path) -> None:
    folder.mkdir(exist_ok=True)
    for each in folder.iterdir():
        each.unlink()
    write(folder, version=2)


@pytest.mark.parametrize(
    ("breaks", "reason"),
    [
        (no_yaml, "policy.invalid_file"),
        (half_written, "policy.invalid_file"),
        (truncated, "policy.invalid_file"),
        (default_gone, "policy.invalid_settings"),
        (name_twice, "policy.invalid_settings"),
        (tenant_twice, "policy.invalid_settings"),
        (no_file, "policy.invalid_settings"),
        (vanished, "policy.invalid_file"),
    ],
)
async def test_files_with_a_mistake_are_refused_loudly_until_they_are_corrected(
    folder: Path, logged: list[EventDict], breaks: Callable[[Path], None], reason: str
) -> None:
    with counting() as metrics:
        reload = await started(folder)
        before = reload.policies.current
        breaks(folder)
        assert await use(reload, folder)
        assert reload.policies.current is before
        (event,) = [event for event in logged if event["event"] == "policy.reload_refused"]
        assert (event["log_level"], event["reason"], event["policies_in_force"]) == ("error", reason, 1)
        assert event["detail"]
        assert reload.is_refused
        (warning,) = reload.warnings()
        assert warning.endswith("see policy.reload_refused in the log")
        mended(folder)
        assert await use(reload, folder)
        assert (reload.is_refused, reload.warnings()) == (False, [])
        assert versions(reload) == {"shop": "2"}
        assert scraped(metrics).by("reason", "modstream_policy_reloads_total") == {reason: 1, "": 1}


async def test_the_log_counts_further_problems(folder: Path, logged: list[EventDict]) -> None:
    reload = await started(folder)
    (folder / "shop.yaml").write_text("name: shop\ncolour: red\nsize: 3\n")
    await use(reload, folder)
    (event,) = [event for event in logged if event["event"] == "policy.reload_refused"]
    assert (event["further_problems"], "line 1: version: Field required" in event["detail"]) == (3, True)


def test_policies_that_cannot_be_used_end_the_start(folder: Path) -> None:
    no_yaml(folder)
    with pytest.raises(Exception, match=r"shop\.yaml, line 2"):
        PolicyReload(PolicySettings(path=folder, default="shop"), Preparing())
