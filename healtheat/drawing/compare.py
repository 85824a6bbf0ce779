"""Found against planted: what a list of findings caught of a demo set's errors, and what it made up."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow as pa

from healtheat.core.text import counted
from healtheat.drawing.truth import HINTED, KINDS, Truth, read_truth

# What one answer settles: the `place_id`; where rows have none: image, line, and the class if no line (-1).
Place = tuple[str, int, int]
KIND_COLUMNS = pa.schema(
    [("kind", pa.string()), ("planted", pa.int64()), ("found", pa.int64()), ("named", pa.int64()),
     ("in_top", pa.int64()), ("what", pa.string())]
)  # fmt: skip
ISSUE_COLUMNS = pa.schema(
    [("issue", pa.string()), ("flagged", pa.int64()), ("right", pa.int64()), ("follows", pa.int64()),
     ("false_alarms", pa.int64())]
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class _Row:
    image: str
    line: int
    place: Place
    issue: str
    class_id: int
    flagged: bool
    rank: float


def _int(value: Any, default: int = -1) -> int:
    return default if value is None or value == "" or value != value else int(value)


def _rows(findings: pa.Table | Iterable[Mapping[str, Any]]) -> list[_Row]:
    table = findings.to_pylist() if isinstance(findings, pa.Table) else findings
    rows = []
    for r in table:
        line, class_id = _int(r.get("line")), _int(r.get("class_id"))
        rank = r.get("suspicion")
        rank = r.get("score") if rank is None else rank
        image, number, flagged = str(r["image"]), _int(r.get("place_id")), r.get("flagged")
        place = ("", number, -1) if number >= 0 else (image, line, class_id if line < 0 else -1)
        rows.append(
            _Row(
                image,
                line,
                place,
                str(r["issue"]),
                class_id,
                flagged is None or bool(flagged),
                float(rank or 0.0),
            )
        )
    return rows


def _truth(truth: Path | str | Sequence[Truth]) -> list[Truth]:
    return read_truth(Path(truth)) if isinstance(truth, str | Path) else list(truth)


def _hits(error: Truth, row: _Row) -> bool:
    """Whether a finding points at this very error (or, for a duplicate, at its twin)."""
    image, line = row.image, row.line
    if error.kind == "missing":
        return image == error.image and line < 0 and row.class_id == error.true_class
    if error.kind == "truncated_image":
        return image == error.image
    if error.kind == "duplicate_image":
        return image in (error.image, error.twin) and row.issue == "duplicate"
    if error.kind == "broken_line":
        return image == error.image and row.issue == "unreadable" and line in (-1, error.line)
    if image == error.image and line == error.line:
        return True
    return error.twin == f"{image}#{line}" and row.issue == "duplicate"


def _follows(error: Truth, row: _Row) -> bool:
    """Whether a finding is a true consequence of an error elsewhere on the same image.

    A wrong class id, an unreadable line or a spurious box also makes the image hold too few of one product or
    too many of another; whoever says so is right.
    """
    if row.image not in (error.image, error.twin.partition("#")[0]):
        return False
    if row.issue == "missing_box":
        gone = error.kind in ("flips", "confuse", "swap", "broken_line", "shifted", "whole_image")
        return gone and row.class_id == error.true_class
    if row.issue == "unexpected_class":
        return row.class_id == error.given_class
    return row.issue == "unreadable" and error.kind == "truncated_image"


def compare(
    findings: pa.Table | Iterable[Mapping[str, Any]], truth: Path | str | Sequence[Truth]
) -> pa.Table:
    """One row a planted kind, then one for "all": planted, found, named, in_top, what.

    `findings` needs image, line, class_id, issue; `flagged` (absent: all are), `suspicion` or `score` for the
    ranking, and `place_id` (absent: each box or missing class is a place). found: errors with a flagged
    finding of any issue; named: of an issue that says what is wrong; in_top: errors whose place is among the
    N highest-ranked places, N the number of planted errors.
    """
    rows, errors = _rows(findings), _truth(truth)
    by_image: dict[str, list[_Row]] = defaultdict(list)
    best: dict[Place, float] = {}
    for row in rows:
        by_image[row.image].append(row)
        best[row.place] = max(best.get(row.place, float("-inf")), row.rank)
    top = set(sorted(best, key=lambda place: (-best[place], place))[: len(errors)])
    counts = {kind: [0, 0, 0, 0] for kind in KINDS}
    for error in errors:
        images = {error.image, error.twin.partition("#")[0]} - {""}
        hits = [row for image in sorted(images) for row in by_image[image] if _hits(error, row)]
        flagged = [row for row in hits if row.flagged]
        count = counts[error.kind]
        count[0] += 1
        count[1] += bool(flagged)
        count[2] += any(row.issue in KINDS[error.kind][1] for row in flagged)
        count[3] += any(row.place in top for row in hits)
    table = [(kind, *count, KINDS[kind][0]) for kind, count in counts.items()]
    totals = [sum(column) for column in zip(*counts.values(), strict=True)]
    table.append(("all", *totals, "planted errors"))
    return pa.table(dict(zip(KIND_COLUMNS.names, zip(*table, strict=True), strict=True)), schema=KIND_COLUMNS)


def false_alarms(
    findings: pa.Table | Iterable[Mapping[str, Any]], truth: Path | str | Sequence[Truth]
) -> pa.Table:
    """One row an issue, then one for "all": flagged, right, follows, false_alarms (places, each once).

    right: the flag stands on a planted error; follows: it is a true consequence of one (a flipped box also
    makes its image lack a product); false_alarms: neither. "all" counts a place once, whatever its issues
    and however many boxes it is about.
    """
    by_image: dict[str, list[Truth]] = defaultdict(list)
    for error in _truth(truth):
        for image in {error.image, error.twin.partition("#")[0]} - {""}:
            by_image[image].append(error)
    judged: dict[str, dict[Place, int]] = defaultdict(dict)  # 2 right, 1 follows, 0 neither
    for row in _rows(findings):
        if row.flagged:
            near = by_image.get(row.image, ())
            verdict = 2 if any(_hits(e, row) for e in near) else int(any(_follows(e, row) for e in near))
            for issue in (row.issue, "all"):
                judged[issue][row.place] = max(verdict, judged[issue].get(row.place, 0))
    table = []
    for issue in [*sorted(set(judged) - {"all"}), "all"]:
        verdicts = list(judged[issue].values())
        table.append((issue, len(verdicts), verdicts.count(2), verdicts.count(1), verdicts.count(0)))
    return pa.table(
        dict(zip(ISSUE_COLUMNS.names, zip(*table, strict=True), strict=True)), schema=ISSUE_COLUMNS
    )


def summary_rows(
    findings: pa.Table | Iterable[Mapping[str, Any]], truth: Path | str | Sequence[Truth]
) -> tuple[list[tuple[str, ...]], str]:
    """For printing: a header row and one row a planted kind that occurs, and a line about the flagged places.

    Kinds that are hints come last and count nowhere else: they are not flagged, so none of them is missed.
    """
    rows = list(findings) if not isinstance(findings, pa.Table) else findings
    head = ("planted", "number", "found", "named rightly", "in the top", "what it is")
    *kinds, _ = compare(rows, truth).to_pylist()
    occur = [r for r in kinds if r["planted"]]
    errors = [r for r in occur if r["kind"] not in HINTED]
    total = {c: sum(r[c] for r in errors) for c in _COUNTS}
    table = [head, *(_words(r) for r in errors)]
    table.append(_words({"kind": "all", "what": "planted errors", **total}))
    table += [_words(r) for r in occur if r["kind"] in HINTED]
    places = false_alarms(rows, truth).to_pylist()[-1]
    on_errors = places["right"] + places["follows"]
    each = f"{on_errors / total['found']:.2f}" if total["found"] else "no"
    line = (
        f"{counted(places['flagged'], 'place')} flagged: {places['right']} on planted errors, "
        f"{counted(places['follows'], 'follows', 'follow')} from one, {places['false_alarms']} wrong; "
        f"{total['planted'] - total['found']} of {counted(total['planted'], 'error')} missed; "
        f"{each} rows an error found"
    )
    return table, line


_COUNTS = ("planted", "found", "named", "in_top")


def _words(r: Mapping[str, Any]) -> tuple[str, ...]:
    number, *found = (str(r[c]) for c in _COUNTS)
    return (r["kind"], number, *("-" if r["kind"] in HINTED else text for text in found), r["what"])
