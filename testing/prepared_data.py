"""Prepared data about drawn images with a category that the tiny model was never taught."""

import hashlib
import json
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
from PIL import Image

from service.inference.vision.labels import NONE
from service.inference.vision.prompt import Prompter, prompter
from service.policy.policy_file import check_policy
from service.tools.finetuning.examples import (
    LABELS_FILE,
    MANIFEST_FILE,
    SPLITS,
    ExampleLine,
    Manifest,
    PreparedData,
    PreparedPolicy,
    Split,
    examples_file,
    open_prepared,
)
from testing.tiny_model.new_category import Drawn, drawn, write_new_category_policy

_SEEDS = {"train": 1, "validation": 2, "held_out": 3}
_NEGATIVES = 2


def prepared_new_category(folder: Path, images: dict[Split, int], *, shuffled: bool = False) -> PreparedData:
    """Write prepared data with so many images in each split; in the split for held-out ones all categories are asked.

    `shuffled` gives images that are learnt the labels of others.
    """
    policy = check_policy(write_new_category_policy(folder)).result()
    prompts = prompter(policy.instructions)
    counts: dict[Split, int] = {}
    digests: dict[Split, str] = {}
    labels: list[str] = []
    for split in SPLITS:
        found = [*drawn(images[split], seed=_SEEDS[split])]
        order = np.arange(len(found))
        if shuffled and split != "held_out":
            order = np.random.default_rng(0).permutation(len(found))
        lines: list[str] = []
        for number, each in enumerate(found):
            image = _keep(folder, each)
            shown = found[order[number]].shown
            asked = _questions(prompts, shown, number, every=split == "held_out")
            lines += [line.model_copy(update={"image": image, "image_id": image}).model_dump_json() for line in asked]
            labels.append(json.dumps({"image": image, "labels": [*shown] or ["none"], "split": split}))
        text = "".join(f"{line}\n" for line in lines)
        (folder / examples_file(split)).write_text(text)
        counts[split], digests[split] = len(lines), hashlib.sha256(text.encode()).hexdigest()
    (folder / LABELS_FILE).write_text("".join(f"{line}\n" for line in labels))
    manifest = Manifest(
        data_hash=hashlib.sha256("".join(digests.values()).encode()).hexdigest(),
        prompt_hash=prompts.hash,
        policy=PreparedPolicy(name=policy.name, version=policy.version, hash=policy.hash),
        instructions=policy.instructions,
        seed=0,
        images=images,
        examples=counts,
        categories={},
        files=digests,
    )
    (folder / MANIFEST_FILE).write_text(manifest.model_dump_json())
    return open_prepared(folder)


def _keep(folder: Path, each: Drawn) -> str:
    sha256 = hashlib.sha256(each.pixels.tobytes()).hexdigest()
    name = f"images/{sha256[:2]}/{sha256}.png"
    (folder / name).parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(each.pixels).save(folder / name)
    return name


def _questions(prompts: Prompter, shown: Sequence[str], number: int, *, every: bool) -> Iterator[ExampleLine]:
    by_category = {category: label for label, category in prompts.labels.items()}
    right = [by_category[name] for name in shown or (NONE,)]
    which = {label: 1 / len(right) for label in right}
    yield _line("which", prompts.which(None).question, which)
    names = [each.name for each in prompts.instructions.categories]
    absent = [name for name in names if name not in shown]
    if not every:
        absent = [str(name) for name in np.random.default_rng(number).choice(absent, _NEGATIVES, replace=False)]
    for name in sorted([*shown, *absent], key=names.index):
        answer = prompts.phrases.yes if name in shown else prompts.phrases.no
        yield _line("is_it", prompts.is_it(None, name).question, {answer: 1.0})


def _line(kind: str, question: str, targets: dict[str, float]) -> ExampleLine:
    zero = f"images/00/{'0' * 64}.png"
    return ExampleLine.model_validate(
        {"image": zero, "image_id": "", "group": "", "kind": kind, "question": question, "targets": targets}
    )
