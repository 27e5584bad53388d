"""Writes an adapter's card, for programs and for people."""

import json
from pathlib import Path

from service.inference.adapter_card import CARD_FILE, AdapterCard
from service.tools.evaluation.report.whole_file import write_whole
from service.tools.finetuning.card_text import card_text

README = "README.md"


def write_card(folder: Path, card: AdapterCard) -> None:
    """Replace both files, that for programs last; raises `OSError`."""
    text = json.dumps(card.model_dump(mode="json"), indent=2, ensure_ascii=False)
    write_whole(folder / README, card_text(card).encode())
    write_whole(folder / CARD_FILE, f"{text}\n".encode())
