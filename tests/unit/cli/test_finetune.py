"""`modstream finetune prepare`: reviews in, prepared data out."""

import logging
from collections.abc import Iterator
from pathlib import Path

import pytest
import structlog
from typer.testing import CliRunner, Result

from service.cli.commands import app
from service.tools.finetuning.examples import open_prepared
from service.tools.finetuning.review_topic import TOPIC
from testing.tiny_model.answers import categories
from testing.tiny_model.shapes import INSTRUCTIONS
from testing.tiny_model.tiny import policy_file
from tests.unit.tools.finetuning.labelled_drawings import draw_labelled, review, write_reviews

NAMES = [category.name for category in INSTRUCTIONS.categories]


@pytest.fixture(autouse=True)
def logging_left_as_it_was() -> Iterator[None]:
    """Take back what the command sets up for its own process, or later tests read no log lines."""
    root = logging.getLogger()
    handlers, level = root.handlers, root.level
    yield
    root.handlers = handlers
    root.setLevel(level)
    structlog.reset_defaults()


def run(*arguments: object) -> Result:
    environment = {"COLUMNS": "200", "NO_COLOR": "1", "MODSTREAM_MEDIA__DECODE__WORKERS": "1"}
    return CliRunner().invoke(app, ["finetune", *map(str, arguments)], env=environment)


@pytest.fixture(scope="module")
def reviews(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("reviewed")
    rows: list[object] = [
        review(
            folder, f"{number}.png", {name: "yes" if name in shown else "no" for name in NAMES}, f"person-{number % 3}"
        )
        for number, scene in enumerate(draw_labelled(folder, 70, harmful=2))
        if (shown := categories(scene, INSTRUCTIONS)) is not None
    ]
    return write_reviews(folder / "reviews.jsonl", [*rows, "no JSON"])


def test_reviews_become_prepared_data(reviews: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    result = run("prepare", reviews, "--policy", policy_file(), "--out", "prepared", "--min-images", 4)
    assert result.exit_code == 0, result.stderr
    assert "person-1" in result.stdout
    assert "modstream evaluate prepared --split held_out -c SETTINGS" in result.stdout
    assert "reviews.jsonl, line 71: left out: an object in JSON was expected" in result.stderr
    assert sum(open_prepared(Path("prepared")).manifest.images.values()) == 70


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--without-reviewer", "x"], "no row is of the reviewer 'x'"),
        (["--splits-of", "nothing"], "nothing/manifest.json: the file cannot be read"),
        (["--verdicts", "nothing"], "[evaluate.invalid_predictions]"),
        (["--group-by", "seller"], "the column 'seller'"),
        (["--map", "guns=wepons"], "'wepons' is no category"),
    ],
)
def test_what_cannot_be_used_is_one_message(
    reviews: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, arguments: list[str], said: str
) -> None:
    monkeypatch.chdir(tmp_path)
    result = run("prepare", reviews, "--policy", policy_file(), "--out", "prepared", *arguments)
    assert result.exit_code == 1
    assert said in result.stderr
    assert not Path("prepared").exists()


def test_a_policy_that_cannot_be_read_is_named(reviews: Path, tmp_path: Path) -> None:
    result = run("prepare", reviews, "--policy", tmp_path / "none.yaml", "--out", tmp_path / "prepared")
    assert result.exit_code == 2
    assert "--policy" in result.stderr
    assert "none.yaml: there is no such file" in result.stderr


def test_the_topic_is_that_of_the_contract() -> None:
    assert f"default: {TOPIC}" in run("reviews", "--help").stdout
