"""The API's demo as a newcomer runs it: real service, real models, curl, and OpenAI's own client."""

import asyncio
import re
import signal
import subprocess
import urllib.request
from pathlib import Path

import pytest

from testing.demo_runs import processes_of, start_demo

LAST_LINE = re.compile(r"demo-api: (\d+) requests = (\d+) answers \+ (\d+) failures; (\d+\.\d) s")
PAGE = re.compile(r"^page: (http://127\.0\.0\.1:\d+/)#key=(ms_\S+) ", re.MULTILINE)


def test_every_photograph_is_judged_for_both_clients_and_nothing_is_left_behind(tmp_path: Path) -> None:
    with start_demo(tmp_path, "demo-api") as demo:
        text, _ = demo.communicate(timeout=110)
    last = LAST_LINE.fullmatch(text.splitlines()[-1])
    assert last, text
    assert last.groups()[:-1] == ("25", "25", "0")
    assert demo.returncode == 0
    assert re.search(r"^wine\.jpg +review +alcohol 0\.\d\d.* yes, alcohol", text, re.MULTILINE), text
    assert re.search(r"^rifle-drawing\.jpg +review +weapons.* yes, weapons +illicit/violent 0\.", text, re.MULTILINE)
    assert re.search(r"^cat\.jpg +allow .* no +", text, re.MULTILINE)
    assert PAGE.search(text)
    assert list(processes_of(tmp_path)) == []
    assert list((tmp_path / ".demo" / "run").iterdir()) == []


async def test_a_demo_that_is_kept_serves_the_page_until_ctrl_c(tmp_path: Path) -> None:
    with start_demo(tmp_path, "demo-api", "--keep-running") as demo:
        page = await asyncio.to_thread(page_of, demo)
        assert b"<html" in await asyncio.to_thread(fetched, page)
        demo.send_signal(signal.SIGINT)
        rest, _ = demo.communicate(timeout=60)
    assert demo.returncode == 0, rest
    assert "demo-api: 25 requests = 25 answers + 0 failures" in rest
    assert list(processes_of(tmp_path)) == []


def page_of(demo: subprocess.Popen[str]) -> str:
    """Read the demo's output up to the address of its page."""
    assert demo.stdout
    for line in demo.stdout:
        if found := PAGE.search(line):
            assert "Ctrl-C" in line
            return found[1]
    raise AssertionError("the demo ended without naming its page")


def fetched(url: str) -> bytes:
    with urllib.request.urlopen(url, timeout=10) as answer:  # noqa: S310 - an address of this machine
        body: bytes = answer.read()
    return body


@pytest.mark.parametrize("missing", ["curl"])
def test_a_client_that_is_missing_is_named(missing: str, tmp_path: Path) -> None:
    with start_demo(tmp_path, "demo-api", PATH="/nowhere") as demo:
        text, _ = demo.communicate(timeout=60)
    assert demo.returncode == 1
    assert f"{missing} is not installed" in text
    assert list(processes_of(tmp_path)) == []
