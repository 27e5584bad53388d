"""Labelled images to a folder of prepared data: decoded, grouped, divided, and asked about."""

from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from service.inference.vision.image_input import fit, image_spec
from service.inference.vision.prompt import prompter
from service.media.fetch.files import FileReader
from service.media.types import DecodedImage
from service.policy.policy import Policy
from service.settings.settings import Settings
from service.tools.evaluation.datasets.dataset import Dataset, Example
from service.tools.evaluation.datasets.duplicates import without_repeats
from service.tools.evaluation.datasets.image_store import ImageStore
from service.tools.evaluation.datasets.pictures import Gatherer, NoPicture, Picture
from service.tools.evaluation.quality.run import Progress
from service.tools.finetuning.decoding import running_decoders
from service.tools.finetuning.enough_images import check_enough
from service.tools.finetuning.examples import Manifest, PreparedPolicy, Split
from service.tools.finetuning.image_questions import LabelledImage, QuestionWriter, confusable
from service.tools.finetuning.known_labels import KnownLabels, known_labels
from service.tools.finetuning.labelled import MAX_IMAGES, Labelled, TooManyImagesError
from service.tools.finetuning.near_duplicates import Signature, joined, near_duplicates, signature
from service.tools.finetuning.prepared_folder import PreparedFolder, PreparedFor, image_file
from service.tools.finetuning.splits import DATASET_SPLITS, GroupMember, split_groups

ANIMATION = "finetune.animation"
"""The label is of the whole file, and one frame may show nothing of it."""
NOTHING_KNOWN = "finetune.nothing_known"
"""No question about the image has a known answer."""
REPEATED = "finetune.repeated"
"""The same picture stands in the data before, with the same labels."""


@dataclass(frozen=True, slots=True)
class PrepareOptions:
    """What to make of the images, and where."""

    out: Path
    """The folder of prepared data."""
    fetched: Path
    """The folder for images that are fetched."""
    seed: int = 0
    """Of the splits."""
    min_images: int = 20
    """Of each category, and of images without harm."""
    group_by: str | None = None
    """A column of the dataset; images with an equal value are never divided."""
    earlier: Mapping[str, Split] = field(default_factory=dict)
    """Splits of an earlier preparation by the SHA-256 of the image file; they stay."""
    replaces: bool = False
    """Whether prepared data in the folder is replaced."""


@dataclass(frozen=True, slots=True)
class Prepared:
    """What a preparation made."""

    manifest: Manifest
    missing: Sequence[NoPicture]
    """Images that cannot be used, with their reasons."""
    groups: int
    largest_group: int
    """Images of the largest group of near-duplicates."""


async def prepare(
    settings: Settings, policy: Policy, source: Labelled, options: PrepareOptions, progress: Progress
) -> Prepared:
    """Write the prepared data of labelled images for a policy; raises `FatalError`.

    `TooFewImagesError` names the categories that cannot be taught or measured with what there is.
    """
    if (count := len(source.dataset.examples)) > MAX_IMAGES:
        raise TooManyImagesError(place=source.dataset.source, count=count, limit=MAX_IMAGES)
    # The adapter's name is chosen later; the questions do not depend on it.
    instructions = replace(policy.instructions, adapter=None)
    of = PreparedFor(
        PreparedPolicy(name=policy.name, version=policy.version, hash=policy.hash),
        instructions,
        prompter(instructions),
        options.seed,
    )
    folder = PreparedFolder(options.out)
    folder.begin(replace=options.replaces)
    looks = _Looks(folder)
    found = await _gathered(
        settings, source.dataset, options, looks, progress, vision_tokens=instructions.vision_tokens
    )
    missing = [each for each in found if isinstance(each, NoPicture)]
    pictures, repeats = without_repeats(source.dataset, (each for each in found if isinstance(each, Picture)))
    names = frozenset(category.name for category in instructions.categories)
    labels = [known_labels(source.dataset, each, names, source.scores.get(each.sha256, {})) for each in pictures]
    usable = [each for each in labels if each.is_usable and each.picture.sha256 not in looks.animations]
    with progress("Comparing", len(usable)) as on_compared:
        groups = _groups(usable, looks.signatures, options.group_by, on_compared)
    images = _divided(usable, groups, options)
    left_out = Counter(source.left_out) + Counter(each.reason for each in missing)
    left_out[REPEATED] = len(repeats)
    left_out[ANIMATION] = sum(each.picture.sha256 in looks.animations for each in labels)
    left_out[NOTHING_KNOWN] = len(labels) - len(usable) - left_out[ANIMATION]
    check_enough(images, options.min_images)
    with progress("Writing", 1) as on_done:
        writer = QuestionWriter(of.prompter, confusable(images))
        manifest = folder.write(images, writer, of, {reason: count for reason, count in left_out.items() if count})
        on_done()
    sizes = Counter(image.group for image in images)
    return Prepared(manifest, missing, len(sizes), max(sizes.values()))


class _Looks:
    """Keeps the pixels of decoded images, and their signatures; called in several threads."""

    def __init__(self, folder: PreparedFolder) -> None:
        self._folder = folder
        self.signatures: dict[str, Signature] = {}
        self.animations: set[str] = set()

    def keep(self, _: Example, image: DecodedImage) -> None:
        if image.frames_total > 1:
            self.animations.add(image.sha256)
            return
        # Of several views of a still image, the first is what most viewers show.
        pixels = fit(image.frames[0])
        self._folder.keep_pixels(image.sha256, pixels)
        self.signatures[image.sha256] = signature(pixels)


async def _gathered(
    settings: Settings,
    dataset: Dataset,
    options: PrepareOptions,
    looks: _Looks,
    progress: Progress,
    *,
    vision_tokens: int,
) -> Sequence[Picture | NoPicture]:
    files = FileReader(Path("/"), limit_bytes=settings.media.fetch.max_bytes)
    async with running_decoders(settings) as plane:
        gatherer = Gatherer(
            plane.fetcher,
            plane.decoder,
            plane.memory,
            files,
            ImageStore(options.fetched),
            spec=image_spec(vision_tokens),
            on_decoded=looks.keep,
        )
        with progress("Reading", len(dataset.examples)) as on_found:
            try:
                return await gatherer.gather(dataset.examples, on_found)
            except ExceptionGroup as failures:
                # An error that ends the run ends it for every image, and the first names the cause.
                raise failures.exceptions[0] from None


def _divided(labels: Sequence[KnownLabels], groups: Sequence[str], options: PrepareOptions) -> Sequence[LabelledImage]:
    members = (
        GroupMember(group, each.shown, _given(each.picture, options.earlier))
        for group, each in zip(groups, labels, strict=True)
    )
    splits = split_groups(members, options.seed)
    return [_labelled_image(each, group, splits[group]) for group, each in zip(groups, labels, strict=True)]


def _groups(
    labels: Sequence[KnownLabels],
    signatures: Mapping[str, Signature],
    group_by: str | None,
    on_compared: Callable[[], None],
) -> Sequence[str]:
    """Return the name of each image's group: it does not depend on the other groups, nor on the order."""
    roots = near_duplicates([signatures[each.picture.sha256] for each in labels], on_compared)
    if group_by is not None:
        roots = joined(roots, (each.picture.example.columns.get(group_by) for each in labels))
    names: dict[int, str] = {}
    for root, each in zip(roots, labels, strict=True):
        names[root] = min(names.get(root, each.picture.sha256), each.picture.sha256)
    return [names[root] for root in roots]


def _given(picture: Picture, earlier: Mapping[str, Split]) -> Split | None:
    split = picture.example.split
    return earlier.get(picture.sha256) or (DATASET_SPLITS.get(split.lower()) if split else None)


def _labelled_image(of: KnownLabels, group: str, split: Split) -> LabelledImage:
    example = of.picture.example
    return LabelledImage(
        image=image_file(of.picture.sha256),
        image_id=example.image_id,
        sha256=of.picture.sha256,
        group=group,
        split=split,
        shown=of.shown,
        absent=of.absent,
        is_harmless=of.is_harmless,
        caption=example.caption,
        tags=example.tags,
        scores=of.scores,
    )


def unknown_splits(examples: Iterable[Example]) -> Sequence[str]:
    """Return names of a dataset's splits that mean nothing here: their images are divided like those without."""
    return sorted({each.split for each in examples if each.split and each.split.lower() not in DATASET_SPLITS})
