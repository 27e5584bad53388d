from pathlib import Path

import pytest

from service.inference.vllm.model_files import (
    folder_checksum,
    is_precision,
    model_name,
    model_revision,
    weights_precision,
)

COMMIT = "0123456789abcdef0123456789abcdef01234567"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "config.json").write_text('{"layers": 4}')
    (tmp_path / "model.safetensors").write_bytes(bytes(300_000))
    return tmp_path


def test_a_model_of_the_hub_has_its_commit() -> None:
    assert model_revision("Qwen/Qwen3-VL-8B-Instruct-FP8", commit=COMMIT) == COMMIT
    assert model_name("Qwen/Qwen3-VL-8B-Instruct-FP8") == "Qwen/Qwen3-VL-8B-Instruct-FP8"


def test_a_model_in_the_hubs_cache_has_its_commit() -> None:
    assert model_revision(f"/cache/models--Qwen--Qwen3-VL/snapshots/{COMMIT}", commit=None) == COMMIT


def test_a_folder_has_a_checksum_and_its_own_name(folder: Path) -> None:
    revision = model_revision(str(folder), commit=None)
    assert revision == folder_checksum(folder)
    assert revision.startswith("sha256:")
    assert model_name(str(folder)) == folder.name


def test_the_checksum_does_not_depend_on_where_the_folder_is(folder: Path, tmp_path: Path) -> None:
    before = folder_checksum(folder)
    moved = folder.rename(tmp_path.parent / f"{tmp_path.name}-moved")
    assert folder_checksum(moved) == before


@pytest.mark.parametrize("place", [0, 65_536, 150_000, 299_999])
def test_one_other_byte_of_small_weights_is_another_model(folder: Path, place: int) -> None:
    before = folder_checksum(folder)
    weights = bytearray((folder / "model.safetensors").read_bytes())
    weights[place] = 1
    (folder / "model.safetensors").write_bytes(weights)
    assert folder_checksum(folder) != before


def test_large_weights_count_by_pieces_and_size(tmp_path: Path) -> None:
    weights = tmp_path / "model.safetensors"
    with weights.open("wb") as file:
        file.truncate(2_000_000_000)  # holds nothing, and takes no room
    before = folder_checksum(tmp_path)
    with weights.open("r+b") as file:
        file.seek(1_999_999_999)
        file.write(b"x")
    after = folder_checksum(tmp_path)
    with weights.open("r+b") as file:
        file.truncate(2_000_000_001)
    assert len({before, after, folder_checksum(tmp_path)}) == 3


def test_another_configuration_is_another_model(folder: Path) -> None:
    before = folder_checksum(folder)
    (folder / "config.json").write_text('{"layers": 5}')
    assert folder_checksum(folder) != before


def compressed(*, activations: bool = False, **weights: object) -> dict[str, object]:
    """Return what llm-compressor writes into a model's configuration; `activations` for those quantised too."""
    group = {"weights": weights, "input_activations": {"dynamic": True} if activations else None}
    return {"quant_method": "compressed-tensors", "config_groups": {"group_0": group}}


@pytest.mark.parametrize(
    ("quantization", "dtype", "expected"),
    [
        (None, "bfloat16", "bf16"),
        ({}, "float32", "fp32"),
        ({"quant_method": "fp8", "weight_block_size": [128, 128]}, "bfloat16", "fp8-block"),
        ({"quant_method": "fp8", "activation_scheme": "dynamic"}, "bfloat16", "fp8"),
        ({"quant_method": "awq", "bits": 4}, "float16", "awq"),
        (compressed(num_bits=8, type="int", activations=True), "bfloat16", "int8"),
        (compressed(num_bits=8, type="int"), "bfloat16", "int8-weight-only"),
        (compressed(num_bits=8, type="float", strategy="channel", activations=True), "bfloat16", "fp8-dynamic"),
        (compressed(num_bits=8, type="float", strategy="block", activations=True), "bfloat16", "fp8-block"),
        (compressed(num_bits=8, type="float", strategy="tensor", activations=True), "bfloat16", "fp8"),
        (compressed(num_bits=4, type="int", strategy="group"), "bfloat16", "int4"),
        (compressed(num_bits=4, type="float", strategy="tensor_group"), "bfloat16", "fp4"),
        ({"quant_method": "compressed-tensors"}, "bfloat16", "unknown"),
    ],
)
def test_precision_is_read_off_the_checkpoint(
    quantization: dict[str, object] | None, dtype: str, expected: str
) -> None:
    assert weights_precision(quantization, dtype=dtype) == expected


@pytest.mark.parametrize(
    ("setting", "loaded"),
    [
        ("auto", "anything"),
        ("bf16", "bf16"),
        ("fp8", "fp8-block"),
        ("fp8", "fp8-dynamic"),
        ("int8", "int8"),
        ("awq", "awq"),
        ("awq", "int4"),
    ],
)
def test_what_a_setting_asks_for_is_recognised(setting: str, loaded: str) -> None:
    assert is_precision(loaded, setting)


@pytest.mark.parametrize(
    ("setting", "loaded"), [("bf16", "fp8-block"), ("bf16", "int4"), ("int8", "int8-weight-only"), ("awq", "fp4")]
)
def test_what_differs_from_a_setting_is_not(setting: str, loaded: str) -> None:
    assert not is_precision(loaded, setting)
