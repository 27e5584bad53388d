"""A dataset through the service's own fetcher, decoders and embedded engine."""

import hashlib
import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from aiohttp import web
from PIL import Image
from typer.testing import CliRunner

from service.cli.commands import app
from service.policy.taxonomy import NAMES
from service.settings.media import FetchSettings, MediaSettings
from service.settings.settings import Settings
from service.tools.evaluation.datasets.dataset import Dataset, DatasetOptions
from service.tools.evaluation.datasets.duplicates import ContradictingLabelsError
from service.tools.evaluation.datasets.image_store import ImageStore
from service.tools.evaluation.datasets.reading import read_dataset
from service.tools.evaluation.quality.run import Run, RunOptions, run_engine
from testing.http_server import serving
from testing.image_host import PHOTOGRAPHS

BEER, CAT = (PHOTOGRAPHS / "beer.jpg").read_bytes(), (PHOTOGRAPHS / "cat.jpg").read_bytes()
SETTINGS = Settings(media=MediaSettings(fetch=FetchSettings(allow_networks=("127.0.0.0/8",))))


@contextmanager
def no_progress(step: str, images: int) -> Iterator[Callable[[], None]]:
    yield lambda: None


def read(path: Path, tmp_path: Path) -> Dataset:
    return read_dataset(path, DatasetOptions(frozenset(NAMES)), ImageStore(tmp_path / "images"))


async def run(dataset: Dataset, tmp_path: Path, settings: Settings = SETTINGS) -> Run:
    options = RunOptions(tmp_path / "predictions.jsonl", tmp_path / "images")
    return await run_engine(settings, dataset, options, no_progress)


def sha256(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


async def test_a_manifest_is_fetched_checked_kept_and_gone_on_with(tmp_path: Path) -> None:
    files = {"/beer.jpg": BEER, "/cat.jpg": CAT, "/changed.jpg": CAT}

    async def answer(request: web.BaseRequest) -> web.Response:
        found = files.get(request.path)
        return web.Response(status=404) if found is None else web.Response(body=found)

    async with serving(answer) as server:
        rows = [
            ("beer.jpg", sha256(BEER), "alcohol"),
            ("cat.jpg", sha256(CAT), "none"),
            ("changed.jpg", sha256(b"what it was"), "none"),
            ("missing.jpg", sha256(b"gone"), "none"),
        ]
        manifest = tmp_path / "manifest.csv"
        lines = [f"{server.url}/{name},{digest},{label}" for name, digest, label in rows]
        manifest.write_text("\n".join(["url,sha256,labels", *lines]) + "\n")
        dataset = read(manifest, tmp_path)
        first = await run(dataset, tmp_path)
        assert [each.failure for each in first.predictions] == [
            None,
            None,
            "dataset.wrong_sha256",
            "image.not_found",
        ]
        assert f"is {sha256(CAT)}, and the dataset says {sha256(b'what it was')}" in str(first.predictions[2].detail)
        assert first.stored == 0
        beer = first.predictions[0].verdict
        assert beer is not None
        assert beer.scores["alcohol"] > 0.5
        asked = len(server.requests)
        second = await run(dataset, tmp_path)
        assert second.stored == 2
        assert second.predictions[:2] == first.predictions[:2]
        assert {request.path for request in server.requests[asked:]} == {"/changed.jpg", "/missing.jpg"}


async def test_a_manifest_leads_to_no_private_address(tmp_path: Path) -> None:
    manifest = tmp_path / "manifest.csv"
    manifest.write_text(f"url,sha256,labels\nhttp://127.0.0.1:1/a.jpg,{sha256(CAT)},none\n")
    (prediction,) = (await run(read(manifest, tmp_path), tmp_path, Settings())).predictions
    assert prediction.failure == "image.address_not_allowed"


async def test_the_same_pixels_in_another_file_are_the_same_picture(tmp_path: Path) -> None:
    photograph = Image.open(PHOTOGRAPHS / "beer.jpg").resize((200, 150))
    for name in ("alcohol/a.png", "none/b.bmp"):
        (tmp_path / "set" / name).parent.mkdir(parents=True)
        photograph.save(tmp_path / "set" / name)
    with pytest.raises(ContradictingLabelsError, match=r"alcohol/a\.png and none/b\.bmp are the same picture"):
        await run(read(tmp_path / "set", tmp_path), tmp_path)


def test_the_command_prints_writes_and_fails_for_a_figure_too_low(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    for name, label in (("beer", "alcohol"), ("wine", "alcohol"), ("cat", "none"), ("alps", "none")):
        folder = tmp_path / "set" / label
        folder.mkdir(parents=True, exist_ok=True)
        (folder / f"{name}.jpg").write_bytes((PHOTOGRAPHS / f"{name}.jpg").read_bytes())
    (tmp_path / "set/none/broken.jpg").write_bytes(b"no image")
    arguments = ["evaluate", "set", "--json", "figures.json"]
    requirements = ["--require", "alcohol.recall>=1", "--require", "alcohol.recall_low>=0.9"]
    result = CliRunner().invoke(app, [*arguments, *requirements], env={"COLUMNS": "200", "NO_COLOR": "1"})
    assert result.exit_code == 1, result.output
    assert "met: alcohol.recall>=1 (found: 1)" in result.stdout
    assert "not met: alcohol.recall_low>=0.9 (found: 0.1581)" in result.stdout
    assert "not judged: 1 images: image.unsupported_format: none/broken.jpg" in result.stderr
    figures = json.loads((tmp_path / "figures.json").read_text())
    assert figures["evaluation"]["categories"]["alcohol"]["metrics"]["true_positives"] == 2
    assert [each["met"] for each in figures["requirements"]] == [True, False]
    assert figures["cost"]["per_month"] > 0
    (tmp_path / "set/weapons").mkdir()
    (tmp_path / "set/none/cat.jpg").rename(tmp_path / "set/weapons/cat.jpg")
    report = ["--report", "report.html", "--images"]
    again = CliRunner().invoke(app, ["evaluate", "set", *report], env={"COLUMNS": "200", "NO_COLOR": "1"})
    assert again.exit_code == 0, again.output
    assert (tmp_path / "report.html").read_text().count('src="data:image/webp') == 1
    assert "4 of 5 images judged, 4 of them by an earlier run" in again.stdout


def test_an_engine_that_judges_nothing_is_a_failure_and_writes_no_report(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "labels.csv").write_text("image,labels\nelsewhere/beer.jpg,alcohol\n")
    result = CliRunner().invoke(app, ["evaluate", "labels.csv", "--report", "report.html", "--json", "figures.json"])
    assert result.exit_code == 1, result.output
    assert "judged none of 1 images" in result.stderr
    assert not [*tmp_path.glob("report.html"), *tmp_path.glob("figures.json")]
