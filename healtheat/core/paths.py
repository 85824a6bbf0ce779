"""Rules about paths: where the labels of an image lie."""

from __future__ import annotations

from pathlib import Path


def yolo_label_path(image: Path) -> Path:
    """Where Ultralytics looks for the labels of `image`: the last folder called images becomes labels."""
    parts = list(image.parts)
    folders = [i for i, part in enumerate(parts[:-1]) if part == "images"]
    if folders:
        parts[folders[-1]] = "labels"
    return Path(*parts).with_suffix(".txt")
