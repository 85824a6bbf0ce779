"""What a page shows: a queue, filters and an order. It is spelled in the address, so a view can be shared."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, Self
from urllib.parse import urlencode

from healtheat.core.errors import InputError
from healtheat.core.issues import ISSUES
from healtheat.core.text import whole_number
from healtheat.findings.filters import Filters, conditions
from healtheat.view.areas import Area, area_text, inside_sql, read_area

EVERY = "all"  # the queue of every issue, in the one ranking
STATES: dict[str, str] = {
    "open": "not decided",
    "decided": "decided",
    "ok": "ok",
    "drop": "drop",
    "relabel": "relabel",
    "added": "added",
    "moved": "moved",
    "unsure": "unsure",
    "any": "all",
}
SORTS: dict[str, str] = {
    "suspicion": "most suspicious box",
    "score": "highest score",
    "image": "image",
    "class": "class",
}
_MAX_TEXT = 200


@dataclass(frozen=True, slots=True)
class View:
    """One queue with its filters. Empty values do not filter."""

    queue: str = EVERY
    class_id: int | None = None
    split: str = ""
    signal: str = ""
    min_score: float | None = None
    state: str = "open"
    sort: str = ""
    area: Area = ()  # corners on the map

    @classmethod
    def read(cls, queue: str, parameters: Mapping[str, str]) -> Self:
        """The view an address asks for. Raises InputError for values that mean nothing."""
        if queue != EVERY and queue not in ISSUES:
            raise InputError(f"no queue {queue[:40]!r}; choose from {', '.join((EVERY, *ISSUES))}")
        given = {name: parameters.get(name, "").strip()[:_MAX_TEXT] for name in _NAMES}
        state, sort = given["state"] or "open", given["sort"]
        if state not in STATES:
            raise InputError(f"no state {state!r}; choose from {', '.join(STATES)}")
        if sort and sort not in SORTS:
            raise InputError(f"no sort {sort!r}; choose from {', '.join(SORTS)}")
        return cls(
            queue=queue,
            class_id=_whole(given["class"]),
            split=given["split"],
            signal=given["signal"],
            min_score=_share(given["min_score"]),
            state=state,
            sort=sort,
            area=read_area(parameters.get("area", "").strip()),
        )

    @property
    def order(self) -> str:
        """The sort in force: one queue has one scale; all queues together have the one ranking."""
        return self.sort or ("suspicion" if self.queue == EVERY else "score")

    def with_state(self, state: str) -> Self:
        """The same view of findings in another state."""
        return replace(self, state=state)

    def parameters(self) -> dict[str, str]:
        """What stands behind the ? of its address; defaults are left out."""
        found = {
            "class": "" if self.class_id is None else str(self.class_id),
            "split": self.split,
            "signal": self.signal,
            "min_score": "" if self.min_score is None else f"{self.min_score:g}",
            "state": "" if self.state == "open" else self.state,
            "sort": self.sort,
            "area": area_text(self.area),
        }
        return {name: value for name, value in found.items() if value}

    def address(self, finding_id: int | None = None, **more: object) -> str:
        """Path and query of the grid, or of one finding in this view."""
        path = f"/queue/{self.queue}" + ("" if finding_id is None else f"/{finding_id}")
        query = urlencode({**self.parameters(), **{k: str(v) for k, v in more.items() if v is not None}})
        return f"{path}?{query}" if query else path

    def where(self) -> tuple[str, list[Any]]:
        """SQL condition over the table `work` for the entries of the view, and its parameters.

        Queue, state and area are those of the finding that stands for an entry. Class, split, signal and
        score may be those of any of its findings.
        """
        terms, values = ["entry = finding_id", _STATE_SQL.get(self.state, "verdict = ?")], list[Any]()
        if self.state not in _STATE_SQL:
            values.append(self.state)
        if self.queue != EVERY:
            terms.append("issue = ?")
            values.append(self.queue)
        of_any = Filters(
            classes=() if self.class_id is None else self.class_id,
            splits=self.split or (),
            signals=self.signal or (),
            min_score=self.min_score,
            flagged_only=False,
        )
        if of_any != Filters(flagged_only=False):
            condition, more = conditions(of_any, _WORK)
            terms.append(f"entry IN (SELECT entry FROM work WHERE {condition})")
            values += more
        if self.area:
            terms.append(inside_sql(self.area))
        return " AND ".join(terms), values


_STATE_SQL = {"open": "verdict IS NULL", "decided": "verdict IS NOT NULL", "any": "true"}
# What the work list calls what one can filter by.
_WORK = {name: name for name in ("class_id", "split", "signal", "score")}
_NAMES = ("class", "split", "signal", "min_score", "state", "sort")


def _whole(text: str) -> int | None:
    if not text:
        return None
    if (found := whole_number(text)) < 0:
        raise InputError(f"class {text[:40]!r}: expected a class id")
    return found


def _share(text: str) -> float | None:
    if not text:
        return None
    try:
        value = float(text)
    except ValueError:
        value = -1.0
    if not 0 <= value <= 1:
        raise InputError(f"min_score {text[:40]!r}: scores lie in [0, 1]; give a value in it")
    return value
