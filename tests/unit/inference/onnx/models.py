"""Tiny ONNX classifiers and their catalogues."""

import hashlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import yaml
from onnx import TensorProto, helper, numpy_helper

SIDE = 8
LABELS = ["red", "green", "blue"]


def write_mean_model(path: Path, *, layout: str = "nchw", inputs: int = 1, breaks_on_bright: bool = False) -> Path:
    """Write a model whose three outputs are the means of red, green and blue.

    One that breaks on bright images gives NaN for a mean over 0.5.
    """
    shape: list[str | int | None]
    shape, axes = (["N", 3, SIDE, SIDE], [2, 3]) if layout == "nchw" else (["N", SIDE, SIDE, 3], [1, 2])
    nodes = [helper.make_node("ReduceMean", ["image"], ["means"], axes=axes, keepdims=0)]
    weights = []
    if breaks_on_bright:
        weights.append(numpy_helper.from_array(np.array(0.5, np.float32), "half"))
        nodes.append(helper.make_node("Sub", ["half", "means"], ["rest"]))
        nodes.append(helper.make_node("Sqrt", ["rest"], ["root"]))
        nodes.append(helper.make_node("Mul", ["root", "means"], ["out"]))
    else:
        nodes.append(helper.make_node("Identity", ["means"], ["out"]))
    names = ["image", "mask"][:inputs]
    takes = [helper.make_tensor_value_info(name, TensorProto.FLOAT, shape) for name in names]
    gives = [helper.make_tensor_value_info("out", TensorProto.FLOAT, ["N", 3])]
    graph = helper.make_graph(nodes, "means", takes, gives, weights)
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 13)], ir_version=8), path)
    return path


def entry(model: Path, **changes: Any) -> dict[str, Any]:
    """Describe a model for a catalogue in the same folder."""
    return {
        "name": "means",
        "file": model.name,
        "sha256": hashlib.sha256(model.read_bytes()).hexdigest(),
        "licence": "CC0",
        "source": "this test",
        "labels": LABELS,
        "output": "logits",
        "preprocessing": {"side": SIDE, "resampling": "bilinear", "layout": "nchw"},
        "categories": {"violence": {"classes": {0: "red"}, "why": "blood"}},
    } | changes


def write_catalogue(folder: Path, *entries: Mapping[str, Any], attribute_schema: str | None = None) -> Path:
    path = folder / "catalogue.yaml"
    content: dict[str, Any] = {"classifiers": [dict(each) for each in entries]}
    if attribute_schema:
        content["attribute_schema"] = attribute_schema
    path.write_text(yaml.safe_dump(content), encoding="utf-8")
    return path
