"""nsfwjs's MobileNetV2Mid as ONNX: a TensorFlow.js graph whose weights are bytes inside scripts of an npm package.

The kernels stay bytes, so the file is a quarter of its size in floats; a byte q stands for scale × q + minimum.
"""

import base64
import json
import math
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import onnx
from numpy.typing import NDArray

from scripts.models.archives import Archive
from scripts.models.inverted_residual import Layer, add_block
from scripts.models.onnx_graph import OnnxGraph

PACKAGE = Archive("nsfwjs-4.3.0.tgz", "4496790efc9bdc6f3e85a826a8e482c1fa1e9db4b3d18c095e98cc0c73cfb12f")
FOLDER = "package/dist/models/mobilenet_v2_mid"
LICENCE = "package/LICENSE"

LABELS = ("drawing", "hentai", "neutral", "porn", "sexy")
SIDE = 224
# Of MobileNetV2's seventeen blocks.
STRIDES = (1, 2, 1, 2, 1, 1, 2, 1, 1, 1, 1, 1, 1, 2, 1, 1, 1)
BYTE_MAX = 255
WHOLE = 1e-3
"""How far from a whole number a zero point may be and still count as rounding."""

# What a minified JavaScript literal has that JSON has not: bare keys, numbers without their leading zero, !0 and !1.
# Strings are matched first, so that nothing inside them is changed.
_SCRIPT_ONLY = re.compile(r'"(?:[^"\\]|\\.)*"|(?P<key>[A-Za-z_]\w*)(?=:)|(?<![\w.])\.(?=\d)|![01]')
_IN_JSON = {".": "0.", "!0": "true", "!1": "false"}


@dataclass(frozen=True, slots=True)
class Bytes:
    """A quantized tensor."""

    codes: NDArray[np.uint8]
    scale: float
    minimum: float

    def floats(self) -> NDArray[np.float32]:
        """Return the values."""
        return self.codes.astype(np.float32) * np.float32(self.scale) + np.float32(self.minimum)

    def zero_point(self) -> np.uint8:
        """Return the code that stands for zero."""
        exact = -self.minimum / self.scale
        nearest = round(exact)
        if not (math.isclose(exact, nearest, abs_tol=WHOLE) and 0 <= nearest <= BYTE_MAX):
            raise ValueError(f"no byte stands for zero, which ONNX needs: {exact}")
        return np.uint8(nearest)


def convert(folder: Path) -> onnx.ModelProto:
    """Return the model from the package file in a folder."""
    topology, weights = _read(folder)
    return _Converter(weights).build(topology)


def licence(folder: Path) -> bytes:
    """Return the licence text that the package ships."""
    return PACKAGE.read(folder, LICENCE)[0]


class _Converter:
    def __init__(self, weights: dict[str, Bytes]) -> None:
        self._weights = weights
        self._graph = OnnxGraph()

    def build(self, topology: list[dict[str, Any]]) -> onnx.ModelProto:
        graph = self._graph
        x = graph.add("Sub", [graph.add("Mul", [graph.image(), self._floats("Mul/y")]), self._floats("Sub/y")])
        stem, head = self._layer("Conv/Conv2D"), self._layer("Conv_1/Conv2D")
        x = graph.relu6(graph.convolution(x, stem.kernel, stem.bias, stride=2))
        x = self._blocks(x, stem.channels)
        x = graph.relu6(graph.convolution(x, head.kernel, head.bias, stride=1))
        x = graph.add("Flatten", [graph.add("GlobalAveragePool", [x])])
        _, kernel, bias = next(node["input"] for node in topology if node["op"] == "_FusedMatMul")
        product = graph.add("MatMul", [x, self._kernel(self._weights[kernel], (0, 1))])
        logits = graph.add("Add", [product, graph.weight(self._weights[bias].floats())])
        about = {"labels": ",".join(LABELS), "source": "npm nsfwjs 4.3.0, mobilenet_v2_mid", "licence": "MIT"}
        return graph.finish(logits, name="nsfw_mobilenet_v2_mid", side=SIDE, classes=len(LABELS), about=about)

    def _blocks(self, x: str, channels: int) -> str:
        for number, stride in enumerate(STRIDES):
            name = f"expanded_conv_{number}" if number else "expanded_conv"
            project = self._layer(f"{name}/project/Conv2D")
            x = add_block(
                self._graph,
                x,
                channels,
                expand=self._layer(f"{name}/expand/Conv2D") if number else None,
                depthwise=self._layer(f"{name}/depthwise/depthwise", depthwise=True),
                project=project,
                stride=stride,
            )
            channels = project.channels
        return x

    def _layer(self, name: str, *, depthwise: bool = False) -> Layer:
        # TensorFlow has height, width, inputs, outputs; a depthwise kernel has one output an input.
        kernel = self._kernel(self._find(f"{name}_weights"), (2, 3, 0, 1) if depthwise else (3, 2, 0, 1))
        bias = self._find(f"{name}_bn_offset").floats()
        return Layer(kernel, self._graph.weight(bias), len(bias))

    def _kernel(self, weight: Bytes, axes: tuple[int, ...]) -> str:
        parts = (weight.codes.transpose(axes), np.float32(weight.scale), weight.zero_point())
        return self._graph.add("DequantizeLinear", [self._graph.weight(part) for part in parts])

    def _floats(self, name: str) -> str:
        return self._graph.weight(self._find(name).floats())

    def _find(self, ending: str) -> Bytes:
        (name,) = (name for name in self._weights if name.endswith(f"/{ending}"))
        return self._weights[name]


def _read(folder: Path) -> tuple[list[dict[str, Any]], dict[str, Bytes]]:
    """Return the graph's nodes, and its weights by name."""
    (script,) = PACKAGE.read(folder, f"{FOLDER}/model.min.js")
    model = _exported(script.decode())
    (group,) = model["weightsManifest"]
    shards = PACKAGE.read(folder, *(f"{FOLDER}/{path}.min.js" for path in group["paths"]))
    content = b"".join(base64.b64decode(_exported(shard.decode())) for shard in shards)
    return model["modelTopology"]["node"], dict(_weights(group["weights"], content))


def _exported(script: str) -> Any:
    """Return the value that a script of the package exports, without running the script."""
    start = re.search(r'\.exports=(?=\{format:|")', script)
    if start is None:
        raise ValueError("the script exports neither a model nor a string")
    literal = _SCRIPT_ONLY.sub(_as_json, script[start.end() :])
    return json.JSONDecoder().raw_decode(literal)[0]


def _as_json(match: re.Match[str]) -> str:
    return f'"{match["key"]}"' if match["key"] else _IN_JSON.get(match[0], match[0])


def _weights(manifest: list[dict[str, Any]], content: bytes) -> Iterator[tuple[str, Bytes]]:
    offset = 0
    for entry in manifest:
        size = math.prod(entry["shape"])
        codes = np.frombuffer(content, np.uint8, size, offset).reshape(entry["shape"])
        yield entry["name"], Bytes(codes, entry["quantization"]["scale"], entry["quantization"]["min"])
        offset += size
    if offset != len(content):
        raise ValueError(f"the manifest names {offset} bytes of weights, the package has {len(content)}")
