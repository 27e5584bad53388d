"""The shortcuts that training takes, against what they stand for."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from service.tools.finetuning.training_errors import BaseModelError
from testing.tiny_model.scenes import draw, random_scene
from testing.tiny_model.shapes import INSTRUCTIONS, KINDS
from testing.tiny_model.tiny import model_folder

# Torch and transformers come with vLLM; imported where they are used, because they are not everywhere.
pytestmark = pytest.mark.engine


@pytest.fixture(scope="module")
def tokenizer() -> Any:
    from transformers import AutoTokenizer  # noqa: PLC0415 - see above

    return AutoTokenizer.from_pretrained(model_folder())


@pytest.fixture
def model(tokenizer: Any) -> Any:
    from testing.tiny_model.architecture import untrained  # noqa: PLC0415 - see above

    return untrained(tokenizer).eval()


@pytest.fixture
def batch(tokenizer: Any) -> Any:
    from testing.tiny_model.questions import Questions  # noqa: PLC0415 - see above
    from testing.tiny_model.training import random_batch  # noqa: PLC0415 - see above

    return random_batch(Questions(tokenizer, INSTRUCTIONS), np.random.default_rng(5))


def processed(images: list[np.ndarray]) -> Any:
    from transformers import Qwen2VLImageProcessor  # noqa: PLC0415 - see above

    return Qwen2VLImageProcessor.from_pretrained(model_folder())(images, return_tensors="pt")


def whole_prompt(model: Any, batch: Any, number: int) -> Any:
    """Return the log-probabilities at a row's targets, as the model gives them for its whole prompt."""
    import torch  # noqa: PLC0415 - see above

    row, image = batch.rows[number], processed([batch.images[batch.image_of_row[number]]])
    tokens = int(image["image_grid_thw"].prod()) // 4
    pad = model.config.image_token_id
    ids = torch.tensor([[*batch.prefix, *[pad] * tokens, *row.ids]])
    logits = model(input_ids=ids, mm_token_type_ids=(ids == pad).int(), **image).logits[0]
    places = [len(batch.prefix) + tokens + target.place for target in row.targets]
    return torch.log_softmax(logits[places], -1)


def test_patches_are_those_of_the_processor() -> None:
    from testing.tiny_model.forward import patches  # noqa: PLC0415 - see above

    images = [draw(random_scene(np.random.default_rng(seed), size=(160, 128))) for seed in range(2)]
    assert np.allclose(patches(np.stack(images)).numpy(), processed(images)["pixel_values"].numpy(), atol=1e-6)


def test_the_shared_pass_answers_as_whole_prompts_do(model: Any, batch: Any) -> None:
    import torch  # noqa: PLC0415 - see above

    from testing.tiny_model.forward import target_log_probabilities  # noqa: PLC0415 - see above

    with torch.no_grad():
        shared = iter(target_log_probabilities(model, batch))
        for number, row in enumerate(batch.rows):
            mine = torch.stack([next(shared) for _ in row.targets])
            if number % 8 == 0:
                assert torch.allclose(mine, whole_prompt(model, batch, number), atol=1e-4)


def test_an_untrained_adapter_changes_nothing(model: Any, batch: Any) -> None:
    import torch  # noqa: PLC0415 - see above

    from testing.tiny_model.forward import target_log_probabilities  # noqa: PLC0415 - see above
    from testing.tiny_model.lora import add_low_rank  # noqa: PLC0415 - see above

    with torch.no_grad():
        before = target_log_probabilities(model, batch)
        add_low_rank(model, seed=0)
        assert torch.allclose(target_log_probabilities(model, batch), before, atol=1e-5)
    assert sum(each.requires_grad for each in model.parameters()) == 4 * 7 * 2


@pytest.mark.parametrize("kind", ["qwen3_vl_own", "qwen3_vl"])
def test_code_beside_a_base_model_never_runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, kind: str) -> None:
    from service.tools.finetuning.training.base_model import load_base  # noqa: PLC0415 - loads torch

    monkeypatch.setattr("builtins.input", lambda _question: "y")
    own = {name: f"own.{name}" for name in ("AutoConfig", "AutoProcessor", "AutoTokenizer", "AutoImageProcessor")}
    for file in ("config", "processor_config", "preprocessor_config", "tokenizer_config"):
        (tmp_path / f"{file}.json").write_text(json.dumps({"model_type": kind, "auto_map": own}))
    (tmp_path / "own.py").write_text(f"open({str(tmp_path / 'has-run')!r}, 'w')\n")
    with pytest.raises(BaseModelError, match="it cannot be loaded"):
        load_base(str(tmp_path), revision=None, quantize="none")
    assert not (tmp_path / "has-run").exists()


def test_patches_say_what_lies_on_them() -> None:
    from testing.tiny_model.seeing import cell_kinds  # noqa: PLC0415 - see above

    scene = random_scene(np.random.default_rng(7), harmful=2, size=(256, 256))
    assert {KINDS[number] for number in cell_kinds(scene) if number < len(KINDS)} == set(scene.kinds)


def test_a_first_pass_is_taught_the_scene_at_half_its_size_and_the_list_alone(tokenizer: Any) -> None:
    from testing.tiny_model.questions import Questions  # noqa: PLC0415 - see above
    from testing.tiny_model.seeing import cell_kinds  # noqa: PLC0415 - see above
    from testing.tiny_model.train_first_pass import few_pictures, random_batch  # noqa: PLC0415 - see above

    images, scenes = few_pictures(np.random.default_rng(5))
    assert images.shape[1:] == (128, 128, 3)
    assert all(0 < item.x < 128 and item.radius < 20 for scene in scenes for item in scene.items)
    assert {len(cell_kinds(scene)) for scene in scenes} == {16}
    few = random_batch(Questions(tokenizer, INSTRUCTIONS), np.random.default_rng(5), few=True, prefix_tokens=None)
    assert {row.kind for row in few.rows} == {"which"}
    assert {image.shape for image in few.images} == {(128, 128, 3)}
