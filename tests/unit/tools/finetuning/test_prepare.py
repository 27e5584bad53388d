"""Labelled images become training data: decoded by the service's decoders, divided, and asked about."""

import asyncio
import json
import struct
import zlib
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from service.inference.vision.prompt import prompter
from service.policy.policy_file import check_policy
from service.settings.settings import Settings
from service.tools.evaluation.datasets.dataset import DatasetOptions
from service.tools.evaluation.datasets.duplicates import ContradictingLabelsError
from service.tools.evaluation.datasets.image_store import ImageStore
from service.tools.evaluation.datasets.reading import read_dataset
from service.tools.finetuning.earlier_splits import earlier_splits
from service.tools.finetuning.enough_images import TooFewImagesError
from service.tools.finetuning.examples import SPLITS, open_prepared
from service.tools.finetuning.labelled import Labelled
from service.tools.finetuning.prepare import Prepared, PrepareOptions, prepare
from service.tools.finetuning.prepared_folder import PreparedFolderError
from testing.tiny_model.scenes import draw
from testing.tiny_model.tiny import policy_file
from tests.unit.tools.finetuning.labelled_drawings import draw_labelled

SETTINGS = Settings.model_validate({"media": {"decode": {"workers": 1}}})
POLICY = check_policy(policy_file()).result()
OPTIONS = DatasetOptions(frozenset(POLICY.names))
# A sixth of the harmful half each.
FEW = 4


@contextmanager
def silent(step: str, images: int) -> Iterator[Callable[[], None]]:
    yield lambda: None


def bomb() -> bytes:
    """Return a PNG file of a few bytes that claims 4 gigapixels."""
    head = b"IHDR" + struct.pack(">IIBBBBB", 65_536, 65_536, 8, 2, 0, 0, 0)
    chunks = (head, b"IDAT" + zlib.compress(bytes(64)), b"IEND")
    written = (struct.pack(">I", len(each) - 4) + each + struct.pack(">I", zlib.crc32(each)) for each in chunks)
    return b"\x89PNG\r\n\x1a\n" + b"".join(written)


def labelled(folder: Path, scores: dict[str, dict[str, float]] | None = None) -> Labelled:
    return Labelled(read_dataset(folder, OPTIONS, ImageStore(folder / "store")), scores or {})


async def prepared(folder: Path, out: Path, **options: object) -> Prepared:
    chosen = replace(PrepareOptions(out, out.parent / "fetched", min_images=FEW), **options)  # type: ignore[arg-type]  # names of fields
    return await prepare(SETTINGS, POLICY, labelled(folder), chosen, silent)


@pytest.fixture(scope="module")
def drawings(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Draw 90 images, a copy of the first in another form, an animation, and what is no image."""
    folder = tmp_path_factory.mktemp("drawings")
    draw_labelled(folder, 90)
    with (folder / "labels.jsonl").open() as file:
        first = json.loads(file.readline())
    Image.open(folder / "0.png").save(folder / "copy.webp", lossless=True)
    Image.open(folder / "0.png").resize((96, 96)).save(folder / "near.png")
    frames = [Image.new("RGB", (64, 64), colour) for colour in ("red", "blue")]
    frames[0].save(folder / "animation.gif", save_all=True, append_images=frames[1:])
    (folder / "broken.png").write_bytes(b"\x89PNG\r\n\x1a\n")
    (folder / "bomb.png").write_bytes(bomb())
    with (folder / "labels.jsonl").open("a") as file:
        for name in ("copy.webp", "near.png", "animation.gif", "broken.png", "bomb.png"):
            file.write(json.dumps(first | {"image": name}) + "\n")
    return folder


@pytest.fixture(scope="module")
def made(drawings: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[Prepared, Path]:
    out = tmp_path_factory.mktemp("made") / "prepared"
    return asyncio.run(prepared(drawings, out)), out


def test_the_pixels_and_prompts_are_those_that_the_engine_gets(made: tuple[Prepared, Path], drawings: Path) -> None:
    data = open_prepared(made[1])
    scenes = draw_labelled(drawings.parent / "again", 90)
    example = next(each for each in data.examples("train") if each.image_id in {"2.png", "4.png"})
    shown = np.asarray(Image.open(example.image))
    assert np.array_equal(shown, draw(scenes[int(example.image_id.partition(".")[0])]))
    prompts = prompter(POLICY.instructions)
    asked = {each.prompt for split in SPLITS for each in data.examples(split)}
    engine = {prompts.which(None), prompts.describe(None), *(prompts.is_it(None, name) for name in POLICY.categories)}
    assert asked == engine
    assert data.manifest.prompt_hash == prompts.hash


def test_training_never_sees_what_is_held_out(made: tuple[Prepared, Path]) -> None:
    data = open_prepared(made[1])
    of = {split: [*data.examples(split)] for split in SPLITS}
    for field in ("group", "image"):
        train, validation, held_out = ({getattr(each, field) for each in of[split]} for split in SPLITS)
        assert not train & (validation | held_out)
        assert not validation & held_out
    first = {each.group for examples in of.values() for each in examples if each.image_id in {"0.png", "near.png"}}
    assert len(first) == 1


def test_weights_balance_training_and_leave_the_measurement_alone(made: tuple[Prepared, Path]) -> None:
    data = open_prepared(made[1])
    weights = {split: [each.weight for each in data.examples(split)] for split in SPLITS}
    assert sum(weights["train"]) / len(weights["train"]) == pytest.approx(1.0)
    assert len({*weights["train"]}) > 2
    assert {*weights["validation"], *weights["held_out"]} == {1.0}


def test_every_category_is_in_every_split(made: tuple[Prepared, Path]) -> None:
    counts = made[0].manifest.categories
    assert counts.keys() == {*POLICY.categories, "none"}
    assert all(counts[name][split] for name in counts for split in SPLITS)


def test_what_cannot_be_used_is_counted_by_its_reason(made: tuple[Prepared, Path]) -> None:
    left_out = made[0].manifest.left_out
    assert left_out == {
        "image.corrupt": 1,
        "image.too_many_pixels": 1,
        "finetune.repeated": 1,
        "finetune.animation": 1,
    }
    assert [each.example.image_id for each in made[0].missing] == ["broken.png", "bomb.png"]
    assert sum(made[0].manifest.images.values()) == 91


def test_the_labels_are_a_dataset_of_their_own_with_the_splits(made: tuple[Prepared, Path]) -> None:
    dataset = read_dataset(made[1], OPTIONS, ImageStore(made[1] / "store"))
    assert Counter(each.split for each in dataset.examples) == made[0].manifest.images
    assert dataset.labelled == {*POLICY.categories}
    assert all(Path(str(each.location)).is_file() for each in dataset.examples)


async def test_the_same_data_has_the_same_hash_and_another_seed_has_not(
    made: tuple[Prepared, Path], drawings: Path, tmp_path: Path
) -> None:
    again = await prepared(drawings, tmp_path / "again")
    assert again.manifest == made[0].manifest
    other = await prepared(drawings, tmp_path / "again", seed=1, replaces=True)
    assert other.manifest.data_hash != again.manifest.data_hash


async def test_earlier_splits_stay_with_another_seed(
    made: tuple[Prepared, Path], drawings: Path, tmp_path: Path
) -> None:
    kept = await prepared(drawings, tmp_path / "kept", seed=1, earlier=earlier_splits(made[1]))
    assert kept.manifest.images == made[0].manifest.images
    assert earlier_splits(tmp_path / "kept") == earlier_splits(made[1])


async def test_too_few_images_name_each_category_and_what_is_needed(drawings: Path, tmp_path: Path) -> None:
    with pytest.raises(TooFewImagesError, match=r"alcohol has \d+; .*weapons has \d+; 30 of each category are needed"):
        await prepared(drawings, tmp_path / "few", min_images=30)
    with pytest.raises(PreparedFolderError, match="other files"):
        await prepared(drawings, drawings)


async def test_complete_data_is_replaced_on_request_only(made: tuple[Prepared, Path], drawings: Path) -> None:
    with pytest.raises(PreparedFolderError, match="--replace"):
        await prepared(drawings, made[1])
    assert open_prepared(made[1]).manifest == made[0].manifest


async def test_one_picture_with_contradicting_labels_is_an_error(drawings: Path, tmp_path: Path) -> None:
    rows = [{"image": "0.png", "labels": "none"}, {"image": "copy.webp", "labels": "weapons"}]
    labels = drawings / "contradicting.jsonl"
    labels.write_text("".join(f"{json.dumps(row)}\n" for row in rows))
    source = Labelled(read_dataset(labels, OPTIONS, ImageStore(tmp_path)))
    options = PrepareOptions(tmp_path / "out", tmp_path)
    with pytest.raises(ContradictingLabelsError):
        await prepare(SETTINGS, POLICY, source, options, silent)
