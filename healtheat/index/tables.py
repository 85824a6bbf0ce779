"""The tables of the catalog: names, columns and types, exactly as they are on disk."""

from __future__ import annotations

import pyarrow as pa

_TEXT, _ID, _NUMBER, _HASH = "VARCHAR", "BIGINT", "DOUBLE", "UBIGINT"

TABLES: dict[str, dict[str, str]] = {
    "images": {
        "image_id": _ID,
        "path": _TEXT,
        "file": _TEXT,
        "split": _TEXT,
        "status": _TEXT,
        "label_path": _TEXT,
        "width_px": _ID,
        "height_px": _ID,
        "sha256": _TEXT,
        "dhash": _HASH,
        "group_key": _TEXT,
    },
    "boxes": {
        "box_id": _ID,
        "image_id": _ID,
        "line": _ID,
        "class_id": _ID,
        "cx": _NUMBER,
        "cy": _NUMBER,
        "w": _NUMBER,
        "h": _NUMBER,
        "confidence": "FLOAT",
        "crop_key": _TEXT,
        "dhash": _HASH,
        "sharpness": "FLOAT",
        "brightness": "FLOAT",
        "contrast": "FLOAT",
    },
    "classes": {"class_id": _ID, "name": _TEXT},
    "problems": {
        "problem_id": _ID,
        "code": _TEXT,
        "file": _TEXT,
        "line": _ID,
        "reason": _TEXT,
        "image_id": _ID,
    },
    "background": {
        "tile_id": _ID,
        "image_id": _ID,
        "cx": _NUMBER,
        "cy": _NUMBER,
        "w": _NUMBER,
        "h": _NUMBER,
        "crop_key": _TEXT,
    },
    "words": {"question": _TEXT, "answer": _TEXT, "place": _ID, "number": _ID, "weight": "FLOAT"},
    "scores": {
        "run_id": _ID,
        "box_id": _ID,
        "image_id": _ID,
        "signal": _TEXT,
        "issue": _TEXT,
        "raw": _NUMBER,
        "score": _NUMBER,
        "abstain": _TEXT,
        "reason": _TEXT,
        "suggestion": _ID,
        "evidence": _TEXT,
    },
    "findings": {
        "finding_id": _ID,
        "run_id": _ID,
        "box_id": _ID,
        "image_id": _ID,
        "line": _ID,
        "class_id": _ID,
        "issue": _TEXT,
        "score": _NUMBER,
        "suspicion": _NUMBER,
        "signal": _TEXT,
        "reason": _TEXT,
        "suggestion": _ID,
        "evidence": _TEXT,
        "flagged": "BOOLEAN",
    },
    "runs": {
        "run_id": _ID,
        "kind": _TEXT,
        "signal": _TEXT,
        "started_at": _TEXT,
        "seconds": _NUMBER,
        "status": _TEXT,
        "error": _TEXT,
        "settings": _TEXT,
    },
}
BASE_TABLES = ("images", "boxes", "classes", "problems", "background", "words")

ARROW: dict[str, pa.DataType] = {
    _TEXT: pa.string(),
    _ID: pa.int64(),
    _NUMBER: pa.float64(),
    _HASH: pa.uint64(),
    "FLOAT": pa.float32(),
    "BOOLEAN": pa.bool_(),
}
