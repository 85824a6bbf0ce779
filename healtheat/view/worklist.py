"""The places to review as one table in memory, with each one's rank in every order and its verdict.

A place is asked about once: its rows (one a box, or one for a missing box) are one entry, shown by the
strongest of them, until a person decides about one alone. With `every` each judged (box, issue) is an entry.

Ranks are numbered once, so that the next sample, a page far down and a place in the queue are each one
comparison of whole numbers. Verdicts are written to the log first and shown here after that.
"""

from __future__ import annotations

import contextlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import duckdb
import numpy as np
from numpy.typing import NDArray

from healtheat.core.errors import InputError
from healtheat.core.verdicts import PLACES, Place
from healtheat.index import NewVerdict
from healtheat.index.verdicts.log import Verdict
from healtheat.view.ledger import Key, key_of
from healtheat.view.views import View
from healtheat.view.worktable import SAME, WorkTable

_TOGETHER = """
SELECT other.finding_id, other.box_id, other.image_id, other.class_id, other.key_class, other.about,
    other.issue
FROM work me JOIN work other USING (place_id)
WHERE me.finding_id = ? AND (other.finding_id = me.finding_id OR (me.flagged AND other.flagged AND (
    other.decision IS NOT DISTINCT FROM me.decision OR (? AND other.decision IS NULL))))
ORDER BY other.finding_id <> me.finding_id, other.score DESC, other.finding_id
"""


@dataclass(frozen=True, slots=True)
class Around:
    """Where a finding stands in a view: ids before and behind it, its place (from 0), how many there are."""

    before: int | None
    behind: Sequence[int]
    place: int
    total: int


class WorkList(WorkTable):
    """Flagged places (all judged findings with `every`) and their verdicts. Safe to use from any thread."""

    def open_boxes(self) -> NDArray[np.int64]:
        """Ids of the boxes that stand for a place that nobody decided, each once."""
        cursor = self._db.cursor()
        try:
            found = cursor.execute(
                "SELECT DISTINCT box_id FROM work "
                "WHERE box_id >= 0 AND verdict IS NULL AND entry = finding_id"
            ).fetchnumpy()
        finally:
            cursor.close()
        return np.asarray(found["box_id"], np.int64)

    def page(self, view: View, *, offset: int, limit: int) -> list[int]:
        """Ids of the findings from place `offset` on."""
        where, values = view.where()
        text = f"SELECT finding_id FROM work WHERE {where} ORDER BY by_{view.order} LIMIT ? OFFSET ?"
        return [row[0] for row in self.rows(text, [*values, limit, offset])]

    def members(self, view: View) -> list[int]:
        """Ids of the findings of all entries of the view, each copy and each of two boxes among them."""
        where, values = view.where()
        entries = f"SELECT finding_id FROM work WHERE {where}"
        return [
            row[0] for row in self.rows(f"SELECT finding_id FROM work WHERE entry IN ({entries})", values)
        ]

    def total(self, view: View) -> int:
        """How many entries the view has."""
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
        """issue → verdict ("" for not decided) → entries."""
        out: dict[str, dict[str, int]] = {}
        for issue, verdict, n in self.rows(
            "SELECT issue, coalesce(verdict, ''), count(*) FROM work WHERE entry = finding_id "
            "GROUP BY ALL ORDER BY ALL"
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
        """What stands for a finding: the verdict on it, or the one that settled its box."""
        return self._word(self.key(finding_id))

    @property
    def decisions(self) -> int:
        """How many boxes and images are decided: the last word on each counts, not what was taken back."""
        return len(self._ledger)

    def together(self, finding_id: int) -> list[int]:
        """This finding and, behind it, those of the same place that one verdict decides with it."""
        return [row[0] for row in self.rows(_TOGETHER, [finding_id, False])]

    def company(self, finding_ids: Sequence[int]) -> dict[int, tuple[int, int]]:
        """Finding → how many copies, and boxes exchanged with it, `together` names beside it."""
        marks = ", ".join("?" * len(finding_ids))
        found = self.rows(
            "SELECT me.finding_id, count(*) FILTER (other.class_id = me.class_id), "
            "count(*) FILTER (other.class_id <> me.class_id) "
            "FROM work me JOIN work other USING (place_id) WHERE me.flagged AND other.flagged "
            "AND other.finding_id <> me.finding_id AND other.decision IS NOT DISTINCT FROM me.decision "
            f"AND me.finding_id IN ({marks}) GROUP BY ALL",
            finding_ids,
        )
        return {finding_id: (copies, exchanged) for finding_id, copies, exchanged in found}

    def open_left(self, finding_id: int) -> int | None:
        """The finding that stands for what nobody decided of the place of this one; None for nothing."""
        found = self.rows(
            "SELECT min(other.entry) FROM work me JOIN work other USING (place_id) "
            "WHERE me.finding_id = ? AND me.flagged AND other.flagged AND other.verdict IS NULL",
            [finding_id],
        )
        return found[0][0] if found else None

    def decide(
        self,
        finding_id: int,
        verdict: str,
        who: str,
        relabel_to: int | None = None,
        *,
        box: Place | None = None,
        whole: bool = True,
        again: bool = False,
    ) -> Verdict:
        """Write a verdict down. It is on the disk when this returns. Raises InputError, KeyError.

        With `whole` it is about all that `together` names: copies get the same verdict; of two boxes whose
        classes are exchanged each gets the class of the other, or, where it is another class, this one alone.
        A verdict with the place of a `box` is about this one alone.
        `again`: it was sent before and the answer never came. What stands of it already is not written.
        """
        key = self.key(finding_id)
        with self._lock:
            if again:
                self._refresh()
            alone = not whole or verdict in PLACES
            rows = self.rows(_TOGETHER, [finding_id, again])[: 1 if alone else None]
            wanted = _wanted([row[1:] for row in rows], verdict, who, relabel_to, box)
            if again:
                wanted = {one: new for one, new in wanted.items() if not self._stands(one, new)}
            written = self._write(wanted)
            entry = written.get(key) or self._ledger.current(key)
        assert entry is not None
        return entry

    def draw(self, image_id: int, box: Place, class_id: int, who: str, *, again: bool = False) -> Verdict:
        """Write down that a box of class `class_id` is missing at `box` of an image, where nothing was found.

        It is on the disk when this returns. `again` as for `decide`. Raises InputError, KeyError.
        """
        with self._lock:
            self._refresh()
            if again and (stands := self._drawn(image_id, box, class_id, who)) is not None:
                return stands
            new = NewVerdict(
                "missing_box", "added", who, image_id=image_id, about=box, box=box, relabel_to=class_id
            )
            written = self._judging.append(new)
            with self._saved():
                self._refresh(force=True)
        return written

    def _drawn(self, image_id: int, box: Place, class_id: int, who: str) -> Verdict | None:
        for key, word in self._ledger.standing():
            if key[1] == image_id and (word.box, word.relabel_to, word.who) == (box, class_id, who):
                return word
        return None

    def undo(self, who: str, seq: int | None = None) -> tuple[Verdict, int]:
        """Take back the decision with verdict `seq`, or this person's last one: all its lines at once.

        Returns the verdict on the finding that was decided, and that finding. Raises InputError.
        """
        with self._lock:
            self._refresh()
            found = self._ledger.last_of(who) if seq is None else self._ledger.get(seq)
            if found is None:
                raise InputError("there is no verdict of yours to take back")
            lines = self._ledger.lines(found[1].seq)
            seqs = [verdict.seq for _, verdict in reversed(lines)]
            self._judging.undo_all(seqs, who)
            with self._saved():
                self._seen += len(seqs)
                if self._judging.lines == self._seen:
                    for one in seqs:
                        self._ledger.take_back(one)
                    self._show([key for key, _ in lines])
                else:
                    self._refresh(force=True)
        key, verdict = lines[0]
        return verdict, next(iter(self._findings_of(key)), -1)

    def _findings_of(self, key: Key) -> list[int]:
        """The finding that a verdict on `key` is about, first, and those of the same box."""
        with contextlib.suppress(duckdb.Error):
            rows = self.rows(
                f"SELECT finding_id FROM work WHERE ({SAME}) OR (box_id >= 0 AND box_id = ?) "
                "ORDER BY issue <> ?, finding_id",
                [*key, key[0], key[3]],
            )
            return [int(row[0]) for row in rows]
        return []

    def _stands(self, key: Key, new: NewVerdict) -> bool:
        now = self._ledger.current(key)
        wanted = (new.verdict, new.relabel_to, new.who, new.box)
        return now is not None and (now.verdict, now.relabel_to, now.who, now.box) == wanted

    def _write(self, wanted: Mapping[Key, NewVerdict]) -> dict[Key, Verdict]:
        if not wanted:
            return {}
        written = dict(zip(wanted, self._judging.append_all(list(wanted.values())), strict=True))
        with self._saved():
            if self._judging.lines == self._seen + len(written):
                self._seen += len(written)
                for key, entry in written.items():
                    self._ledger.add(key, entry)
                self._show(list(written))
            else:  # somebody else decided in between
                self._refresh()
        return written


def relabel_for(class_id: int, *, own: int, to: int) -> int | None:
    """The class that a box of a place gets where one of class `own` gets class `to`; None for none.

    The other box of an exchange has the class `to`, and gets `own`. Other classes are no part of it.
    """
    return to if class_id == own else own if class_id == to else None


def _wanted(
    rows: Sequence[Sequence[Any]], verdict: str, who: str, relabel_to: int | None, box: Place | None
) -> dict[Key, NewVerdict]:
    """What to write of a verdict on the first of `rows` (box, image, class, that of its key, place, issue),
    and on the others.
    """
    wanted: dict[Key, NewVerdict] = {}
    own = rows[0][2]
    for box_id, image_id, class_id, key_class, place, issue in rows:
        to = relabel_to
        if relabel_to is not None and verdict not in PLACES:
            to = relabel_for(class_id, own=own, to=relabel_to)
            if to is None:
                continue
        about: dict[str, Any] = {"box_id": box_id}
        if box_id < 0:
            about = {
                "image_id": image_id,
                "class_id": class_id,
                "about": None if place is None else (*place,),
            }
        new = NewVerdict(issue, verdict, who, relabel_to=to, box=box, **about)
        wanted.setdefault(key_of(box_id, image_id, key_class, issue), new)
    return wanted
