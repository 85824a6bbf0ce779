"""Suspicious samples out of an index: filtered, sorted, one tidy table with fixed columns."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Literal

from healtheat.core.errors import InputError
from healtheat.core.table import holding_json
from healtheat.core.verdicts import CONFIRMS, SETTLES
from healtheat.findings.filters import Filters, Findings, conditions

if TYPE_CHECKING:
    import pyarrow as pa

Each = Literal["issue", "box", "place"]

# A verdict on one finding of a box settles the box: its other findings are closed.
_STATUS = f"""case when v.verdict in {CONFIRMS} then 'confirmed' when v.verdict = 'ok' then 'cleared'
    when settled.box_id is not null then 'closed' when f.passed then 'flagged' else 'unflagged' end"""

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
    "also": "others.issues",
    "place_id": "f.place_id",
    "copies": "coalesce(alike.boxes - 1, 0)",
    "passed": "f.passed",
    # where a person wants the box: one that is missing, or another place of this one
    **{f"to_{name}": f"v.box[{at}]" for at, name in enumerate(("cx", "cy", "w", "h"), 1)},
    # where the object in a badly placed box seems to be
    **{f"fit_{name}": f"case f.kind when 'box' then f.{name} end" for name in ("cx", "cy", "w", "h")},
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


def query(
    index: Findings,
    filters: Filters | None = None,
    *,
    sort: str | None = None,
    limit: int | None = None,
    each: Each = "issue",
) -> pa.Table:
    """Findings as a pyarrow table with the columns of `COLUMNS`, most suspicious first.

    There is one row for `each` issue of a box, each box (or image that misses one), or each place: of its
    findings that pass the filters the one that leads. A place of which a part is decided about is two: what
    is settled, and what is still open. `also` names the other issues of the box that passed their
    thresholds, `copies` is the number of further boxes (or images) that the place stands for; they have the
    same `place_id`.
    A verdict that settles a box is a row, without a score, also where nothing finds its issue there any more:
    `finding_id` is negative then, as it is for a box that a person drew where nothing was found. `to_cx`,
    `to_cy`, `to_w` and `to_h` are where a person wants the box; of a missing one `relabel_to` is its class.
    `fit_cx`, `fit_cy`, `fit_w` and `fit_h` are where the object in a badly placed box seems to be.
    `sort` is a key of `SORTS`; by default `suspicion`, the one ranking over all issues, where every issue of
    a box has a row of its own and the filters name none, and `score` elsewhere. `suggestion` is null where
    the finding points to no class, `class_id` where it is about a whole image or a line that holds no class.
    Raises InputError for an unknown sort, or a filter value that the index does not have.
    """
    filters = (filters or Filters()).of(index)
    sort = sort or ("suspicion" if each == "issue" and not filters.issues else "score")
    if sort not in SORTS:
        raise InputError(f"no sort {sort!r}; choose from {', '.join(SORTS)}")
    order = SORTS[sort]
    where, parameters = conditions(filters, _WHERE)
    columns = ", ".join(f"{source} as {name}" for name, source in COLUMNS.items())
    lead = "" if each == "issue" else f"qualify {_leads(each)} = 1"
    text = f"select {columns} {_FROM} where {where} {lead} order by {order}"
    if limit is not None:
        text += " limit ?"
        parameters.append(limit)
    return holding_json(index.sql(text, parameters), "evidence")


def count(index: Findings, filters: Filters, *, each: Each = "issue") -> int:
    """How many findings pass the filters, or how many boxes or places have one that does."""
    where, parameters = conditions(filters.of(index), _WHERE)
    what = "count(*)" if each == "issue" else f"count(distinct {_UNITS[each]})"
    return int(index.sql(f"select {what} as n {_FROM} where {where}", parameters)["n"][0].as_py())


def unjudged(index: Findings, classes: Sequence[int] = ()) -> int:
    """How many boxes (of `classes`, all if empty) the label signal could not judge."""
    marks = ", ".join("?" * len(classes))
    return int(
        index.sql(
            "select count(*) as n from scores s join boxes b using (box_id) where s.signal = 'label' "
            "and s.abstain is not null" + (f" and b.class_id in ({marks})" if classes else ""),
            list(classes),
        )["n"][0].as_py()
    )


# The last word on each box. Who called it `ok` took back every earlier `drop` and `relabel`, and the other
# way round; a `drop` and a `relabel` both stand, for somebody has to choose.
_STANDING = f"""
    select v.*, coalesce(v.seq = last.seq, false) as is_last from current_verdicts v left join (
        select box_id, image_id, max(seq) as seq, arg_max(verdict, seq) = 'ok' as is_ok from current_verdicts
        where box_id >= 0 and verdict in {SETTLES} group by box_id, image_id
    ) last using (box_id, image_id)
    where last.seq is null or v.verdict not in {SETTLES} or (v.verdict = 'ok') = last.is_ok
"""
# A verdict belongs to its box: where the finding it was given on is gone, it is a row of its own.
_ROWS = f"""
    select f.* replace (nullif(f.suggestion, -1) as suggestion, nullif(f.class_id, -1) as class_id),
        coalesce(s.spot, f.class_id) as key from findings f left join spots s on s.finding_id = f.finding_id
    union all by name
    select -1 - v.seq as finding_id, -1 - v.seq as place_id, 'box' as kind, v.box_id, v.image_id, b.line,
        b.class_id, v.issue, '' as signal, -1 as twin_box_id, false as flagged, false as passed,
        'decided by a person; this issue is no longer found here' as reason, '{{}}' as evidence
    from ({_STANDING}) v join boxes b on b.box_id = v.box_id and b.image_id = v.image_id
    where v.is_last and not exists (
        select 1 from findings other where other.box_id = v.box_id and other.issue = v.issue
    )
    union all by name
    select -1 - v.seq as finding_id, -1 - v.seq as place_id, 'place' as kind, -1 as box_id, v.image_id,
        -1 as line,
        v.relabel_to as class_id, v.issue, '' as signal, -1 as twin_box_id, false as flagged, false as passed,
        'a person drew this box' as reason, '{{}}' as evidence, v.box[1] as cx, v.box[2] as cy, v.box[3] as w,
        v.box[4] as h, coalesce(v.spot, v.class_id) as key
    from current_verdicts v where v.box_id = -1 and v.verdict = 'added' and not v.there and not exists (
        select 1 from findings other left join spots s on s.finding_id = other.finding_id
        where other.box_id < 0 and other.image_id = v.image_id and other.issue = v.issue
            and coalesce(s.spot, other.class_id) = coalesce(v.spot, v.class_id)
    )
"""
_FROM = f"""
from ({_ROWS}) f
left join images i on i.image_id = f.image_id
left join boxes b on b.box_id = f.box_id
left join classes c on c.class_id = f.class_id
left join classes s on s.class_id = f.suggestion
left join ({_STANDING}) v on v.box_id = f.box_id and v.image_id = f.image_id
    and v.issue = f.issue
    and (f.box_id >= 0 or coalesce(v.spot, v.class_id) = coalesce(f.key, -1))
left join (
    select distinct box_id, image_id from current_verdicts
    where box_id >= 0 and verdict in {SETTLES}
) settled on settled.box_id = f.box_id and settled.image_id = f.image_id
left join (
    select one.finding_id, string_agg(distinct other.issue, ', ' order by other.issue) as issues
    from findings one join findings other on one.box_id = other.box_id and one.issue <> other.issue
    where one.box_id >= 0 and other.passed group by one.finding_id
) others on others.finding_id = f.finding_id
left join (
    select place_id, count(*) as boxes from findings where flagged group by place_id
) alike on f.passed and alike.place_id = f.place_id
"""


def unit_of(filters: Filters, unit: Each) -> Each:
    """What to list one row for: each `unit`, but each issue where issues or all findings are asked for."""
    return unit if filters.flagged_only and not filters.issues else "issue"


_SETTLED = f"settled.box_id is not null or coalesce(v.verdict in {SETTLES}, false)"
# A finding about no box is a unit of its own.
_UNITS: Mapping[str, str] = {
    "box": "case when f.box_id < 0 then -1 - f.finding_id else f.box_id end",
    "place": f"struct_pack(place := f.place_id, settled := {_SETTLED})",
}


def _leads(each: Each) -> str:
    order = "f.flagged desc, f.score desc nulls last, f.finding_id"
    return f"row_number() over (partition by {_UNITS[each]} order by {order})"


_WHERE: Mapping[str, str] = {
    "issue": "f.issue",
    "class_id": "f.class_id",
    "signal": "f.signal",
    "split": "i.split",
    "image": "i.path",
    "score": "f.score",
    "verdict": "v.verdict",
    "status": _STATUS,
    "flagged": "f.passed",
}
