"""Suspicious samples out of an index: filtered, sorted, one tidy table with fixed columns."""

from __future__ import annotations

import difflib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Protocol

from healtheat.core.errors import InputError
from healtheat.core.issues import ISSUES

if TYPE_CHECKING:
    import pyarrow as pa

VERDICTS: tuple[str, ...] = ("ok", "drop", "relabel", "unsure", "none")  # none: nobody decided yet

# What a finding has come to: confirmed by a person (drop, relabel), cleared by a person (ok), flagged and not
# decided (or unsure), or below the threshold of its issue and not decided.
STATUSES: tuple[str, ...] = ("confirmed", "flagged", "cleared", "unflagged")
LISTED: tuple[str, ...] = STATUSES[:3]  # what a cleanup list tells of

_STATUS = """case when v.verdict in ('drop', 'relabel') then 'confirmed' when v.verdict = 'ok' then 'cleared'
    when f.flagged then 'flagged' else 'unflagged' end"""

# The first five are a contract with whoever reads the CSV; the order of the others is kept as well.
COLUMNS: dict[str, str] = {
    "image": "i.path",
    "line": "f.line",
    "class_id": "f.class_id",
    "issue": "f.issue",
    "score": "f.score",
    "class_name": "c.name",
    "suggestion": "f.suggestion",
    "suggestion_name": "s.name",
    "reason": "f.reason",
    "signal": "f.signal",
    "split": "i.split",
    "box_id": "f.box_id",
    "suspicion": "f.suspicion",
    "flagged": "f.flagged",
    "status": _STATUS,
    "verdict": "v.verdict",
    "relabel_to": "v.relabel_to",
    "decided_by": "v.who",
    "decided_at": "v.at",
    "label_file": "i.label_path",
    **{name: f"case f.kind when 'place' then f.{name} else b.{name} end" for name in ("cx", "cy", "w", "h")},
    "finding_id": "f.finding_id",
    "evidence": "f.evidence",
    "kind": "f.kind",
    "withheld": "f.withheld",
    "twin_box_id": "f.twin_box_id",
}

# What ties are broken by: nothing is left to chance, so two runs list the same rows in the same order.
_TIES = "f.suspicion desc nulls last, f.score desc nulls last, f.finding_id"
SORTS: dict[str, str] = {
    "suspicion": _TIES,
    "score": f"f.score desc nulls last, {_TIES}",
    "image": f"i.path, f.line, {_TIES}",
    "class": f"f.class_id, {_TIES}",
    "issue": f"f.issue, f.score desc nulls last, {_TIES}",
    "box": "f.box_id, f.issue, f.finding_id",
}


class Catalog(Protocol):
    """What a query needs of an index."""

    @property
    def names(self) -> Mapping[int, str]: ...
    def sql(self, query: str, parameters: Sequence[Any] = ()) -> pa.Table: ...


@dataclass(frozen=True, slots=True)
class Filters:
    """Which findings to list. An empty tuple does not filter; several values of one filter mean "any of".

    `images` are globs over the image path (`*` also crosses folders). With `flagged_only` false every
    judged (box, issue) is a row; else those past the threshold of their issue, without what a person
    called `ok`. `verdicts` picks by a person's decision instead: ok, drop, relabel, unsure, none. `statuses`
    (of `STATUSES`) picks by what a finding has come to, flagged or not, whatever `flagged_only` says.
    """

    issues: Sequence[str] = ()
    classes: Sequence[int] = ()
    signals: Sequence[str] = ()
    splits: Sequence[str] = ()
    images: Sequence[str] = ()
    min_score: float | None = None
    flagged_only: bool = True
    verdicts: Sequence[str] = ()
    statuses: Sequence[str] = ()

    def __post_init__(self) -> None:
        for value in self.issues:
            _known("issue", value, ISSUES)
        for value in self.verdicts:
            _known("verdict", value, VERDICTS)
        for value in self.statuses:
            _known("status", value, STATUSES)
        if self.min_score is not None and not 0 <= self.min_score <= 1:
            raise InputError(f"min_score {self.min_score}: scores lie in [0, 1]; give a value in it")

    def only_flagged(self) -> Filters:
        """The same filters, of flagged findings alone."""
        return replace(self, flagged_only=True, statuses=())


def query(
    index: Catalog, filters: Filters | None = None, *, sort: str | None = None, limit: int | None = None
) -> pa.Table:
    """Findings as a pyarrow table with the columns of `COLUMNS`, most suspicious first.

    `sort` is a key of `SORTS`; by default `score` where the filters name issues (one queue has one scale)
    and `suspicion`, the one ranking over all issues, elsewhere. `suggestion` is null where the finding
    points to no class, `class_id` where it is about a whole photo or a line that holds no class. Raises
    InputError for an unknown sort.
    """
    filters = filters or Filters()
    order = SORTS[_known("sort", sort or ("score" if filters.issues else "suspicion"), SORTS)]
    where, parameters = _where(filters)
    columns = ", ".join(f"{source} as {name}" for name, source in COLUMNS.items())
    text = f"select {columns} {_FROM} where {where} order by {order}"
    if limit is not None:
        text += " limit ?"
        parameters.append(limit)
    return index.sql(text, parameters)


def count(index: Catalog, filters: Filters) -> int:
    """How many findings pass the filters."""
    where, parameters = _where(filters)
    return int(index.sql(f"select count(*) as n {_FROM} where {where}", parameters)["n"][0].as_py())


def unjudged(index: Catalog, classes: Sequence[int] = ()) -> int:
    """How many boxes (of `classes`, all if empty) the label signal could not judge."""
    marks = ", ".join("?" * len(classes))
    return int(
        index.sql(
            "select count(*) as n from scores s join boxes b using (box_id) where s.signal = 'label' "
            "and s.abstain is not null" + (f" and b.class_id in ({marks})" if classes else ""),
            list(classes),
        )["n"][0].as_py()
    )


def class_ids(names: Mapping[int, str], wanted: Sequence[str]) -> tuple[int, ...]:
    """Class ids for what a person typed: an id or an exact name. Raises InputError with the nearest names."""
    found: list[int] = []
    for text in wanted:
        by_name = [class_id for class_id, name in names.items() if name == text]
        if text.isdecimal() and int(text) in names:
            found.append(int(text))
        elif by_name:
            found.extend(by_name)
        else:
            known = [name for name in names.values() if name] or [str(i) for i in names]
            close = difflib.get_close_matches(text, known, n=3, cutoff=0.4) or known[:3]
            raise InputError(
                f"no class {text!r} in this index; did you mean {', '.join(map(repr, close))}? (ids work too)"
            )
    return tuple(dict.fromkeys(found))


_FROM = """
from (
    select * replace (nullif(suggestion, -1) as suggestion, nullif(class_id, -1) as class_id) from findings
) f
left join images i on i.image_id = f.image_id
left join boxes b on b.box_id = f.box_id
left join classes c on c.class_id = f.class_id
left join classes s on s.class_id = f.suggestion
left join current_verdicts v on v.box_id = f.box_id and v.image_id = f.image_id
    and v.issue = f.issue
    and (f.box_id >= 0 or v.class_id = coalesce(f.class_id, -1))
"""


def _where(filters: Filters) -> tuple[str, list[Any]]:
    terms: list[str] = []
    parameters: list[Any] = []

    def any_of(term: str, values: Sequence[Any]) -> None:
        if values:
            terms.append("(" + " or ".join([term] * len(values)) + ")")
            parameters.extend(values)

    any_of("f.issue = ?", filters.issues)
    any_of("f.class_id = ?", filters.classes)
    any_of("f.signal = ?", filters.signals)
    any_of("i.split = ?", filters.splits)
    any_of("i.path glob ?", filters.images)
    any_of("coalesce(v.verdict, 'none') = ?", filters.verdicts)
    if filters.min_score is not None:
        terms.append("f.score >= ?")
        parameters.append(filters.min_score)
    any_of(f"{_STATUS} = ?", filters.statuses)
    if filters.flagged_only and not filters.statuses:
        terms.append("f.flagged")
        if not filters.verdicts:
            terms.append("v.verdict is distinct from 'ok'")
    return " and ".join(terms) or "true", parameters


def _known(what: str, value: str, known: Sequence[str] | Mapping[str, str]) -> str:
    if value not in known:
        raise InputError(f"no {what} {value!r}; choose from {', '.join(known)}")
    return value
