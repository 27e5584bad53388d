"""The block that MobileNetV2 and EfficientNet-Lite are both made of."""

from dataclasses import dataclass

from scripts.models.onnx_graph import OnnxGraph


@dataclass(frozen=True, slots=True)
class Layer:
    """A convolution's kernel (channels first) and bias, as names in the graph, and how many channels it gives."""

    kernel: str
    bias: str
    channels: int


def add_block(
    graph: OnnxGraph, x: str, channels: int, *, expand: Layer | None, depthwise: Layer, project: Layer, stride: int
) -> str:
    """Widen `x` of so many channels, filter each channel by itself, narrow; add `x` again where shapes allow."""
    wide = x if expand is None else graph.relu6(graph.convolution(x, expand.kernel, expand.bias, stride=1))
    filtered = graph.convolution(wide, depthwise.kernel, depthwise.bias, stride=stride, groups=depthwise.channels)
    narrow = graph.convolution(graph.relu6(filtered), project.kernel, project.bias, stride=1)
    return graph.add("Add", [x, narrow]) if stride == 1 and channels == project.channels else narrow
