"""Reads a folder with a sub-folder of images for each category."""

from collections.abc import Iterator, Sequence
from pathlib import Path

from service.client.upload_events import Upload, find_uploads, image_id_of
from service.tools.evaluation.datasets.dataset import Dataset, DatasetError, DatasetOptions, Example, categories_of

SPLITS = frozenset({"train", "training", "test", "validation", "val", "dev", "eval"})
"""Folders of these names above those of the categories are splits."""


def folder_dataset(folder: Path, options: DatasetOptions) -> Dataset:
    """Return the images below each category's folder, as examples of that category alone.

    Raises `DatasetError` for a folder that is no category, and for an image that is in none.
    """
    found = find_uploads([str(folder)])
    examples = [*_examples(folder, found.uploads, options)]
    if not examples:
        raise DatasetError(place=folder, detail="no image was found in it; each category has a folder of images")
    return Dataset(str(folder), examples, found.unusable, options.categories)


def _examples(folder: Path, uploads: Sequence[Upload], options: DatasetOptions) -> Iterator[Example]:
    for upload in uploads:
        name = Path(upload.location).relative_to(folder)
        above = name.parts[:-1]
        split = above[0] if len(above) > 1 and above[0] in SPLITS else None
        within = above[1:] if split else above
        if not within:
            detail = "the image is in no category's folder: move it to one, or to 'none' if it shows no category"
            raise DatasetError(place=folder / name, detail=detail)
        place = folder / Path(*above[: 2 if split else 1])
        categories = categories_of([within[0]], options, str(place))
        yield Example(image_id_of(name.as_posix()), str(place), Path(upload.location), categories, split=split)
