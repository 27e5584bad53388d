"""Training of an adapter for the tiny model, step by step."""

import os
import resource
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from service.inference.adapter_card import CARD_FILE, AdapterCard, read_card
from service.inference.vision.prompt import prompter
from service.tools.finetuning.encoding import Encoder, encoder
from service.tools.finetuning.examples import PreparedData, open_prepared
from service.tools.finetuning.training_errors import BaseModelError, OutputFolderError
from service.tools.finetuning.training_options import TrainingOptions
from testing.prepared_data import prepared_new_category
from testing.tiny_model.tiny import model_folder

# Torch, transformers and peft come with the extra `finetune`.
pytestmark = pytest.mark.engine

OPTIONS = TrainingOptions(
    epochs=2, images_a_step=4, tokens_a_pass=700, learning_rate=3e-3, rank=4, dropout=0.1, min_vision_tokens=1
)
ROOT = Path(__file__).parents[2]
SIZE = {"shortest_edge": 32 * 32, "longest_edge": 1024 * 32 * 32}


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> PreparedData:
    return prepared_new_category(tmp_path_factory.mktemp("prepared"), {"train": 12, "validation": 4, "held_out": 2})


@pytest.fixture(scope="module", autouse=True)
def one_thread() -> Iterator[None]:
    """Let sums have one order, and leave the other core to others."""
    import torch  # noqa: PLC0415 - is not everywhere

    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


def loaded() -> Any:
    from service.tools.finetuning.training.base_model import load_base  # noqa: PLC0415 - torch is not everywhere

    return load_base(str(model_folder()), revision=None, quantize="none", device="cpu")


def written(base: Any, data: PreparedData) -> Encoder:
    return encoder(base.chat, data, prompter(data.manifest.instructions).labels)


def packer(base: Any, data: PreparedData, tokens_a_pass: int) -> Any:
    from service.tools.finetuning.training.packing import Packer  # noqa: PLC0415 - torch is not everywhere

    return Packer(written(base, data).prefix, base.image_token, base.image_processor, SIZE, tokens_a_pass)


def weights_after(
    folder: Path,
    data: PreparedData,
    *,
    on_step: Callable[[int], None] = lambda _: None,
    should_stop: Callable[[], bool] = lambda: False,
) -> dict[str, Any]:
    """Train, from the checkpoint in the folder on if there is one, and return the weights."""
    from service.tools.finetuning.training.checkpoints import CheckpointStore  # noqa: PLC0415 - torch is not everywhere
    from service.tools.finetuning.training.lora import add_adapter, trained_weights  # noqa: PLC0415 - as above
    from service.tools.finetuning.training.trainer import Trainer  # noqa: PLC0415 - as above

    base = loaded()
    add_adapter(base.model, rank=4, alpha=8, dropout=0.1, merger=False, seed=0)
    trainer = Trainer(base.model, "cpu", packer(base, data, 700), OPTIONS, CheckpointStore(folder), "this training")
    trainer.train(
        written(base, data).images(data.examples("train")),
        written(base, data).images(data.examples("validation")),
        on_progress=lambda progress: on_step(progress.step),
        should_stop=should_stop,
    )
    return trained_weights(base.model)


def train_and_die(folder: str, prepared: str) -> None:
    """Train in a process that is killed after the fourth of six steps."""
    import torch  # noqa: PLC0415 - is not everywhere

    def die(step: int) -> None:
        if step == 4:
            os.kill(os.getpid(), signal.SIGKILL)

    torch.set_num_threads(1)
    weights_after(Path(folder), open_prepared(Path(prepared)), on_step=die)


def same(one: dict[str, Any], other: dict[str, Any]) -> bool:
    import torch  # noqa: PLC0415 - is not everywhere

    return one.keys() == other.keys() and all(torch.equal(one[name], other[name]) for name in one)


@pytest.fixture(scope="module")
def uninterrupted(data: PreparedData, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    return weights_after(tmp_path_factory.mktemp("whole"), data)


def test_packed_questions_are_answered_as_whole_prompts_are(data: PreparedData) -> None:
    import torch  # noqa: PLC0415 - is not everywhere
    from PIL import Image  # noqa: PLC0415 - as above

    from service.tools.finetuning.training.answers import read_answers  # noqa: PLC0415 - as above

    base = loaded()
    examples = [*data.examples("train")]
    images = written(base, data).images(examples)
    (packed,) = packer(base, data, 10_000).passes(images[:3])
    asked = [each for each in examples if each.image_id in {image.image_id for image in images[:3]}]
    with torch.no_grad():
        found = read_answers(base.model, packed).likely.tolist()
        for number, question in enumerate(packed.questions):
            example = asked[number]
            seen = base.image_processor(images=[Image.open(example.image)], size=SIZE, return_tensors="pt")
            ids = base.chat.prompt(example.prompt)
            place, tokens = ids.index(base.image_token), int(seen["image_grid_thw"].prod()) // 4
            whole = torch.tensor([[*ids[:place], *[base.image_token] * tokens, *ids[place + 1 :]]])
            kinds = (whole == base.image_token).int()
            logits = base.model(input_ids=whole, mm_token_type_ids=kinds, **seen).logits[0, -1]
            likely = torch.log_softmax(logits.float(), -1)
            for target in question.targets:
                assert found.pop(0) == pytest.approx(float(likely[target.token]), abs=2e-3)
    assert found == []


def test_the_score_does_not_depend_on_how_images_are_packed(data: PreparedData) -> None:
    import torch  # noqa: PLC0415 - is not everywhere

    from service.tools.finetuning.training.answers import Scores, read_answers  # noqa: PLC0415 - as above

    base = loaded()
    images = written(base, data).images(data.examples("validation"))

    def loss(tokens_a_pass: int) -> tuple[int, float]:
        scores, passes = Scores(), [*packer(base, data, tokens_a_pass).passes(images)]
        with torch.no_grad():
            for packed in passes:
                scores.add(read_answers(base.model, packed), packed)
        return len(passes), scores.total().loss

    (many, alone), (one, together) = loss(64), loss(100_000)
    assert (many, one) == (4, 1)
    assert alone == pytest.approx(together, rel=1e-4)


def test_a_training_that_was_stopped_goes_on_and_ends_with_the_same_weights(
    data: PreparedData, uninterrupted: dict[str, Any], tmp_path: Path
) -> None:
    from service.tools.finetuning.training.trainer import InterruptedTrainingError  # noqa: PLC0415 - is not everywhere

    steps: list[int] = []
    with pytest.raises(InterruptedTrainingError):
        weights_after(tmp_path, data, on_step=steps.append, should_stop=lambda: len(steps) >= 1)
    assert steps == [1, 2]
    assert same(weights_after(tmp_path, data, on_step=steps.append), uninterrupted)
    assert steps == [1, 2, 3, 4, 5, 6]


def test_a_training_that_was_killed_goes_on_from_its_checkpoint_and_ends_with_the_same_weights(
    data: PreparedData, uninterrupted: dict[str, Any], tmp_path: Path
) -> None:
    code = f"from {__name__} import train_and_die; train_and_die({str(tmp_path)!r}, {str(data.folder)!r})"
    ended = subprocess.run([sys.executable, "-c", code], check=False, cwd=ROOT)
    assert ended.returncode == -signal.SIGKILL
    steps: list[int] = []
    assert same(weights_after(tmp_path, data, on_step=steps.append), uninterrupted)
    assert steps[-1] == 6
    assert steps[0] > 1


def test_the_seed_decides_the_weights(data: PreparedData, uninterrupted: dict[str, Any], tmp_path: Path) -> None:
    assert same(weights_after(tmp_path, data), uninterrupted)


def test_a_full_disk_leaves_the_checkpoint_of_before(tmp_path: Path) -> None:
    import torch  # noqa: PLC0415 - is not everywhere

    from service.tools.finetuning.training.checkpoints import CheckpointStore, TrainingState  # noqa: PLC0415 - as above

    store = CheckpointStore(tmp_path)
    store.save(TrainingState("one", step=3, weights={"a": torch.ones(2)}))
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (10_000, limits[1]))
    try:
        with pytest.raises(OutputFolderError, match=r"step 4 cannot be written \(File too large\).*before is whole"):
            store.save(TrainingState("one", step=4, weights={"a": torch.ones(100_000)}))
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    state = store.load("one", "cpu")
    assert state is not None
    assert state.step == 3
    assert [path.name for path in tmp_path.iterdir()] == ["checkpoint.pt"]


def test_a_checkpoint_of_another_training_is_refused(tmp_path: Path) -> None:
    from service.tools.finetuning.training.checkpoints import CheckpointStore, TrainingState  # noqa: PLC0415 - torch

    store = CheckpointStore(tmp_path)
    store.save(TrainingState("one"))
    with pytest.raises(OutputFolderError, match="of a training with other data"):
        store.load("another", "cpu")
    (tmp_path / "checkpoint.pt").write_bytes(b"PK\x03\x04 half a file")
    with pytest.raises(OutputFolderError, match=r"cannot be read .* remove it to start again"):
        store.load("one", "cpu")


def test_one_training_at_a_time_works_in_a_folder(tmp_path: Path) -> None:
    from service.tools.finetuning.training.checkpoints import exclusive  # noqa: PLC0415 - torch is not everywhere

    with (
        exclusive(tmp_path),
        pytest.raises(OutputFolderError, match="another process works in it"),
        exclusive(tmp_path),
    ):
        pass


def test_what_is_no_qwen3_vl_cannot_be_trained(tmp_path: Path) -> None:
    from service.tools.finetuning.training.base_model import load_base  # noqa: PLC0415 - torch is not everywhere

    with pytest.raises(BaseModelError, match="cannot be loaded"):
        load_base(str(tmp_path), revision=None, quantize="none")
    (tmp_path / "config.json").write_text('{"model_type": "llama"}')
    with pytest.raises(BaseModelError, match="it is a 'llama'"):
        load_base(str(tmp_path), revision=None, quantize="none")
    text = (model_folder() / "config.json").read_text()
    (tmp_path / "config.json").write_text(text.replace("{", '{"quantization_config": {"quant_method": "fp8"},', 1))
    with pytest.raises(BaseModelError, match="full precision"):
        load_base(str(tmp_path), revision=None, quantize="none")
    with pytest.raises(BaseModelError, match="nf4 needs a CUDA device"):
        load_base(str(model_folder()), revision=None, quantize="nf4", device="cpu")


@pytest.fixture(scope="module")
def finished(data: PreparedData, tmp_path_factory: pytest.TempPathFactory) -> tuple[Any, AdapterCard, list[str]]:
    """Train once; return what was asked for, the card, and the stages."""
    from service.tools.finetuning.training.session import Hooks, TrainingRequest, train_adapter  # noqa: PLC0415 - torch

    request = TrainingRequest(str(model_folder()), None, tmp_path_factory.mktemp("adapter"), "shop", OPTIONS)
    stages: list[str] = []
    return request, train_adapter(data, request, Hooks(on_stage=stages.append)), stages


def test_a_trained_folder_is_an_adapter_with_a_card(
    data: PreparedData, finished: tuple[Any, AdapterCard, list[str]]
) -> None:
    from service.tools.finetuning.training.session import Hooks, train_adapter  # noqa: PLC0415 - torch

    request, card, stages = finished
    assert sorted(path.name for path in request.out.iterdir()) == [
        ".lock",
        "README.md",
        "adapter_config.json",
        "adapter_model.safetensors",
        CARD_FILE,
    ]
    assert read_card(request.out) == card
    assert (card.base.model, card.prompt_hash) == (model_folder().name, data.manifest.prompt_hash)
    assert "for qwen3-vl-tiny" in (request.out / "README.md").read_text()
    assert train_adapter(data, request, Hooks(on_stage=stages.append)) == card
    assert [text for text in stages if text.startswith("Training")] == ["Training on 12 images"]
    with pytest.raises(OutputFolderError, match="another folder"):
        train_adapter(data, replace(request, options=TrainingOptions()), Hooks())


def test_a_training_that_was_killed_after_its_last_file_is_over(
    data: PreparedData, finished: tuple[Any, AdapterCard, list[str]]
) -> None:
    from service.tools.finetuning.training.session import Hooks, train_adapter  # noqa: PLC0415 - torch

    request, card, _ = finished
    files = {path.name for path in request.out.iterdir()}
    for left in ("checkpoint.pt", ".checkpoint.pt.partial"):
        (request.out / left).write_bytes(b"of the training that wrote the card")
    assert train_adapter(data, request, Hooks()) == card
    assert {path.name for path in request.out.iterdir()} == files


def test_half_a_checkpoint_of_a_killed_process_is_written_over(tmp_path: Path) -> None:
    from service.tools.finetuning.training.checkpoints import CheckpointStore, TrainingState  # noqa: PLC0415 - torch

    (tmp_path / ".checkpoint.pt.partial").write_bytes(b"half" * 1_000)
    CheckpointStore(tmp_path).save(TrainingState("one"))
    assert [path.name for path in tmp_path.iterdir()] == ["checkpoint.pt"]
