"""yolo11n trained in bfloat16 on the CPU: half the time where the processor has the instructions for it."""

from __future__ import annotations

from typing import Any

import torch
from ultralytics.models.yolo.detect import DetectionTrainer
from ultralytics.nn.tasks import DetectionModel


class Bf16Model(DetectionModel):  # type: ignore[misc]
    """Layers in bfloat16 while training; weights, loss, optimizer and evaluation stay in float32."""

    def predict(self, x: torch.Tensor, *args: Any, **kwargs: Any) -> Any:
        if not self.training:
            return super().predict(x, *args, **kwargs)
        with torch.autocast("cpu", dtype=torch.bfloat16):
            out = super().predict(x.contiguous(memory_format=torch.channels_last), *args, **kwargs)
        return _in_float(out)


class Bf16Trainer(DetectionTrainer):  # type: ignore[misc]
    """Ultralytics' trainer with that model."""

    def get_model(self, cfg: Any = None, weights: Any = None, verbose: bool = True) -> Bf16Model:
        if weights is not None:
            raise ValueError("from scratch only")
        model = Bf16Model(cfg, nc=self.data["nc"], ch=self.data["channels"], verbose=False)
        return model.to(memory_format=torch.channels_last)


def _in_float(value: Any) -> Any:
    if isinstance(value, torch.Tensor):
        return value.float()
    if isinstance(value, dict):
        return {key: _in_float(v) for key, v in value.items()}
    if isinstance(value, list | tuple):
        return type(value)(_in_float(v) for v in value)
    return value
