"""Cut the feature maps of EfficientNet-Lite0 out of healtheat/embedding/imagenet, for images of any size.

    python -m training.region_features [OUT]

Writes `features.onnx`: the layers up to stride 16 with their weights as they are, height and width free.
Needs onnx.
"""

from __future__ import annotations

import sys
from pathlib import Path

import onnx
from onnx import TensorProto, helper

from healtheat.core.atomic import write_file

EMBEDDING = Path(__file__).resolve().parents[1] / "healtheat" / "embedding"
SOURCE, OUT = EMBEDDING / "imagenet" / "image.onnx", EMBEDDING / "regions"
TAPS = {"add_208": "stride_4", "add_351": "stride_8", "add_776": "stride_16"}  # last sums of their stages
CHANNELS = {"stride_4": 24, "stride_8": 40, "stride_16": 112}


def cut(model: onnx.ModelProto) -> onnx.ModelProto:
    """The part of the network that the taps need, its input (1 or more, 3, height, width)."""
    graph = model.graph
    for at, name in ((0, "batch"), (2, "height"), (3, "width")):
        graph.input[0].type.tensor_type.shape.dim[at].dim_param = name
    needed, nodes = set(TAPS), []
    for node in reversed(list(graph.node)):
        if needed & set(node.output):
            nodes.append(node)
            needed |= set(node.input)
    for node in nodes:
        for names in (node.input, node.output):
            names[:] = [TAPS.get(name, name) for name in names]
    kept = [tensor for tensor in graph.initializer if tensor.name in needed]
    outputs = [
        helper.make_tensor_value_info(name, TensorProto.FLOAT, ["batch", count, f"h_{name}", f"w_{name}"])
        for name, count in CHANNELS.items()
    ]
    new = helper.make_graph(list(reversed(nodes)), "feature maps", [graph.input[0]], outputs, kept)
    return helper.make_model(new, opset_imports=model.opset_import, ir_version=model.ir_version)


def main() -> None:
    out = Path(sys.argv[1]) if len(sys.argv) > 1 else OUT
    out.mkdir(parents=True, exist_ok=True)
    model = cut(onnx.load(str(SOURCE)))
    onnx.checker.check_model(model)
    write_file(out / "features.onnx", model.SerializeToString())
    print(f"{out / 'features.onnx'}: {len(model.SerializeToString()):,} bytes")


if __name__ == "__main__":
    main()
