"""One training from prepared data to an adapter's folder."""

import platform
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np

from schemas.base import now_utc
from service.inference.adapter_card import AdapterCard, ServedModel, TrainedPolicy, TrainingFacts, read_card
from service.inference.vision.image_input import preprocessing
from service.inference.vision.prompt import prompter
from service.inference.vllm.arguments import image_sizes
from service.settings.vllm import VllmSettings
from service.tools.finetuning.encoding import EncodedImage, Encoder, encoder
from service.tools.finetuning.examples import PreparedData, Split
from service.tools.finetuning.training.base_model import BaseModel, load_base, one_thread_on_cpu
from service.tools.finetuning.training.checkpoints import CheckpointStore, exclusive
from service.tools.finetuning.training.lora import WEIGHTS_FILE, add_adapter, write_adapter
from service.tools.finetuning.training.packing import Packer
from service.tools.finetuning.training.trainer import Progress, Trained, Trainer
from service.tools.finetuning.training_errors import OutputFolderError, TooLittleDataError
from service.tools.finetuning.training_options import TrainingOptions, training_identity
from service.tools.finetuning.written_card import write_card

_LIBRARIES = ("modstream", "torch", "transformers", "peft")


@dataclass(frozen=True, slots=True)
class TrainingRequest:
    """What to train, and where the adapter goes."""

    base: str
    """A Qwen3-VL by its name on the hub, or a folder."""
    revision: str | None
    out: Path
    name: str
    """The adapter's name, as settings and policies write it."""
    options: TrainingOptions
    serve_on: tuple[ServedModel, ...] = ()
    """Further models that the adapter may be used with."""


@dataclass(frozen=True, slots=True)
class Hooks:
    """What a training reports while it runs."""

    on_stage: Callable[[str], None] = lambda _: None
    """Takes a sentence when something that takes time begins."""
    on_progress: Callable[[Progress], None] = lambda _: None
    should_stop: Callable[[], bool] = lambda: False


def train_adapter(data: PreparedData, request: TrainingRequest, hooks: Hooks) -> AdapterCard:
    """Train an adapter and write its folder; go on from the checkpoint in the folder if there is one.

    A folder with the finished adapter of the same data, model and options is left as it is. Raises `FatalError`, and
    `InterruptedTrainingError` when it was asked to stop.
    """
    with exclusive(request.out), one_thread_on_cpu():
        hooks.on_stage(f"Loading {request.base}")
        base = load_base(request.base, revision=request.revision, quantize=request.options.quantize)
        identity = training_identity(
            request.options, data_hash=data.manifest.data_hash, base=base.name, revision=base.revision
        )
        if (finished := _finished(request.out, identity)) is not None:
            return finished
        return _trained(data, request, hooks, base, identity)


def _trained(data: PreparedData, request: TrainingRequest, hooks: Hooks, base: BaseModel, identity: str) -> AdapterCard:
    options = request.options
    prompts = prompter(data.manifest.instructions)
    writer = encoder(base.chat, data, prompts.labels)
    hooks.on_stage("Reading the examples")
    images = _images(data, writer, "train")
    validation = _some(_images(data, writer, "validation"), options.validation_images, seed=options.seed)
    adapted = add_adapter(
        base.model,
        rank=options.rank,
        alpha=options.alpha,
        dropout=options.dropout,
        merger=options.merger,
        seed=options.seed,
    )
    # Without it a pass keeps what every layer computes; not worth the second pass on a CPU, which has memory enough.
    if base.device != "cpu":
        base.model.gradient_checkpointing_enable(gradient_checkpointing_kwargs={"use_reentrant": False})
    store = CheckpointStore(request.out)
    trainer = Trainer(base.model, base.device, _packer(base, writer, options), options, store, identity)
    hooks.on_stage(f"Training on {len(images):,} images")
    trained = trainer.train(images, validation, on_progress=hooks.on_progress, should_stop=hooks.should_stop)
    card = _card(data, request, base, trained, identity)
    _write(adapted, request.out, card)
    store.remove()
    return card


def _packer(base: BaseModel, writer: Encoder, options: TrainingOptions) -> Packer:
    bounds = VllmSettings(min_vision_tokens=options.min_vision_tokens, max_vision_tokens=options.max_vision_tokens)
    return Packer(
        prefix=writer.prefix,
        image_token=base.image_token,
        processor=base.image_processor,
        size=image_sizes(bounds),
        tokens_a_pass=options.tokens_a_pass,
    )


def _images(data: PreparedData, writer: Encoder, split: Split) -> Sequence[EncodedImage]:
    found = writer.images(data.examples(split))
    if not found:
        raise TooLittleDataError(folder=data.folder, split=split)
    return found


def _some(images: Sequence[EncodedImage], most: int, *, seed: int) -> Sequence[EncodedImage]:
    """Return at most so many images, by chance and in their order."""
    if len(images) <= most:
        return images
    chosen = np.random.default_rng(seed).choice(len(images), most, replace=False)
    return [images[number] for number in sorted(chosen)]


def _finished(folder: Path, identity: str) -> AdapterCard | None:
    """Return the card of a finished training; raise `OutputFolderError` if it is another one."""
    card = read_card(folder)
    if card is None or not (folder / WEIGHTS_FILE).exists():
        return None
    if card.training.identity == identity:
        CheckpointStore(folder).remove()  # of a process that was killed once it had written the card, the last file
        return card
    detail = "it holds an adapter of other data, another model or other options: name another folder with --out"
    raise OutputFolderError(folder=folder, detail=detail)


def _write(adapted: Any, folder: Path, card: AdapterCard) -> None:
    try:
        write_adapter(adapted, folder, base=card.base.model)
        write_card(folder, card)
    except OSError as error:
        detail = f"the adapter cannot be written ({error.strerror}); the same command goes on from the checkpoint"
        raise OutputFolderError(folder=folder, detail=detail) from error


def _card(
    data: PreparedData, request: TrainingRequest, base: BaseModel, trained: Trained, identity: str
) -> AdapterCard:
    manifest, options = data.manifest, request.options
    base_model = ServedModel(model=base.name, revision=base.revision)
    return AdapterCard(
        name=request.name,
        created_at=now_utc().replace(microsecond=0),
        base=base_model,
        serve_on=tuple(each for each in request.serve_on if each != base_model),
        adapts_merger=options.merger,
        prompt_hash=manifest.prompt_hash,
        policy=TrainedPolicy(**manifest.policy.model_dump()),
        preprocessing=preprocessing(manifest.vision_tokens),
        data_hash=manifest.data_hash,
        training=TrainingFacts(
            identity=identity,
            images=dict(manifest.images),
            categories={name: dict(counts) for name, counts in manifest.categories.items()},
            seed=options.seed,
            steps=trained.steps,
            best_step=trained.best.step,
            epochs=options.epochs,
            stopped_early=trained.stopped_early,
            learning_rate=options.learning_rate,
            rank=options.rank,
            alpha=options.alpha,
            precision=base.precision,
            validation_loss_before=trained.before.loss,
            validation_loss=trained.best.loss,
            validation_right_before=trained.before.right,
            validation_right=trained.best.right,
            hours=trained.seconds / 3600,
            device=f"{base.device} ({platform.machine()})",
            versions={name: version(name) for name in _LIBRARIES},
        ),
    )
