from pathlib import Path

import pytest

from service.media.oom_kills import oom_kills

EVENTS = "low 0\nhigh 0\nmax 4\noom 3\noom_kill 2\noom_group_kill 7\n"


def tree(root: Path, files: dict[str, str]) -> int | None:
    for name, text in files.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(text)
    return oom_kills(root / "proc", root / "cgroups")


@pytest.mark.parametrize(
    "files",
    [
        {"proc/self/cgroup": "0::/pod/one\n", "cgroups/pod/one/memory.events": EVENTS},
        {"proc/self/cgroup": "0::/\n", "cgroups/memory.events": EVENTS},
        {"proc/self/cgroup": "0::/of/the/host\n", "cgroups/memory.events": EVENTS},
        {
            "proc/self/cgroup": "7:cpu,cpuacct:/pod\n4:memory:/pod\n0::/\n",
            "cgroups/memory/pod/memory.oom_control": "oom_kill_disable 0\nunder_oom 0\noom_kill 2\n",
        },
        {"proc/self/cgroup": "0::/\n", "proc/vmstat": "nr_free_pages 5\noom_kill 2\n"},
    ],
    ids=["v2", "own namespace", "another namespace", "v1", "no cgroup"],
)
def test_kills_are_counted_wherever_the_kernel_reports_them(tmp_path: Path, files: dict[str, str]) -> None:
    assert tree(tmp_path, files) == 2


def test_nothing_is_claimed_where_nothing_reports(tmp_path: Path) -> None:
    assert tree(tmp_path, {"proc/self/cgroup": "0::/\n"}) is None
    assert tree(tmp_path / "bare", {}) is None


def test_this_machine_reports() -> None:
    assert oom_kills() is not None
