"""Pure: an adapter's card as a page for people. Names and versions may hold anything: none of it is markup."""

import re
from collections.abc import Iterator, Mapping

from service.inference.adapter_card import AdapterCard, Interval, Measured, MeasuredCategory
from service.telemetry.plain_text import one_line

_MARKUP = re.compile(r"[\\`*\[\]<>|&]")
_FIGURES = ("precision", "recall", "f1", "average_precision")


def card_text(card: AdapterCard) -> str:
    """Return the model card as Markdown."""
    return "\n".join([*_head(card), *_use(card), *_data(card), *_training(card), *_measured(card), ""])


def _head(card: AdapterCard) -> Iterator[str]:
    yield f"# {_text(card.name)}"
    yield ""
    yield (
        f"A LoRA adapter for {_text(card.base.model)}, trained by `modstream finetune` on the questions of the policy "
        f"{_text(card.policy.name)}, version {_text(card.policy.version)}. `modstream.json` holds the same for "
        "programs."
    )
    yield ""
    yield "| | |"
    yield "|---|---|"
    yield f"| Base model | {_text(card.base.text)} |"
    for model in card.serve_on:
        yield f"| May be used with | {_text(model.text)} |"
    yield f"| Prompt hash | `{card.prompt_hash}` |"
    yield f"| Data hash | {_text(card.data_hash)} |"
    yield f"| Preprocessing | {_text(card.preprocessing)} |"
    yield f"| Calibration | {_text(card.calibration or 'none')} |"
    yield f"| Created | {card.created_at:%Y-%m-%d %H:%M} UTC |"
    yield ""


def _use(card: AdapterCard) -> Iterator[str]:
    yield "## Use"
    yield ""
    yield "```yaml"
    yield "# Settings of the service:"
    yield "engine:"
    yield "  vllm:"
    yield f"    adapters: [{_code(card.name)}=PATH_OF_THIS_FOLDER]"
    yield f"    max_lora_rank: {card.training.rank}  # or more"
    if card.adapts_merger:
        yield "    engine_args: {enable_tower_connector_lora: true}"
    yield f"# The policy {_code(card.policy.name)}, with everything else as it was:"
    yield f"adapter: {_code(card.name)}"
    yield "```"
    yield ""
    yield "The service refuses the adapter with another base model, or with a policy that asks other questions."
    yield ""


def _data(card: AdapterCard) -> Iterator[str]:
    facts = card.training
    splits = [*facts.images]
    yield "## Data"
    yield ""
    yield f"| Images | {' | '.join(map(_text, splits))} |"
    yield "|---" * (len(splits) + 1) + "|"
    yield f"| all | {_counts(facts.images, splits)} |"
    for category, counts in facts.categories.items():
        yield f"| {_text(category)} | {_counts(counts, splits)} |"
    yield ""


def _duration(hours: float) -> str:
    return f"{hours:.1f} hours" if hours >= 1 else f"{hours * 60:.1f} minutes"


def _training(card: AdapterCard) -> Iterator[str]:
    facts = card.training
    end = "ended early, because the validation found nothing better" if facts.stopped_early else "to the end"
    yield "## Training"
    yield ""
    yield (
        f"Rank {facts.rank}, alpha {facts.alpha}, learning rate {facts.learning_rate:g}, seed {facts.seed}, frozen "
        f"weights in {_text(facts.precision)}; {facts.steps:,} steps in {_duration(facts.hours)} on "
        f"{_text(facts.device)}, {end}. The weights are those of step {facts.best_step:,}."
    )
    yield ""
    kinds = sorted({*facts.validation_right_before, *facts.validation_right})
    yield f"| Validation | loss | {' | '.join(f'right: {_text(kind)}' for kind in kinds)} |"
    yield "|---" * (len(kinds) + 2) + "|"
    for name, loss, right in (
        ("before", facts.validation_loss_before, facts.validation_right_before),
        ("after", facts.validation_loss, facts.validation_right),
    ):
        yield f"| {name} | {loss:.4f} | {' | '.join(_number(right.get(kind)) for kind in kinds)} |"
    yield ""
    yield f"Versions: {', '.join(_text(f'{name} {release}') for name, release in facts.versions.items())}."
    yield ""


def _measured(card: AdapterCard) -> Iterator[str]:
    yield "## Held-out figures"
    yield ""
    found = card.measured
    if found is None:
        yield "Not measured yet: `modstream finetune evaluate` measures it with the engine."
        return
    yield (
        f"{found.images:,} images that training never saw, judged by {_text(found.engine)} with {_text(found.model)} "
        f"(revision {_text(found.revision)}, {_text(found.precision or 'unknown precision')}) without the adapter and "
        f"with it, decided by the same policy. Not judged: {found.not_judged[0]} before, {found.not_judged[1]} after. "
        f"Brackets are 95 % "
        f"intervals of a paired bootstrap; p is that of McNemar's exact test, corrected for the number of categories."
    )
    yield ""
    yield _text(found.sentence) + "."
    yield ""
    yield from _table(found)


def _table(found: Measured) -> Iterator[str]:
    yield "| Category | images, shown | figure | before | after | difference | p |"
    yield "|---|---|---|---|---|---|---|"
    for each in found.categories:
        for figure in _FIGURES:
            yield _row(each, figure)


def _row(each: MeasuredCategory, figure: str) -> str:
    difference = each.difference.get(figure)
    cells = (
        _text(each.category),
        f"{each.images:,}, {each.positives:,}",
        figure,
        _number(each.before.get(figure)),
        _number(each.after.get(figure)),
        _interval(difference) if difference else "-",
        f"{each.p_value:.3g}",
    )
    return f"| {' | '.join(cells)} |"


def _text(value: str) -> str:
    """Return a text for a line or a cell of Markdown, which shows it as it is."""
    return _MARKUP.sub(lambda found: f"\\{found[0]}", one_line(value))


def _code(value: str) -> str:
    """Return a text for a line in a block of code, which it does not end."""
    return one_line(value)


def _interval(found: Interval) -> str:
    return f"{found.value:+.3f} [{found.low:+.3f}, {found.high:+.3f}]"


def _counts(counts: Mapping[str, int], splits: list[str]) -> str:
    return " | ".join(f"{counts.get(split, 0):,}" for split in splits)


def _number(value: float | None) -> str:
    return "-" if value is None else f"{value:.3f}"
