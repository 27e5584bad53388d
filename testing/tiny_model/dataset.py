"""Write held-out pictures with their labels, as a dataset that `modstream evaluate` and `modstream calibrate` take."""

import argparse
import json
import sys
from pathlib import Path

from PIL import Image

from testing.tiny_model.answers import categories, right_tags
from testing.tiny_model.held_out import samples
from testing.tiny_model.shapes import INSTRUCTIONS

FILE = "labels.jsonl"


def write_dataset(folder: Path, images: int) -> Path:
    """Draw so many pictures into a folder, with their right categories and tags; return the file of labels."""
    folder.mkdir(parents=True, exist_ok=True)
    rows = []
    for number, sample in enumerate(samples(images)):
        Image.fromarray(sample.pixels).save(folder / f"{number}.png")
        tags = {name: [*values] for name, values in right_tags(sample.scene, INSTRUCTIONS).items()}
        shown = [*categories(sample.scene, INSTRUCTIONS)]
        row = {"image": f"{number}.png", "labels": shown, "tags": tags, "caption": sample.caption or ""}
        rows.append(json.dumps(row | {"background": sample.scene.background}) + "\n")
    file = folder / FILE
    file.write_text("".join(rows))
    return file


def main() -> None:
    """Take folder and number from the command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--images", type=int, default=400)
    arguments = parser.parse_args()
    sys.stdout.write(f"{write_dataset(arguments.folder, arguments.images)}\n")


if __name__ == "__main__":
    main()
