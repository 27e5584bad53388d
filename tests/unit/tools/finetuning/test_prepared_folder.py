"""The folder of prepared data, as training reads it."""

import hashlib
import json
from pathlib import Path

import pytest

from service.core.instructions import CategoryDefinition, ModelInstructions
from service.inference.vision.prompt import Prompt, prompter
from service.tools.finetuning.examples import (
    LABELS_FILE,
    MANIFEST_FILE,
    SPLITS,
    ExampleLine,
    Manifest,
    PreparedDataError,
    PreparedPolicy,
    TrainingExample,
    examples_file,
    open_prepared,
)

INSTRUCTIONS = ModelInstructions((CategoryDefinition("stripes", "stripes of two colours"),), vision_tokens=16)
IMAGE = f"images/ab/{'ab' * 32}.png"


def write(folder: Path, lines: dict[str, list[ExampleLine]], **changed: object) -> None:
    for split in SPLITS:
        text = "".join(f"{line.model_dump_json()}\n" for line in lines.get(split, []))
        (folder / examples_file(split)).write_text(text)
    manifest = Manifest(
        data_hash="0" * 64,
        prompt_hash=prompter(INSTRUCTIONS).hash,
        policy=PreparedPolicy(name="shapes", version="1", hash="h"),
        instructions=INSTRUCTIONS,
        seed=0,
        images=dict.fromkeys(SPLITS, 1),
        examples=dict.fromkeys(SPLITS, 1),
        categories={"stripes": dict.fromkeys(SPLITS, 1)},
        files={split: hashlib.sha256((folder / examples_file(split)).read_bytes()).hexdigest() for split in SPLITS},
    ).model_copy(update=changed)
    (folder / MANIFEST_FILE).write_text(manifest.model_dump_json())


def line() -> ExampleLine:
    return ExampleLine(
        image=IMAGE, image_id="a.png", group="g", kind="which", question="Which?", targets={"B": 1.0}, weight=0.5
    )


def test_an_example_comes_back_with_the_whole_prompt_and_a_path_in_the_folder(tmp_path: Path) -> None:
    write(tmp_path, {"train": [line()]})
    data = open_prepared(tmp_path)
    assert [*data.examples("train")] == [
        TrainingExample(
            image=tmp_path / IMAGE,
            image_id="a.png",
            group="g",
            split="train",
            kind="which",
            prompt=Prompt(prompter(INSTRUCTIONS).system, "Which?"),
            targets={"B": 1.0},
            answer="",
            weight=0.5,
        )
    ]
    assert [*data.examples("held_out")] == []
    assert data.manifest.instructions == INSTRUCTIONS
    assert data.manifest.vision_tokens == 16


def test_a_changed_file_of_examples_is_refused(tmp_path: Path) -> None:
    write(tmp_path, {"train": [line()]})
    with (tmp_path / examples_file("train")).open("a") as file:
        file.write(f"{line().model_dump_json()}\n")
    with pytest.raises(PreparedDataError, match="has changed since"):
        list(open_prepared(tmp_path).examples("train"))


@pytest.mark.parametrize("counted", ["images", "examples", "files"])
def test_a_manifest_that_lacks_a_split_is_refused(tmp_path: Path, counted: str) -> None:
    write(tmp_path, {"train": [line()]})
    manifest = json.loads((tmp_path / MANIFEST_FILE).read_text())
    del manifest[counted]["held_out"]
    (tmp_path / MANIFEST_FILE).write_text(json.dumps(manifest))
    with pytest.raises(PreparedDataError, match=f"{counted}: .*nothing is given for the split held_out"):
        open_prepared(tmp_path)


def test_an_image_outside_the_folder_is_refused(tmp_path: Path) -> None:
    write(tmp_path, {"train": [line().model_copy(update={"image": "images/../../secret.png"})]})
    with pytest.raises(PreparedDataError, match="line 1"):
        list(open_prepared(tmp_path).examples("train"))


def test_data_of_other_questions_is_refused(tmp_path: Path) -> None:
    write(tmp_path, {}, prompt_hash="1" * 64)
    with pytest.raises(PreparedDataError, match="other questions"):
        open_prepared(tmp_path)


def test_a_folder_without_prepared_data_is_refused(tmp_path: Path) -> None:
    with pytest.raises(PreparedDataError, match="cannot be read"):
        open_prepared(tmp_path)
    (tmp_path / MANIFEST_FILE).write_text("{}")
    with pytest.raises(PreparedDataError, match="data_hash"):
        open_prepared(tmp_path)


def test_changed_labels_are_refused(tmp_path: Path) -> None:
    labels = b'{"image": "images/a.png", "labels": ["stripes"]}\n'
    (tmp_path / LABELS_FILE).write_bytes(labels)
    write(tmp_path, {}, labels=hashlib.sha256(labels).hexdigest())
    data = open_prepared(tmp_path)
    data.check_labels()
    (tmp_path / LABELS_FILE).write_bytes(labels.replace(b"stripes", b"none"))
    with pytest.raises(PreparedDataError, match="changed since it was prepared"):
        data.check_labels()
