"""The tables of the catalog: names, columns and types, exactly as they are on disk.

`corners` are x1, y1, x2, y2, … of an oriented box or polygon as shares of the image, NULL of an upright box.
In `scores` and `findings` an id, a line or a class id is -1 where there is none. `withheld` says why a score
gets no flag (NULL: it may), `twin_box_id` is the other box of a duplicate (in `findings` of two exchanged
classes, too), and cx, cy, w, h are the proposed place of a box that is missing or badly placed, as shares of
the image (NULL: none is proposed). A finding's `kind` is box, place (a missing box), line (a label line that
could not be read), image or file;
`place_id` is equal for what one answer settles, `passed` says that the score reached its threshold,
`flagged` that the row is the one its box is asked about. `objects`: boxes of one thing on several copies. A
run's `fault` is NULL, "input" (what the user gave cannot be used) or "crash". `silences` are the questions
that signals did not ask of this set, and why. `batch_id` is 0 for what `build` read, else a row of `batches`;
of a class it is the first that named it. `left_out` of a batch counts boxes of its label files that it does
not hold. `decisions` are those of `healtheat vet` on the boxes of a batch (NULL scores where looks were not
judged), `compared` the trusted boxes of the other index that each looked most like, by `place` from 0.
"""

from __future__ import annotations

from collections.abc import Collection

import pyarrow as pa

_TEXT, _ID, _NUMBER, _HASH, _NUMBERS = "VARCHAR", "BIGINT", "DOUBLE", "UBIGINT", "DOUBLE[]"

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
        "batch_id": _ID,
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
        "corners": _NUMBERS,
        "crop_key": _TEXT,
        "dhash": _HASH,
        "sharpness": "FLOAT",
        "brightness": "FLOAT",
        "contrast": "FLOAT",
    },
    "classes": {"class_id": _ID, "name": _TEXT, "batch_id": _ID},
    "problems": {
        "problem_id": _ID,
        "code": _TEXT,
        "file": _TEXT,
        "line": _ID,
        "reason": _TEXT,
        "image_id": _ID,
        "batch_id": _ID,
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
    "batches": {
        "batch_id": _ID,
        "name": _TEXT,
        "added_at": _TEXT,
        "kind": _TEXT,
        "edits": _TEXT,
        "root": _TEXT,
        "data": _TEXT,
        "images": _ID,
        "boxes": _ID,
        "left_out": _ID,
    },
    "scores": {
        "run_id": _ID,
        "box_id": _ID,
        "image_id": _ID,
        "line": _ID,
        "class_id": _ID,
        "signal": _TEXT,
        "issue": _TEXT,
        "raw": _NUMBER,
        "score": _NUMBER,
        "abstain": _TEXT,
        "withheld": _TEXT,
        "reason": _TEXT,
        "suggestion": _ID,
        "twin_box_id": _ID,
        "cx": _NUMBER,
        "cy": _NUMBER,
        "w": _NUMBER,
        "h": _NUMBER,
        "evidence": _TEXT,
    },
    "findings": {
        "finding_id": _ID,
        "run_id": _ID,
        "kind": _TEXT,
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
        "withheld": _TEXT,
        "twin_box_id": _ID,
        "cx": _NUMBER,
        "cy": _NUMBER,
        "w": _NUMBER,
        "h": _NUMBER,
        "evidence": _TEXT,
        "place_id": _ID,
        "passed": "BOOLEAN",
        "flagged": "BOOLEAN",
    },
    "objects": {"box_id": _ID, "object_id": _ID},
    "runs": {
        "run_id": _ID,
        "kind": _TEXT,
        "signal": _TEXT,
        "started_at": _TEXT,
        "seconds": _NUMBER,
        "status": _TEXT,
        "fault": _TEXT,
        "error": _TEXT,
        "settings": _TEXT,
    },
    "silences": {"run_id": _ID, "signal": _TEXT, "issue": _TEXT, "why": _TEXT},
    "decisions": {
        "box_id": _ID,
        "decision": _TEXT,
        "score": _NUMBER,
        "p_value": _NUMBER,
        "held_for": _TEXT,
        "reason": _TEXT,
        "suggestion": _ID,
    },
    "compared": {
        "box_id": _ID,
        "place": _ID,
        "image": _TEXT,
        "line": _ID,
        "class_id": _ID,
        "similarity": _NUMBER,
    },
}
BASE_TABLES = ("images", "boxes", "classes", "problems", "background", "words", "batches")

# What version 3 lacks: a table, or a column and the SQL of its value.
_NEW_TABLES = ("batches", "decisions", "compared")
_NEW_COLUMNS: dict[str, dict[str, str]] = {
    "images": {"batch_id": "0::BIGINT"},
    "classes": {"batch_id": "0::BIGINT"},
    "problems": {"batch_id": "0::BIGINT"},
    "boxes": {"corners": "NULL::DOUBLE[]"},
}

ARROW: dict[str, pa.DataType] = {
    _TEXT: pa.string(),
    _ID: pa.int64(),
    _NUMBER: pa.float64(),
    _HASH: pa.uint64(),
    _NUMBERS: pa.list_(pa.float64()),
    "FLOAT": pa.float32(),
    "BOOLEAN": pa.bool_(),
}


def schema(table: str) -> pa.Schema:
    """Names and Arrow types of the columns of `table`, in their order. Raises KeyError for no such table."""
    return pa.schema([(name, ARROW[kind]) for name, kind in TABLES[table].items()])


def tables_of_version_3() -> dict[str, dict[str, str]]:
    """The tables of a catalog of format version 3, which is read like one of today by way of `view_of`."""
    return {
        table: {name: kind for name, kind in columns.items() if name not in _NEW_COLUMNS.get(table, {})}
        for table, columns in TABLES.items()
        if table not in _NEW_TABLES
    }


def view_of(table: str, found: Collection[str]) -> str:
    """The SELECT that reads `table` of an attached catalog that has the tables `found`."""
    columns = TABLES.get(table, {})
    if table not in found:
        empty = ", ".join(f"NULL::{kind} AS {name}" for name, kind in columns.items())
        return f"SELECT {empty} WHERE false"
    new = _NEW_COLUMNS.get(table, {})
    values = ", ".join(f"{new[name]} AS {name}" if name in new else name for name in columns)
    return f"SELECT {values} FROM catalog.main.{table}"
