"""Turn a checkpoint into the shipped files: open_clip weights, ONNX image tower, prompt vectors, spec."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import open_clip
import torch
import torch.nn.functional as F
from onnx import TensorProto, helper, numpy_helper
from safetensors.torch import save_file
from torch import Tensor, nn

from healtheat.core.atomic import replacing_file, write_file
from training.batches import Material
from training.model import (
    CONFIG,
    CONTEXT_TOKENS,
    EMBED_DIM,
    RESOLUTION_PX,
    build_model,
    fold_batch_norm,
    unfold_batch_norm,
)
from training.questions import QUESTIONS
from training.subspace import CAPTION_SHARE, DIM, Subspace, fit_on_training_pills

# The default policy, chosen by measurement: benchmarks/encoder.md.
VIEWS_DEGREES = [0.0, 90.0, 180.0, 270.0]
COLOUR_WEIGHT = 0.0
COLOUR_DIM = 64
PADDING = 0.05
SHIPPED = Path(__file__).resolve().parent.parent / "healtheat" / "embedding" / "pill"


class _Tower(nn.Module):
    """Normalised NCHW pixels to unit vectors: the projected block beside the subspace block."""

    def __init__(self, visual: Any, subspace: Subspace) -> None:
        super().__init__()
        self.trunk, self.head = visual.trunk, visual.head
        self.mean = nn.Parameter(torch.from_numpy(subspace.mean))
        self.matrix = nn.Parameter(torch.from_numpy(subspace.matrix))

    def forward(self, pixels: Tensor) -> Tensor:
        pooled = self.trunk(pixels)
        projected = F.normalize(self.head(pooled), dim=1)
        detail = F.normalize(F.linear(F.normalize(pooled, dim=1) - self.mean, self.matrix), dim=1)
        return torch.cat([projected * CAPTION_SHARE**0.5, detail * (1 - CAPTION_SHARE) ** 0.5], 1)


def averaged_model(checkpoints: Sequence[Path]) -> Any:
    """An open_clip model (batch norms folded) holding the mean of the averaged weights of all checkpoints.

    Weights along one run may be averaged (Izmailov et al. 2018, SWA). Later checkpoints know the training
    products better, earlier ones carry over better to other images; the mean keeps most of both.
    """
    states = [torch.load(path, weights_only=True) for path in checkpoints]
    mean = {name: sum(s["average"][name] for s in states) / len(states) for name in states[0]["average"]}
    model = build_model(imagenet=False)
    fold_batch_norm(model.visual.trunk)
    model.load_state_dict({**states[-1]["model"], **mean})
    return model.eval()


def halve(model: onnx.ModelProto) -> onnx.ModelProto:
    """Store large float32 initialisers as float16 with a Cast behind each: half the file, float32 arithmetic.

    ONNX Runtime folds the casts when it loads the file, so the speed is that of float32.
    """
    graph = model.graph
    casts, kept = [], []
    for tensor in graph.initializer:
        if tensor.data_type != TensorProto.FLOAT or int(np.prod(tensor.dims)) < 256:
            kept.append(tensor)
            continue
        name = tensor.name
        kept.append(numpy_helper.from_array(numpy_helper.to_array(tensor).astype(np.float16), name + "_half"))
        casts.append(
            helper.make_node("Cast", [name + "_half"], [name], name=name + "_cast", to=TensorProto.FLOAT)
        )
    nodes = list(graph.node)
    del graph.initializer[:], graph.node[:]
    graph.initializer.extend(kept)
    graph.node.extend([*casts, *nodes])
    onnx.checker.check_model(model)
    return model


def image_onnx(model: Any, subspace: Subspace, path: Path) -> None:
    """Write the image tower: input `pixels` (n, 3, s, s) float32, output `embedding` (n, d) unit rows."""
    temporary = path.with_name("full.onnx.part")
    torch.onnx.export(
        _Tower(model.visual, subspace), (torch.zeros(2, 3, RESOLUTION_PX, RESOLUTION_PX),), str(temporary),
        input_names=["pixels"], output_names=["embedding"],
        dynamic_axes={"pixels": {0: "batch"}, "embedding": {0: "batch"}},
        opset_version=17, dynamo=False,
    )  # fmt: skip
    write_file(path, halve(onnx.load(str(temporary))).SerializeToString())
    temporary.unlink()


def question_vectors(model: Any) -> dict[str, Any]:
    """Mean vector of every answer of every zero-shot question, by language and pooled, and the logit scale.

    Vectors are zero in the subspace block, about which text says nothing; the scale makes up for the share of
    the projected block in the cosine.
    """
    tokenizer = open_clip.SimpleTokenizer(context_length=CONTEXT_TOKENS)
    found: dict[str, Any] = {
        "logit_scale": float(model.logit_scale.detach().exp()) / CAPTION_SHARE**0.5,
        "questions": {},
    }
    for question, answers in QUESTIONS.items():
        found["questions"][question] = {}
        for label, texts in answers.items():
            per_language = []
            with torch.inference_mode():
                for prompts in texts.values():
                    per_language.append(
                        F.normalize(
                            model.encode_text(tokenizer(list(prompts)), normalize=True).mean(0), dim=0
                        )
                    )
            mean = F.normalize(torch.stack(per_language).mean(0), dim=0)
            vectors = {"en+ko": mean, **dict(zip(texts, per_language, strict=True))}
            found["questions"][question][label] = {
                k: [round(float(x), 5) for x in v] + [0] * DIM for k, v in vectors.items()
            }
    return found


def export(
    checkpoints: Sequence[Path], material: Material, *, seed: int = 0, views: int = 3000, out: Path = SHIPPED
) -> dict[str, Any]:
    """Write all shipped files into `out`; returns sizes in bytes and sha256 by file name."""
    out.mkdir(parents=True, exist_ok=True)
    folded = averaged_model(checkpoints)
    subspace = fit_on_training_pills(folded, material, RESOLUTION_PX, seed, views)
    image_onnx(folded, subspace, out / "image.onnx")
    questions = json.dumps(question_vectors(folded), ensure_ascii=False, separators=(",", ":"))
    write_file(out / "questions.json", (questions + "\n").encode("utf-8"))
    whole = build_model(imagenet=False)
    state = {k: v for k, v in folded.state_dict().items() if not k.startswith("visual.trunk.")}
    whole.load_state_dict(state, strict=False)
    unfold_batch_norm(folded.visual.trunk, whole.visual.trunk)
    half = {
        k: (v.half() if v.is_floating_point() else v).contiguous()
        for k, v in whole.state_dict().items()
        if "attn_mask" not in k
    }
    with replacing_file(out / "open_clip_model.safetensors") as temporary:
        save_file(half, temporary, metadata={"format": "pt"})
        temporary.chmod(0o644)  # the library writes it readable by its owner alone
    write_file(out / "open_clip_config.json", (json.dumps(CONFIG, indent=2) + "\n").encode("utf-8"))
    pre = CONFIG["preprocess_cfg"]
    network = (out / "image.onnx").read_bytes()
    tower_dim = EMBED_DIM + DIM
    spec = {
        "name": "pill", "weights_sha256": hashlib.sha256(network).hexdigest(), "tower_dim": tower_dim,
        "dim": tower_dim + (COLOUR_DIM if COLOUR_WEIGHT else 0), "resolution_px": RESOLUTION_PX,
        "mean": pre["mean"], "std": pre["std"], "resample": pre["interpolation"],
        "fill": [pre["fill_color"]] * 3,
        "padding": PADDING, "views": VIEWS_DEGREES, "colour_weight": COLOUR_WEIGHT, "batch_size": 16,
        "source": {
            "network": "EfficientNet-Lite0, 112 px: CLIP projection (256) + subspace of the features (256)",
            "weights": "trained by this project, see MODEL_CARD.md",
            "trained_on": "TFDA drug appearance data set 42, from ImageNet-1k weights",
            "licence": "Apache-2.0",
        },
    }  # fmt: skip
    write_file(out / "encoder.json", (json.dumps(spec, indent=2) + "\n").encode("utf-8"))
    names = (
        "image.onnx",
        "questions.json",
        "open_clip_model.safetensors",
        "open_clip_config.json",
        "encoder.json",
    )
    return {
        n: {"bytes": (out / n).stat().st_size, "sha256": hashlib.sha256((out / n).read_bytes()).hexdigest()}
        for n in names
    }
