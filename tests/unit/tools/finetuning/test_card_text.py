"""An adapter's page for people, whatever its names are."""

from service.inference.adapter_card import AdapterCard
from service.tools.finetuning.card_text import card_text

EVIL = "a|b`](http://evil)<img src=x>\n# Heading\n```\n\x1b[31m"


def card(text: str) -> AdapterCard:
    return AdapterCard.model_validate(
        {
            "name": text,
            "created_at": "2026-03-01T12:00:00Z",
            "base": {"model": text, "revision": text},
            "prompt_hash": "0" * 64,
            "policy": {"name": text, "version": text, "hash": "h"},
            "preprocessing": text,
            "data_hash": text,
            "calibration": text,
            "training": {
                "identity": "i",
                "images": {"train": 1},
                "categories": {text: {"train": 1}},
                "seed": 0,
                "steps": 1,
                "best_step": 1,
                "epochs": 1,
                "stopped_early": False,
                "learning_rate": 1e-3,
                "rank": 4,
                "alpha": 8,
                "precision": text,
                "validation_loss_before": 1.0,
                "validation_loss": 0.5,
                "validation_right_before": {text: 0.5},
                "validation_right": {text: 1.0},
                "hours": 1.0,
                "device": text,
                "versions": {"torch": text},
            },
            "measured": {
                "engine": text,
                "model": text,
                "revision": text,
                "precision": text,
                "images": 1,
                "not_judged": [0, 0],
                "sentence": text,
                "categories": [
                    {
                        "category": text,
                        "images": 1,
                        "positives": 1,
                        "before": {},
                        "after": {},
                        "difference": {},
                        "p_value": 1.0,
                    }
                ],
            },
        }
    )


def test_no_name_or_version_is_markup() -> None:
    plain, evil = (card_text(card(text)).split("\n") for text in ("plain", EVIL))
    assert len(evil) == len(plain)
    assert "\x1b" not in "".join(evil)
    code = range(evil.index("```yaml"), evil.index("```"))
    for number, line in enumerate(evil):
        if number not in code:
            bare = line.replace("\\|", "").replace("\\<", "").replace("\\`", "").replace("\\[", "")
            assert bare.count("|") == plain[number].count("|")
            assert bare.count("`") == plain[number].count("`")
            assert "<" not in bare
