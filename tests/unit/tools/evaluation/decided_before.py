"""Verdicts that a policy decided before, and what a backtest of another policy says of them."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import duckdb

from schemas.verdict import VerdictV1
from service.inference.vision.image_input import preprocessing
from service.inference.vision.prompt import prompter
from service.policy.judged import JudgedImage, decide_image
from service.policy.policy import CategoryRule, Policy
from service.policy.taxonomy import CHILD_SAFETY
from service.tools.evaluation.backtest.backtest import BacktestQuestion, backtest
from service.tools.evaluation.backtest.decided_verdicts import needed_categories
from service.tools.evaluation.backtest.result import BacktestResult
from service.tools.evaluation.stored.stored_verdicts import VerdictLines, opened_verdicts
from tests.unit.tools.evaluation.stored import a_verdict, write_lines

OLD = Policy(
    name="shop",
    version="1",
    categories={CHILD_SAFETY: CategoryRule(review=0.1, block=0.8), "weapons": CategoryRule(review=0.4, block=0.9)},
)
NEW = Policy(
    name="shop",
    version="2",
    categories={
        CHILD_SAFETY: CategoryRule(review=0.1, block=0.8),
        "weapons": CategoryRule(review=0.6, block=0.8),
        "gambling": CategoryRule(review=0.5),
    },
)


def judged(number: int, *, by: Policy = OLD, **fields: Any) -> dict[str, Any]:
    """Return a verdict that a policy decided, as the service writes it."""
    made_of = {
        "scores": {CHILD_SAFETY: 0.0, "weapons": 0.0, "gambling": 0.0},
        "status": "moderated",
        "hints": [],
        "asked": [CHILD_SAFETY],
        "frames": [],
        "reasons": [],
        "prompt_hash": prompter(NEW.instructions).hash,
        "preprocessing": preprocessing(NEW.vision_tokens),
        "model": {"name": "qwen", "revision": "1", "adapter": None},
        "policy": {"name": by.name, "version": by.version, "hash": by.hash},
    }
    document = a_verdict(number, **made_of | fields)
    result = decide_image(by, JudgedImage.from_verdict(VerdictV1.model_validate(document))).result
    return document | {"decision": result.decision, "deciding_category": result.deciding_category}


def weapons(number: int, score: float, **fields: Any) -> dict[str, Any]:
    return judged(number, scores={CHILD_SAFETY: 0.0, "weapons": score, "gambling": 0.0}, **fields)


@contextmanager
def opened(folder: Path, documents: Sequence[object], *policies: Policy) -> Iterator[duckdb.DuckDBPyConnection]:
    path = write_lines(folder / "verdicts.jsonl", documents)
    with opened_verdicts(VerdictLines(path), categories=needed_categories(*policies)) as connection:
        yield connection


def result_of(folder: Path, documents: Sequence[object], policy: Policy = NEW, **options: Any) -> BacktestResult:
    with opened(folder, documents, policy) as connection:
        return backtest(connection, BacktestQuestion(policy, **options))


def kinds(result: BacktestResult) -> dict[str, list[str]]:
    return {each.kind: sorted(example.image_id for example in each.examples) for each in result.unanswered}
