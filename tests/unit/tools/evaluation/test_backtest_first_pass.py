"""What a backtest says of images that a first pass cleared."""

from pathlib import Path
from typing import Any

from service.inference.first_pass.reducer import reduced_preprocessing
from service.inference.vision.image_input import image_spec, preprocessing
from service.policy.first_pass import FirstPass
from service.policy.policy import Policy
from service.policy.taxonomy import CHILD_SAFETY
from tests.unit.tools.evaluation.decided_before import NEW, kinds, result_of, weapons

FIRST_PASS = FirstPass(clear_below={"default": 0.1, CHILD_SAFETY: 0.05})
REDUCED = reduced_preprocessing(preprocessing(64), full=image_spec(256), first=image_spec(64))


def cleared(number: int, score: float, **fields: Any) -> dict[str, Any]:
    """Return a verdict that a first pass decided."""
    found = {"decided": True, "scores": {}, "clear_below": {}, "engine": "vllm", "prompt_hash": None}
    first_pass = {**found, "model": {"name": "qwen", "revision": "1"}}
    return weapons(number, score, **{"asked": [], "preprocessing": REDUCED, "first_pass": first_pass, **fields})


def test_what_a_first_pass_cleared_stands_while_the_policys_would_clear_it_too(tmp_path: Path) -> None:
    documents = [
        cleared(0, 0.09),
        cleared(1, 0.1),
        cleared(2, 0.0, preprocessing=preprocessing(64)),
        cleared(3, 0.0, prompt_hash="0" * 64),
        weapons(4, 0.2),
    ]
    policy = Policy(name="shop", version="2", categories=NEW.categories, first_pass=FIRST_PASS)
    result = result_of(tmp_path, documents, policy, calibration_file="shop/1 abc")
    found = kinds(result)
    assert found.pop("calibration.changed") == ["image-4"]
    assert found == {"first_pass.cleared": ["image-1", "image-2"], "definition.changed": ["image-3"]}


def test_what_a_first_pass_cleared_is_open_for_a_policy_without_one(tmp_path: Path) -> None:
    result = result_of(tmp_path, [cleared(0, 0.0), weapons(1, 0.0)])
    assert kinds(result) == {"first_pass.cleared": ["image-0"]}
    assert result.again is not None
    assert result.again.images == 1
