"""What the values of a catalog must be: an index is a file, so what is read from it is input.

A table is checked when it is first read, by one query that counts what does not hold. So no query, signal or
page meets a NULL, an infinite number, an unknown word or a text of 200 MB where it expects a box.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import get_args

from healtheat.core.boxes import MAX_CLASS_ID, ProblemCode
from healtheat.core.issues import ISSUES
from healtheat.index.tables import TABLES
from healtheat.sources.base import Edits

MAX_TEXT_BYTES = 16 << 10  # of one value: paths, reasons, names
LONG_TEXT: Mapping[tuple[str, str], int] = {
    ("classes", "name"): 4 << 10,
    ("scores", "evidence"): 1 << 20,
    ("findings", "evidence"): 1 << 20,
    ("runs", "settings"): 1 << 20,
}
MAX_CORNERS = 1 << 20  # numbers of one outline

_IDS = "BIGINT"
# Columns that may be NULL; every other one may not.
_NULLABLE = {
    "boxes": {"confidence", "corners", "dhash", "sharpness", "brightness", "contrast"},
    "problems": {"line", "image_id"},
    "scores": {"raw", "score", "abstain", "withheld", "reason", "cx", "cy", "w", "h"},
    "findings": {"score", "suspicion", "withheld", "cx", "cy", "w", "h", "reason", "evidence"},
    "runs": {"signal", "fault", "error", "seconds", "settings"},
    "decisions": {"score", "p_value", "held_for", "reason", "suggestion"},
    "images": {"dhash"},
    "batches": set[str](),
}
_CLASS = f"BETWEEN 0 AND {MAX_CLASS_ID}"
_CLASS_OR_NONE = f"BETWEEN -1 AND {MAX_CLASS_ID}"
_SHARE = "BETWEEN 0 AND 1"
_WORDS: Mapping[tuple[str, str], Sequence[str]] = {
    ("images", "status"): ("labelled", "empty", "unlabelled", "unreadable"),
    ("problems", "code"): tuple(ProblemCode),
    ("scores", "issue"): ISSUES,
    ("findings", "issue"): ISSUES,
    ("silences", "issue"): ISSUES,
    ("findings", "kind"): ("box", "place", "line", "image", "file"),
    ("runs", "kind"): ("build", "signal"),
    ("runs", "status"): ("ok", "crashed"),
    ("runs", "fault"): ("input", "crash"),
    ("batches", "edits"): get_args(Edits),
    ("decisions", "decision"): ("accept", "hold"),
}
_MORE: Mapping[tuple[str, str], str] = {
    ("boxes", "class_id"): _CLASS,
    ("classes", "class_id"): _CLASS,
    ("scores", "class_id"): _CLASS_OR_NONE,
    ("findings", "class_id"): _CLASS_OR_NONE,
    ("compared", "class_id"): _CLASS_OR_NONE,
    ("scores", "suggestion"): _CLASS_OR_NONE,
    ("findings", "suggestion"): _CLASS_OR_NONE,
    ("decisions", "suggestion"): _CLASS_OR_NONE,
    ("scores", "score"): _SHARE,
    ("findings", "score"): _SHARE,
    ("findings", "suspicion"): _SHARE,
    ("boxes", "w"): "> 0",
    ("boxes", "h"): "> 0",
    ("images", "width_px"): f"BETWEEN 0 AND {MAX_CLASS_ID}",
    ("images", "height_px"): f"BETWEEN 0 AND {MAX_CLASS_ID}",
}
# Ids that only one row may have.
_KEYS = {
    "images": "image_id",
    "boxes": "box_id",
    "classes": "class_id",
    "background": "tile_id",
    "findings": "finding_id",
    "decisions": "box_id",
    "objects": "box_id",
    "batches": "batch_id",
}
# Table and column that an id leads to; -1 and NULL lead nowhere.
_LEADS: Mapping[tuple[str, str], tuple[str, str]] = {
    ("boxes", "image_id"): ("images", "image_id"),
    ("background", "image_id"): ("images", "image_id"),
    ("problems", "image_id"): ("images", "image_id"),
    ("scores", "image_id"): ("images", "image_id"),
    ("scores", "box_id"): ("boxes", "box_id"),
    ("scores", "twin_box_id"): ("boxes", "box_id"),
    ("findings", "image_id"): ("images", "image_id"),
    ("findings", "box_id"): ("boxes", "box_id"),
    ("findings", "twin_box_id"): ("boxes", "box_id"),
    ("decisions", "box_id"): ("boxes", "box_id"),
    ("objects", "box_id"): ("boxes", "box_id"),
}


def conditions(table: str) -> dict[str, str]:
    """What must hold in every row of `table`: words for the user → SQL."""
    found = {}
    for column, kind in TABLES[table].items():
        wanted = list(_of_kind(table, column, kind))
        if words := _WORDS.get((table, column)):
            wanted.append(f"{column} IN ({', '.join(repr(str(word)) for word in words)})")
        if more := _MORE.get((table, column)):
            wanted.append(f"{column} {more}")
        either = [f"{column} IS NULL"] if column in _NULLABLE.get(table, ()) else []
        every = " AND ".join(wanted) or f"{column} IS NOT NULL"
        found[column] = " OR ".join([*either, f"({every})"])
    return found


def _of_kind(table: str, column: str, kind: str) -> Sequence[str]:
    if kind == "VARCHAR":
        return [f"strlen({column}) <= {LONG_TEXT.get((table, column), MAX_TEXT_BYTES)}"]
    if kind in ("DOUBLE", "FLOAT"):
        return [f"isfinite({column})"]
    if kind == "DOUBLE[]":
        return [f"len({column}) <= {MAX_CORNERS}"]
    return [f"{column} >= -1"] if kind == _IDS else []


def fault_query(table: str) -> str:
    """A SELECT of one row: for each column how many rows do not hold, then doubled ids and ids that lead
    nowhere.
    """
    counts = [f"count(*) FILTER (NOT coalesce({sql}, false))" for sql in conditions(table).values()]
    if key := _KEYS.get(table):
        counts.append(f"count(*) - count(DISTINCT {key})")
    for column, (other, target) in _leads(table):
        there = f"SELECT {target} FROM catalog.main.{other}"
        counts.append(f"count(*) FILTER ({column} <> -1 AND {column} NOT IN ({there}))")
    return f"SELECT {', '.join(counts)} FROM {table}"


def fault_names(table: str) -> list[str]:
    """What the columns of `fault_query` are about, for a message."""
    names = list(conditions(table))
    if key := _KEYS.get(table):
        names.append(f"{key} given twice")
    return names + [f"{column} of no row in {other}" for column, (other, _) in _leads(table)]


def _leads(table: str) -> list[tuple[str, tuple[str, str]]]:
    return [(column, target) for (of, column), target in _LEADS.items() if of == table]


def long_texts(table: str) -> dict[str, int]:
    """Column → the most bytes that one of its texts may have."""
    return {
        column: LONG_TEXT.get((table, column), MAX_TEXT_BYTES)
        for column, kind in TABLES[table].items()
        if kind == "VARCHAR"
    }
