"""Builds an ONNX classifier node by node."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import onnx
from numpy.typing import ArrayLike
from onnx import TensorProto, helper, numpy_helper

# Opset 13 is the first whose DequantizeLinear and Softmax are today's; both numbers are read by runtimes since 2021.
OPSET = 13
IR_VERSION = 8

INPUT = "input"
OUTPUT = "probabilities"


class OnnxGraph:
    """A growing graph: each method adds nodes and returns the name of their result.

    The whole takes `input`, float32 (N, side, side, 3) in RGB from 0 to 1, and gives `probabilities`, float32
    (N, classes). Nodes work on channels first, as ONNX does.
    """

    def __init__(self) -> None:
        self._nodes: list[onnx.NodeProto] = []
        self._weights: list[onnx.TensorProto] = []

    def weight(self, value: ArrayLike) -> str:
        """Add a constant; its type is the array's."""
        name = f"w{len(self._weights)}"
        self._weights.append(numpy_helper.from_array(np.ascontiguousarray(value), name))
        return name

    def add(self, operator: str, inputs: Sequence[str], **attributes: Any) -> str:
        """Add a node."""
        name = f"n{len(self._nodes)}"
        self._nodes.append(helper.make_node(operator, list(inputs), [name], **attributes))
        return name

    def image(self) -> str:
        """Add the step from the input to channels first."""
        return self.add("Transpose", [INPUT], perm=[0, 3, 1, 2])

    def convolution(self, x: str, kernel: str, bias: str, *, stride: int, groups: int = 1) -> str:
        """Add a convolution, padded as TensorFlow's SAME: an odd pixel of padding goes to the end."""
        return self.add("Conv", [x, kernel, bias], strides=[stride, stride], group=groups, auto_pad="SAME_UPPER")

    def relu6(self, x: str) -> str:
        """Add an activation between 0 and 6."""
        return self.add("Clip", [x, self.weight(np.float32(0)), self.weight(np.float32(6))])

    def finish(self, logits: str, *, name: str, side: int, classes: int, about: dict[str, str]) -> onnx.ModelProto:
        """Return the checked model that turns the input into a softmax over the logits."""
        self._nodes.append(helper.make_node("Softmax", [logits], [OUTPUT], axis=-1))
        takes = helper.make_tensor_value_info(INPUT, TensorProto.FLOAT, ["N", side, side, 3])
        gives = helper.make_tensor_value_info(OUTPUT, TensorProto.FLOAT, ["N", classes])
        graph = helper.make_graph(self._nodes, name, [takes], [gives], self._weights)
        model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", OPSET)], ir_version=IR_VERSION)
        helper.set_model_props(model, about)
        onnx.checker.check_model(model, full_check=True)
        return model
