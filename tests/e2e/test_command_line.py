"""Topics, service, send and watch as an operator runs them one after the other, on the embedded broker."""

import json
import subprocess
import sys
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from PIL import Image

from service.tools.demo.broker import embedded_broker
from service.tools.demo.processes import service_process


@pytest.fixture
async def config(tmp_path: Path) -> AsyncIterator[Path]:
    async with embedded_broker(tmp_path / "broker.log") as broker:
        document = {
            "delivery": "at_least_once",
            "kafka": {"bootstrap_servers": broker, "session_timeout_s": 4.0},
            "media": {"fetch": {"file_root": str(tmp_path)}},
            "monitoring": {"port": 0},
        }
        path = tmp_path / "modstream.yaml"
        path.write_text(yaml.safe_dump(document), encoding="utf-8")
        yield path


def modstream(config: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "service", *arguments, "--config", str(config)]
    return subprocess.run(command, capture_output=True, text=True, check=False, timeout=60)


def outcomes(output: str) -> dict[tuple[str, str], Any]:
    documents = [json.loads(line) for line in output.splitlines()]
    return {(document["kind"], document["key"]): document["value"] for document in documents}


async def test_an_operator_sees_verdict_tags_and_dead_letter_of_what_was_sent(config: Path, tmp_path: Path) -> None:
    photo = tmp_path / "photo.png"
    Image.new("RGB", (64, 48), "navy").save(photo)
    assert modstream(config, "topics", "check").returncode == 1
    created = modstream(config, "topics", "create", "--partitions", "2")
    assert created.returncode == 0
    assert created.stdout.count("created") == 4
    assert modstream(config, "topics", "check").returncode == 0
    async with service_process(config, tmp_path / "service.log"):
        options = ("--task", "moderation", "--task", "tags", "--tenant", "shop", "--context", "album=7=b")
        sent = modstream(config, "send", str(photo), "http://127.0.0.1/private.jpg", *options)
        assert (sent.returncode, sent.stdout) == (0, "sent 2 of 2 events to images.uploaded\n")
        watched = modstream(config, "watch", "--json", "--from-beginning", "--count", "3")
    seen = outcomes(watched.stdout)
    assert seen.keys() == {
        ("verdict", "photo.png"),
        ("tags", "photo.png"),
        ("dead_letter", "127.0.0.1/private.jpg"),
    }
    verdict = seen["verdict", "photo.png"]
    assert (verdict["tenant"], verdict["context"]) == ("shop", {"album": "7=b"})
    assert seen["dead_letter", "127.0.0.1/private.jpg"]["reason"] == "image.address_not_allowed"


async def test_a_file_that_no_event_can_hold_is_reported_and_the_others_are_sent(config: Path, tmp_path: Path) -> None:
    modstream(config, "topics", "create")
    folder = tmp_path / "pictures"
    folder.mkdir()
    (folder / "large.jpg").write_bytes(bytes(1024 * 1024))
    (folder / "small.jpg").write_bytes(bytes(1024))
    (folder / "empty.jpg").touch()
    sent = modstream(config, "send", str(folder))
    assert sent.returncode == 1
    assert sent.stdout == "sent 1 of 2 events to images.uploaded; 1 left out\n"
    assert "left out: empty.jpg: the file is empty" in sent.stderr
    assert "large.jpg is not sent" in sent.stderr
    assert "--by-reference" in sent.stderr
    (folder / "empty.jpg").unlink()
    assert modstream(config, "send", str(folder), "--by-reference").returncode == 0


async def test_sending_to_a_topic_that_is_missing_and_skipping_in_it_fail_at_once(config: Path, tmp_path: Path) -> None:
    (tmp_path / "photo.jpg").write_bytes(b"pixels")
    sent = modstream(config, "send", str(tmp_path / "photo.jpg"))
    assert sent.returncode == 1
    assert "modstream topics create" in sent.stderr
    skipped = modstream(config, "dead-letters", "skip", "images.uploaded/0/1")
    assert skipped.returncode == 1
    assert "topic images.uploaded (setting topics.uploads) does not exist" in skipped.stderr
