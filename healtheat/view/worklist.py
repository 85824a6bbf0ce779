"""The findings to review as one table in memory, with each one's rank in every order and its verdict.

Ranks are numbered once, so that the next sample, a page far down and a place in the queue are each one
comparison of whole numbers. Verdicts are written to the log first and shown here after that.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from threading import Lock
from typing import Any

import duckdb
import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from healtheat.core.errors import InputError
from healtheat.index import Index, NewVerdict
from healtheat.index.verdicts.log import Verdict
from healtheat.view.ledger import Key, Ledger, key_of
from healtheat.view.views import SORTS, View

MEMORY_LIMIT = "2GB"

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
    coalesce(i.split, '') AS split, {_RANKS}
FROM findings f JOIN images i USING (image_id)
WHERE f.flagged OR ?
"""
_VERDICTS = """
SELECT seq, box_id, image_id, class_id, issue FROM verdicts
WHERE NOT undone AND image_id IS NOT NULL ORDER BY seq
"""
_STANDING = pa.schema(
    [
        ("box_id", pa.int64()),
        ("image_id", pa.int64()),
        ("key_class", pa.int64()),
        ("issue", pa.string()),
        ("verdict", pa.string()),
    ]
)


@dataclass(frozen=True, slots=True)
class Around:
    """Where a finding stands in a view: ids before and behind it, its place (from 0), how many there are."""

    before: int | None
    behind: Sequence[int]
    place: int
    total: int


class WorkList:
    """Flagged findings (all judged ones with `every`) and their verdicts. Safe to use from any thread."""

    def __init__(self, index: Index, *, every: bool = False) -> None:
        self._index = index
        self._judging = index.judging
        self._lock = Lock()
        self._db = duckdb.connect(":memory:")
        for setting in (f"memory_limit = '{MEMORY_LIMIT}'", "temp_directory = ''", "threads = 2"):
            self._db.execute(f"SET {setting}")
        self._db.execute("SET enable_external_access = false")
        self._db.register("incoming", index.sql(_FINDINGS, [every]))
        self._db.execute(
            "CREATE TABLE work AS SELECT *, CASE WHEN box_id >= 0 THEN 0 ELSE class_id END AS key_class, "
            "NULL::VARCHAR AS verdict, NULL::INTEGER AS map_x, NULL::INTEGER AS map_y "
            "FROM incoming ORDER BY finding_id"
        )
        self._db.unregister("incoming")
        self._ledger = Ledger()
        self._seen = -1
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
        """Rows of a SELECT over `work`, whose columns are those of `_FINDINGS` and `verdict`."""
        cursor = self._db.cursor()
        try:
            return cursor.execute(query, list(parameters)).fetchall()
        finally:
            cursor.close()

    def open_boxes(self) -> NDArray[np.int64]:
        """Ids of the boxes with a finding that nobody decided, each once."""
        cursor = self._db.cursor()
        try:
            found = cursor.execute(
                "SELECT DISTINCT box_id FROM work WHERE box_id >= 0 AND verdict IS NULL"
            ).fetchnumpy()
        finally:
            cursor.close()
        return np.asarray(found["box_id"], np.int64)

    def page(self, view: View, *, offset: int, limit: int) -> list[int]:
        """Ids of the findings from place `offset` on."""
        where, values = view.where()
        text = f"SELECT finding_id FROM work WHERE {where} ORDER BY by_{view.order} LIMIT ? OFFSET ?"
        return [row[0] for row in self.rows(text, [*values, limit, offset])]

    def total(self, view: View) -> int:
        """How many findings the view has."""
        where, values = view.where()
        return int(self.rows(f"SELECT count(*) FROM work WHERE {where}", values)[0][0])

    def around(self, view: View, finding_id: int, *, ahead: int = 3) -> Around:
        """What comes before and behind a finding, whether or not it is (still) in the view itself."""
        where, values = view.where()
        rank = f"by_{view.order}"
        found = self.rows(f"SELECT {rank} FROM work WHERE finding_id = ?", [finding_id])
        if not found:
            raise KeyError(f"no finding {finding_id}")
        at = found[0][0]
        behind = self.rows(
            f"SELECT finding_id FROM work WHERE {where} AND {rank} > ? ORDER BY {rank} LIMIT ?",
            [*values, at, ahead],
        )
        before = self.rows(
            f"SELECT finding_id FROM work WHERE {where} AND {rank} < ? ORDER BY {rank} DESC LIMIT 1",
            [*values, at],
        )
        place, total = self.rows(
            f"SELECT count(*) FILTER (WHERE {rank} < ?), count(*) FROM work WHERE {where}", [at, *values]
        )[0]
        return Around(before[0][0] if before else None, [row[0] for row in behind], place, total)

    def counts(self) -> dict[str, dict[str, int]]:
        """issue → verdict ("" for not decided) → findings."""
        out: dict[str, dict[str, int]] = {}
        for issue, verdict, n in self.rows(
            "SELECT issue, coalesce(verdict, ''), count(*) FROM work GROUP BY ALL ORDER BY ALL"
        ):
            out.setdefault(issue, {})[verdict] = n
        return out

    def choices(self) -> dict[str, list[str]]:
        """Splits and signals that there are to filter by."""
        return {
            name: [row[0] for row in self.rows(f"SELECT DISTINCT {name} FROM work ORDER BY 1") if row[0]]
            for name in ("split", "signal")
        }

    def progress(self, queue_view: View) -> tuple[int, int]:
        """(decided, all) in the queue of this view, whatever its filters."""
        where, values = View(queue=queue_view.queue, state="any").where()
        row = self.rows(f"SELECT count(verdict), count(*) FROM work WHERE {where}", values)[0]
        return int(row[0]), int(row[1])

    def decision(self, finding_id: int) -> Verdict | None:
        """What stands for a finding."""
        return self._ledger.current(self.key(finding_id))

    @property
    def decisions(self) -> int:
        """How many samples are decided: the last word on each counts, what was taken back does not."""
        return len(self._ledger)

    def key(self, finding_id: int) -> Key:
        """What a verdict on this finding is about. Raises KeyError for an unknown one."""
        found = self.rows(
            "SELECT box_id, image_id, class_id, issue FROM work WHERE finding_id = ?", [finding_id]
        )
        if not found:
            raise KeyError(f"no finding {finding_id}")
        return key_of(*found[0])

    def decide(
        self, finding_id: int, verdict: str, who: str, relabel_to: int | None = None, *, again: bool = False
    ) -> Verdict:
        """Write a verdict down. It is on the disk when this returns. Raises InputError, KeyError.

        `again`: it was sent before and the answer never came. If it stands already, nothing is written.
        """
        key = self.key(finding_id)
        box_id, image_id, class_id, issue = key
        about = {"box_id": box_id} if box_id >= 0 else {"image_id": image_id, "class_id": class_id}
        new = NewVerdict(issue, verdict, who, relabel_to=relabel_to, **about)
        with self._lock:
            if again:
                self._refresh()
                now = self._ledger.current(key)
                if now is not None and (now.verdict, now.relabel_to, now.who) == (verdict, relabel_to, who):
                    return now
            entry = self._judging.append(new)
            if self._judging.lines == self._seen + 1:
                self._seen += 1
                self._ledger.add(key, entry)
                self._show(key)
            else:  # somebody else decided in between
                self._refresh()
        return entry

    def undo(self, who: str, seq: int | None = None) -> tuple[Verdict, int]:
        """Take back verdict `seq`, or this person's last one: (it, its finding). Raises InputError."""
        with self._lock:
            self._refresh()
            found = self._ledger.last_of(who) if seq is None else self._ledger.get(seq)
            if found is None:
                raise InputError("there is no verdict of yours to take back")
            key, verdict = found
            self._judging.undo(verdict.seq, who)
            self._seen += 1
            if self._judging.lines == self._seen:
                self._ledger.take_back(verdict.seq)
                self._show(key)
            else:
                self._refresh(force=True)
        rows = self.rows(f"SELECT min(finding_id) FROM work WHERE {_SAME}", key)
        return verdict, -1 if rows[0][0] is None else int(rows[0][0])

    def _show(self, key: Key) -> None:
        now = self._ledger.current(key)
        values = [None if now is None else now.verdict, *key]
        self._db.cursor().execute(f"UPDATE work SET verdict = ? WHERE {_SAME}", values)

    def _refresh(self, *, force: bool = False) -> None:
        self._judging.refresh()
        if self._seen == self._judging.lines and not force:
            return
        self._ledger = Ledger()
        for row in self._index.sql(_VERDICTS).to_pylist():
            key = key_of(row["box_id"], row["image_id"], row["class_id"], row["issue"])
            self._ledger.add(key, self._judging.verdict(row["seq"]))
        self._seen = self._judging.lines
        standing = [(*key, verdict.verdict) for key, verdict in self._ledger.standing()]
        columns = zip(*standing, strict=True) if standing else ((),) * len(_STANDING)
        table = pa.Table.from_arrays(
            [pa.array(c, f.type) for c, f in zip(columns, _STANDING, strict=True)], schema=_STANDING
        )
        cursor = self._db.cursor()
        cursor.register("standing", table)
        cursor.execute("BEGIN")
        cursor.execute("UPDATE work SET verdict = NULL WHERE verdict IS NOT NULL")
        cursor.execute(
            "UPDATE work SET verdict = s.verdict FROM standing s WHERE work.box_id = s.box_id AND "
            "work.image_id = s.image_id AND work.key_class = s.key_class AND work.issue = s.issue"
        )
        cursor.execute("COMMIT")
        cursor.unregister("standing")
        cursor.close()


_SAME = "box_id = ? AND image_id = ? AND key_class = ? AND issue = ?"
