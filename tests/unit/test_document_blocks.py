"""Every command and program of the pages that users read first runs in tests/e2e, or says why not."""

import re
from pathlib import Path

import pytest

from testing.document_blocks import LANGUAGES, blocks_of

ROOT = Path(__file__).parents[2]
PAGES = (
    "README.md",
    "docs/uploader.md",
    "docs/consumer.md",
    "docs/operate.md",
    "docs/evaluation.md",
    "docs/archive.md",
)

NOT_RUN = {
    ("README.md", "make test"): "it starts the tests",
    ("docs/evaluation.md", "modstream evaluate dataset labels.csv -c vllm.yaml --predictions vllm.jsonl"): (
        "it needs a second engine"
    ),
}
"""Each block that does not run, by page and first line, and the reason that the page gives below it."""

OTHER_LANGUAGES = {"", "json", "mermaid", "yaml"}
"""Of blocks that show output, messages, pictures or settings."""


@pytest.mark.parametrize("page", PAGES)
def test_blocks_that_do_not_run_say_why(page: str) -> None:
    blocks = blocks_of(ROOT / page)
    not_run = {(page, block.text.splitlines()[0]): block.not_run for block in blocks if block.not_run}
    assert not_run == {key: reason for key, reason in NOT_RUN.items() if key[0] == page}


@pytest.mark.parametrize("page", PAGES)
def test_commands_are_in_fenced_blocks_of_a_language_that_runs(page: str) -> None:
    blocks = blocks_of(ROOT / page)
    assert {block.language for block in blocks} <= LANGUAGES.keys() | OTHER_LANGUAGES
    assert [block.text for block in blocks if block.language == "" and block.text.startswith("$ ")] == []
    prose = re.sub(r"^```.*?^```", "", (ROOT / page).read_text(encoding="utf-8"), flags=re.MULTILINE | re.DOTALL)
    assert re.findall(r"\n\n    \S.*", prose) == []
