"""The command that trains on what a cleanup wrote, or why Ultralytics would refuse it."""

from __future__ import annotations

import shlex
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from healtheat.cleanup.plan import Plan

_MODELS = {
    "detect": "yolo11n.pt",
    "segment": "yolo11n-seg.pt",
    "pose": "yolo11n-pose.pt",
    "obb": "yolo11n-obb.pt",
}


def train_command(plan: Plan, data: Path) -> str:
    """The command line that trains on the data.yaml at `data`."""
    task = plan.set.rules.task
    return f"yolo {task} train data={shlex.quote(data.as_posix())} model={_MODELS[task]}"


def why_refused(plan: Plan) -> str:
    """Why Ultralytics takes no such data set, whatever its labels; "" where it does."""
    missing = [split for split in ("train", "val") if not any(image.path for image in plan.listed(split))]
    if missing:
        return f"Ultralytics needs train and val, and there is no {' and no '.join(missing)}"
    return _sparse(plan.names)


def _sparse(names: Mapping[int, str]) -> str:
    if max(names, default=0) < len(names):
        return ""
    return (
        f"Ultralytics takes class ids from 0 to {len(names) - 1} for {len(names)} classes, and here they go "
        f"up to {max(names)}"
    )
