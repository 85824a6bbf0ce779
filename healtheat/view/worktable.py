"""The rows of the work list in memory: every finding to ask about, its verdict, and the entry it belongs to.

Verdicts are written to the log first and shown here after that; those of others appear with `refresh`.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Sequence
from threading import Lock
from typing import Any

import duckdb
import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from healtheat.core.errors import HealtheatError
from healtheat.core.verdicts import SETTLES
from healtheat.index import Index
from healtheat.index.verdicts.log import Verdict
from healtheat.view.ledger import Key, Ledger, key_of
from healtheat.view.views import SORTS

MEMORY_LIMIT = "2GB"
NOTHING = -1  # lines of the log that the list shows, before it is made

_ORDERS = {
    "suspicion": "f.suspicion DESC, f.score DESC, f.finding_id",
    "score": "f.score DESC, f.suspicion DESC, f.finding_id",
    "image": "i.path, f.line, f.score DESC, f.finding_id",
    "class": "f.class_id, f.score DESC, f.finding_id",
}
assert _ORDERS.keys() == SORTS.keys()
_RANKS = ", ".join(
    f"row_number() OVER (ORDER BY {order}) - 1 AS by_{name}" for name, order in _ORDERS.items()
)
# Findings without an image (a label file that could not be read) cannot be looked at: they are problems.
_FINDINGS = f"""
SELECT f.finding_id, f.box_id, f.image_id, coalesce(f.class_id, -1) AS class_id, f.issue, f.score, f.signal,
    CASE WHEN f.box_id >= 0 THEN 0 ELSE coalesce(s.spot, f.class_id, -1) END AS key_class,
    CASE WHEN f.box_id < 0 AND f.cx IS NOT NULL THEN [f.cx, f.cy, f.w, f.h] END AS about,
    coalesce(i.split, '') AS split, f.place_id, f.flagged, {_RANKS}
FROM findings f JOIN images i USING (image_id) LEFT JOIN spots s ON s.finding_id = f.finding_id
WHERE f.flagged OR ?
"""
_VERDICTS = """
SELECT seq, box_id, image_id, coalesce(spot, class_id) AS class_id, issue FROM verdicts
WHERE NOT undone AND image_id IS NOT NULL ORDER BY seq
"""
CLOSED = "closed"  # in the place of a verdict: one on another finding of the box settled it
_STANDING = pa.schema(
    [
        ("box_id", pa.int64()),
        ("image_id", pa.int64()),
        ("key_class", pa.int64()),
        ("issue", pa.string()),
        ("verdict", pa.string()),
        ("decision", pa.int64()),
    ]
)
_SETTLED = pa.schema([("box_id", pa.int64()), ("decision", pa.int64())])
_SHOW_STANDING = f"""
UPDATE work SET verdict = NULL, decision = NULL WHERE verdict IS NOT NULL;
UPDATE work SET verdict = s.verdict, decision = s.decision FROM standing s
WHERE work.box_id = s.box_id AND work.image_id = s.image_id AND work.key_class = s.key_class
    AND work.issue = s.issue;
UPDATE work SET verdict = '{CLOSED}', decision = s.decision FROM settled s
WHERE work.box_id = s.box_id AND coalesce(work.verdict, 'unsure') = 'unsure'
"""
# The rows of a place that one decision is about, or that nobody decided, are one entry of the list; `entry`
# is the finding that stands for them.
_GROUP = """
UPDATE work SET entry = found.entry FROM (
    SELECT finding_id AS id, first_value(finding_id) OVER (
        PARTITION BY place_id, decision ORDER BY score DESC, finding_id
    ) AS entry FROM work WHERE several AND {places}
) found WHERE work.finding_id = found.id AND work.entry <> found.entry
"""
SAME = "box_id = ? AND image_id = ? AND key_class = ? AND issue = ?"


class WorkTable:
    """The table `work` and the ledger of its verdicts. Safe to use from any thread."""

    def __init__(self, index: Index, *, every: bool = False) -> None:
        self._index = index
        self._judging = index.judging
        self._lock = Lock()
        self._db = duckdb.connect(":memory:")
        for setting in (f"memory_limit = '{MEMORY_LIMIT}'", "temp_directory = ''", "threads = 2"):
            self._db.execute(f"SET {setting}")
        self._db.execute("SET enable_external_access = false")
        self._judging.spots()
        self._db.register("incoming", index.sql(_FINDINGS, [every]))
        self._db.execute(
            "CREATE TABLE work AS SELECT *, "
            "NULL::VARCHAR AS verdict, NULL::BIGINT AS decision, finding_id AS entry, "
            "NOT ? AND count(*) OVER (PARTITION BY place_id) > 1 AS several, "
            "NULL::INTEGER AS map_x, NULL::INTEGER AS map_y FROM incoming ORDER BY finding_id",
            [every],
        )
        self._db.execute(_GROUP.format(places="true"))
        self._db.unregister("incoming")
        self._ledger = Ledger()
        self._seen = NOTHING
        self.refresh()

    def refresh(self) -> None:
        """See what others decided, in another process or on another day."""
        with self._lock:
            self._refresh()

    def place(self, box_ids: NDArray[np.int64], places: NDArray[np.uint16]) -> None:
        """Say where boxes lie on the map, so that a view can ask for an area of it."""
        table = pa.table({"box_id": box_ids, "x": places[:, 0].astype("i4"), "y": places[:, 1].astype("i4")})
        with self._lock:
            cursor = self._db.cursor()
            cursor.register("placed", table)
            cursor.execute(
                "UPDATE work SET map_x = p.x, map_y = p.y FROM placed p WHERE work.box_id = p.box_id"
            )
            cursor.unregister("placed")
            cursor.close()

    def rows(self, query: str, parameters: Sequence[Any] = ()) -> list[tuple[Any, ...]]:
        """Rows of a SELECT over `work`: the columns of `_FINDINGS`, `verdict` (a person's, or CLOSED) and
        `entry`, the finding that stands for this one in the list.
        """
        cursor = self._db.cursor()
        try:
            return cursor.execute(query, list(parameters)).fetchall()
        finally:
            cursor.close()

    def key(self, finding_id: int) -> Key:
        """What a verdict on this finding is about. Raises KeyError for an unknown one."""
        found = self.rows(
            "SELECT box_id, image_id, key_class, issue FROM work WHERE finding_id = ?", [finding_id]
        )
        if not found:
            raise KeyError(f"no finding {finding_id}")
        return key_of(*found[0])

    def _word(self, key: Key) -> Verdict | None:
        now = self._ledger.current(key)
        if key[0] >= 0 and (now is None or now.verdict not in SETTLES):
            return self._ledger.settled(key[0]) or now
        return now

    def _show(self, keys: Sequence[Key]) -> None:
        """Bring the rows of these boxes and images up to date."""
        with contextlib.closing(self._db.cursor()) as cursor:
            cursor.execute("BEGIN")
            places = set()
            for key in keys:
                where, values = ("box_id = ?", [key[0]]) if key[0] >= 0 else (SAME, list(key))
                rows = cursor.execute(
                    "SELECT finding_id, place_id, box_id, image_id, key_class, issue FROM work "
                    f"WHERE {where}",
                    values,
                ).fetchall()
                for finding_id, place, *about in rows:
                    places.add(place)
                    own: Key = tuple(about)
                    word = self._word(own)
                    shown = None if word is None else word.verdict if word.issue == own[3] else CLOSED
                    decision = None if word is None else self._ledger.decision(word.seq)
                    cursor.execute(
                        "UPDATE work SET verdict = ?, decision = ? WHERE finding_id = ?",
                        [shown, decision, finding_id],
                    )
            cursor.execute(_GROUP.format(places="list_contains(?, place_id)"), [sorted(places)])
            cursor.execute("COMMIT")

    @contextlib.contextmanager
    def _saved(self) -> Iterator[None]:
        """What follows the saving of a verdict: if it fails, the verdict is saved all the same, and the list
        is made again when it is next asked for.
        """
        try:
            yield
        except (OSError, MemoryError, HealtheatError, duckdb.Error):
            self._seen = NOTHING

    def _refresh(self, *, force: bool = False) -> None:
        self._judging.refresh()
        if self._seen == self._judging.lines and not force:
            return
        ledger = Ledger()
        for row in self._index.sql(_VERDICTS).to_pylist():
            key = key_of(row["box_id"], row["image_id"], row["class_id"], row["issue"])
            ledger.add(key, self._judging.verdict(row["seq"]))
        self._ledger = ledger
        self._seen = self._judging.lines
        standing = [(*key, word.verdict, ledger.decision(word.seq)) for key, word in ledger.standing()]
        settled = [(box_id, ledger.decision(word.seq)) for box_id, word in ledger.boxes()]
        with contextlib.closing(self._db.cursor()) as cursor:
            cursor.register("standing", _table(standing, _STANDING))
            cursor.register("settled", _table(settled, _SETTLED))
            cursor.execute("BEGIN")
            cursor.execute(_SHOW_STANDING)
            cursor.execute(_GROUP.format(places="true"))
            cursor.execute("COMMIT")
            cursor.unregister("standing")
            cursor.unregister("settled")


def _table(rows: Sequence[Sequence[Any]], schema: pa.Schema) -> pa.Table:
    columns = zip(*rows, strict=True) if rows else ((),) * len(schema)
    arrays = [pa.array(column, field.type) for column, field in zip(columns, schema, strict=True)]
    return pa.Table.from_arrays(arrays, schema=schema)
