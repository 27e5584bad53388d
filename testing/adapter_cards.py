"""Cards of adapters, as a training would write them."""

from datetime import UTC, datetime
from pathlib import Path

from service.inference.adapter_card import CARD_FILE, AdapterCard, ServedModel, TrainedPolicy, TrainingFacts


def adapter_card(**changes: object) -> AdapterCard:
    """Return a card, with changes."""
    card = AdapterCard(
        name="shop",
        created_at=datetime(2026, 1, 2, 3, 4, tzinfo=UTC),
        base=ServedModel(model="Qwen/Qwen3-VL-8B-Instruct", revision="a" * 40),
        prompt_hash="1" * 64,
        policy=TrainedPolicy(name="shoes", version="3", hash="2" * 64),
        preprocessing="pillow-13/256x32x32/1",
        data_hash="3" * 64,
        training=TrainingFacts(
            identity="4" * 64,
            images={"train": 350, "validation": 75, "held_out": 75},
            categories={"weapons": {"train": 70, "validation": 15, "held_out": 15}},
            seed=0,
            steps=66,
            best_step=44,
            epochs=3,
            stopped_early=False,
            learning_rate=2e-4,
            rank=16,
            alpha=32,
            precision="bfloat16",
            validation_loss_before=1.5,
            validation_loss=0.25,
            validation_right_before={"which": 0.5, "is_it": 0.75},
            validation_right={"which": 0.9, "is_it": 0.95},
            hours=0.5,
            device="cuda",
            versions={"torch": "2.13.0"},
        ),
    )
    return card.model_copy(update=changes)


def write_card_beside(folder: Path, card: AdapterCard) -> Path:
    """Write a card into an adapter's folder; return its file."""
    file = folder / CARD_FILE
    file.write_text(card.model_dump_json(), encoding="utf-8")
    return file
