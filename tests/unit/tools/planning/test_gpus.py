import pytest

from service.tools.planning.gpus import GPUS, Gpu, GpuNameError, find_gpu

BEFORE_ADA = ("RTX 30", "T4", "A10", "A30", "A40")
ASKED_FOR = "RTX 3060, RTX 3070, 3080 10GB, RTX 3090, RTX 4060, 4060 Ti 16GB, RTX 4070, RTX 4080, RTX 4090, RTX 5080, "
ASKED_FOR += "RTX 5090, T4, A10, A10G, A30, A40, A100 80GB, L4, L40S, H100, H200, B200"


@pytest.mark.parametrize(
    ("name", "card"),
    [
        ("3090", "RTX 3090"),
        ("rtx3090", "RTX 3090"),
        ("NVIDIA GeForce RTX 4090", "RTX 4090"),
        ("3080 12 GB", "RTX 3080 12GB"),
        ("A10", "A10"),
        ("a100-80gb", "A100 80GB"),
        ("NVIDIA A100-SXM4-40GB", "A100 40GB"),
        ("NVIDIA H100 80GB HBM3", "H100"),
        ("l4", "L4"),
    ],
)
def test_a_card_goes_by_the_names_that_people_and_drivers_use(name: str, card: str) -> None:
    assert find_gpu(name).name == card


@pytest.mark.parametrize(("name", "cards"), [("RTX 3080", ["10GB", "12GB"]), ("A100", ["40GB", "80GB"])])
def test_a_name_of_two_cards_is_refused_with_both(name: str, cards: list[str]) -> None:
    with pytest.raises(GpuNameError) as refused:
        find_gpu(name)
    assert all(card in str(refused.value) for card in cards)


@pytest.mark.parametrize(
    ("name", "hint"), [("H100 PCIe", "H100"), ("L40", "L40S"), ("RTX 3091", "RTX 3090"), ("toaster", "--gpu list")]
)
def test_an_unknown_card_is_refused_with_the_nearest(name: str, hint: str) -> None:
    # H100 PCIe is another card than the H100 that is known: guessing would be wrong by a third.
    with pytest.raises(GpuNameError, match=hint):
        find_gpu(name)


@pytest.mark.parametrize("nothing", ["", "nvidia"])
def test_a_name_that_names_nothing_is_refused(nothing: str) -> None:
    with pytest.raises(GpuNameError):
        find_gpu(nothing)


@pytest.mark.parametrize("gpu", GPUS, ids=lambda gpu: gpu.name)
def test_no_figure_is_a_sparse_one(gpu: Gpu) -> None:
    # Tensor cores do FP8 at twice the rate of BF16; GeForce halves BF16 with 32-bit accumulation, but not INT8.
    if gpu.fp8_tflops is not None:
        assert gpu.fp8_tflops / gpu.bf16_tflops == pytest.approx(2, rel=0.02)
    if gpu.int8_tops is not None:
        assert gpu.int8_tops / gpu.bf16_tflops == pytest.approx(4 if "RTX" in gpu.name else 2, rel=0.02)


def test_ampere_has_no_fp8() -> None:
    assert all((gpu.fp8_tflops is None) == gpu.name.startswith(BEFORE_ADA) for gpu in GPUS)


@pytest.mark.parametrize("name", ASKED_FOR.split(", "))
def test_common_cards_are_known(name: str) -> None:
    assert find_gpu(name).name.startswith(name if name.startswith(("RTX", "T", "A", "L", "H", "B")) else f"RTX {name}")


def test_a_name_means_the_card_without_a_suffix() -> None:
    assert [find_gpu(name).name for name in ("3090", "3090 Ti", "4070 Super")] == [
        "RTX 3090",
        "RTX 3090 Ti",
        "RTX 4070 Super",
    ]


def test_a_card_that_is_not_planned_for_is_refused_with_the_reason() -> None:
    with pytest.raises(GpuNameError, match="AMD's cards are not planned for"):
        find_gpu("AMD Instinct MI300X")


def test_every_figure_has_a_source() -> None:
    assert all("NVIDIA" in gpu.source for gpu in GPUS)


def test_error_correction_takes_its_share_of_gddr6() -> None:
    assert find_gpu("L4").usable_gib == 22.5
    assert find_gpu("RTX 3090").usable_gib == 24
