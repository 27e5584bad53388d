"""The model card as a page."""

from service.inference.adapter_card import Interval, Measured, MeasuredCategory, ServedModel
from service.tools.finetuning.card_text import card_text
from testing.adapter_cards import adapter_card

MEASURED = Measured(
    engine="vllm",
    model="Qwen/Qwen3-VL-8B-Instruct-FP8",
    revision="b" * 40,
    precision="fp8-block",
    images=75,
    not_judged=(0, 1),
    sentence="The second is better",
    categories=[
        MeasuredCategory(
            category="weapons",
            images=74,
            positives=15,
            before={"f1": 0.5, "precision": None},
            after={"f1": 0.9},
            difference={"f1": Interval(value=0.4, low=0.2, high=0.6)},
            p_value=0.0123,
        )
    ],
)


def test_a_card_names_model_data_questions_and_use() -> None:
    text = card_text(adapter_card(serve_on=(ServedModel(model="Qwen/Qwen3-VL-8B-Instruct-FP8"),)))
    for part in ("a" * 40, "1" * 64, "3" * 64, "Instruct-FP8 at any revision", "adapters: [shop=", "max_lora_rank: 16"):
        assert part in text
    assert "| weapons | 70 | 15 | 15 |" in text
    assert "Not measured yet" in text
    assert "in 30.0 minutes on" in text
    assert "enable_tower_connector_lora" not in text


def test_a_card_has_the_figures_before_and_after_with_their_interval() -> None:
    text = card_text(adapter_card(measured=MEASURED, calibration="calibration.yaml", adapts_merger=True))
    assert "| weapons | 74, 15 | f1 | 0.500 | 0.900 | +0.400 [+0.200, +0.600] | 0.0123 |" in text
    assert "| weapons | 74, 15 | precision | - | - | - | 0.0123 |" in text
    assert "| Calibration | calibration.yaml |" in text
    assert "enable_tower_connector_lora: true" in text
