"""The demo as a newcomer runs it: real broker, real service, real models."""

import os
import re
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest
from PIL import Image

from testing.demo_runs import processes_of, start_demo
from testing.waiting import wait_until

LAST_LINE = re.compile(
    r"demo: (\d+) events = (\d+) verdicts \+ (\d+) dead letters; lost (\d+), duplicated (\d+); (\d+\.\d) s"
)
REASONS = {
    "text-named.jpg": "image.unsupported_format",
    "truncated.jpg": "image.corrupt",
    "bomb.png": "image.too_many_pixels",
    "missing.jpg": "image.not_found",
    "private-address.jpg": "image.address_not_allowed",
    "no-event.bin": "event.not_json",
}


def run_demo(folder: Path, *arguments: str) -> tuple[int, list[str]]:
    with start_demo(folder, "demo", *arguments) as process:
        output, _ = process.communicate(timeout=110)
    return process.returncode, output.splitlines()


def numbers(line: str) -> tuple[int, ...]:
    found = LAST_LINE.fullmatch(line)
    assert found, line
    return tuple(int(number) for number in found.groups()[:-1])


def test_every_event_has_one_outcome_the_sheet_shows_them_and_nothing_is_left_behind(tmp_path: Path) -> None:
    code, lines = run_demo(tmp_path)
    assert numbers(lines[-1]) == (18, 12, 6, 0, 0), "\n".join(lines)
    assert code == 0
    text = "\n".join(lines)
    for event, reason in REASONS.items():
        assert re.search(rf"^{re.escape(event)} +{re.escape(reason)}", text, re.MULTILINE), event
    assert re.search(r"^wine\.jpg +review +alcohol", text, re.MULTILINE)
    assert re.search(r"^cat\.jpg +allow", text, re.MULTILINE)
    sheet = (tmp_path / ".demo" / "contact-sheet.html").read_text(encoding="utf-8")
    assert sheet.count('class="picture flagged"') == 3
    assert sheet.count("data:image/jpeg;base64,") == 12
    assert list(processes_of(tmp_path)) == []
    assert list((tmp_path / ".demo" / "run").iterdir()) == []


def test_a_folder_of_ones_own_is_judged_with_its_sub_folders(tmp_path: Path) -> None:
    images = tmp_path / "my images"
    (images / "deeper").mkdir(parents=True)
    for name in ("a.png", "b.webp", "deeper/c.gif", "deeper/d.avif", "e.jpg"):
        Image.new("RGB", (120, 90), "seagreen").save(images / name)
    (images / "broken.jpg").write_bytes(b"no image")
    (images / "empty.jpg").touch()
    (images / "line\nbreak.jpg").write_bytes(b"no image")
    code, lines = run_demo(tmp_path, "--images", str(images))
    assert numbers(lines[-1]) == (6, 5, 1, 0, 0), "\n".join(lines)
    assert "left out: empty.jpg: the file is empty" in lines
    assert "6 images sent, 2 left out" in lines
    assert code == 0


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
async def test_a_demo_that_is_interrupted_stops_what_it_started(tmp_path: Path, number: signal.Signals) -> None:
    with start_demo(tmp_path, "demo") as demo:
        await wait_until(
            lambda: any("service serve" in command for command in processes_of(tmp_path)),
            description="the service was started",
        )
        demo.send_signal(number)
        assert demo.wait(timeout=60) == 130
    assert list(processes_of(tmp_path)) == []


async def test_a_service_that_dies_is_reported_with_the_end_of_its_log(tmp_path: Path) -> None:
    # The service finds a settings file that it cannot use: a stand-in for anything that keeps it from starting.
    with start_demo(tmp_path, "demo") as demo:
        await wait_until(lambda: any(service_ids(tmp_path)), description="the service was started")
        for process_id in service_ids(tmp_path):
            os.kill(process_id, signal.SIGKILL)
        output, _ = demo.communicate(timeout=60)
    assert demo.returncode == 1
    assert "the service ended with -9" in output
    assert "service.log" in output
    assert "lost 18, duplicated 0" in output.splitlines()[-1]


def service_ids(folder: Path) -> Iterator[int]:
    for entry in Path("/proc").glob("[0-9]*"):
        try:
            if (entry / "cwd").readlink().is_relative_to(folder) and b"\0serve\0" in (entry / "cmdline").read_bytes():
                yield int(entry.name)
        except OSError:
            continue
