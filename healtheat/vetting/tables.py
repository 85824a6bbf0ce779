"""What a vetting leaves in the catalog of the batch: decisions, what boxes were compared with, findings."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import pyarrow as pa

from healtheat.core.boxes import NO_CLASS
from healtheat.findings.flag import FindingSettings, find
from healtheat.index import Index
from healtheat.index.tables import schema
from healtheat.signals.samples import Samples
from healtheat.vetting.batch import HELD_AS, Decided
from healtheat.vetting.trusted import Trusted

SIGNAL = "vet"
ACCEPT, HOLD = "accept", "hold"
_NEVER = 2.0  # a threshold that no score reaches: what is held was decided for the batch as a whole


def decision_rows(batch: Samples, decided: Decided) -> pa.Table:
    """The table `decisions`, a row for each box."""
    return pa.table(
        {
            "box_id": pa.array(batch.boxes.box_id),
            "decision": pa.array([ACCEPT if ok else HOLD for ok in decided.accept], pa.string()),
            "score": pa.array(decided.score, from_pandas=True),
            "p_value": pa.array(decided.p_value, from_pandas=True),
            "held_for": pa.array([why or None for why in decided.why], pa.string()),
            "reason": pa.array(list(decided.reason), pa.string()),
            "suggestion": pa.array(decided.suggestion),
        },
        schema=schema("decisions"),
    )


def compared_rows(batch: Samples, decided: Decided, trusted: Trusted) -> pa.Table:
    """The table `compared`: the trusted boxes that each box was found to look most like."""
    boxes, images = trusted.boxes, trusted.images
    box, place = np.nonzero((decided.nearest >= 0) & (decided.nearest <= boxes.box_id.max(initial=-1)))
    at = np.searchsorted(boxes.box_id, decided.nearest[box, place])
    return pa.table(
        {
            "box_id": pa.array(batch.boxes.box_id[box]),
            "place": pa.array(place.astype(np.int64)),
            "image": pa.array([str(images.path[row]) for row in trusted.image_row[at]], pa.string()),
            "line": pa.array(boxes.line[at]),
            "class_id": pa.array(boxes.class_id[at]),
            "similarity": pa.array(decided.similarity[box, place].astype(np.float64)),
        },
        schema=schema("compared"),
    )


def score_rows(batch: Samples, decided: Decided) -> pa.Table:
    """Rows of the table `scores`: the chance that each box is wrong, under the issue that holds it.

    A box held for another reason than its looks has the share of wrong boxes of the batch as its chance.
    """
    m = len(batch)
    base = decided.estimate.wrong if decided.estimate is not None else 0.5
    score = np.where(np.isnan(decided.score), base, decided.score)
    nothing = pa.nulls(m, pa.float64())
    columns = {
        "run_id": pa.array(np.ones(m, np.int64)),
        "box_id": pa.array(batch.boxes.box_id),
        "image_id": pa.array(batch.boxes.image_id),
        "line": pa.array(batch.boxes.line),
        "class_id": pa.array(batch.boxes.class_id),
        "signal": pa.array([SIGNAL] * m, pa.string()),
        "issue": pa.array([HELD_AS.get(why, "mislabel") for why in decided.why], pa.string()),
        "raw": pa.array(decided.p_value, from_pandas=True),
        "score": pa.array(np.clip(score, 0, 1)),
        "abstain": pa.nulls(m, pa.string()),
        "withheld": pa.nulls(m, pa.string()),
        "reason": pa.array(list(decided.reason), pa.string()),
        "suggestion": pa.array(decided.suggestion),
        "twin_box_id": pa.array(np.full(m, -1, np.int64)),
        **dict.fromkeys(("cx", "cy", "w", "h"), nothing),
        "evidence": pa.array(["{}"] * m, pa.string()),
    }
    names = schema("scores").names
    return pa.table([columns[name] for name in names], schema=schema("scores"))


def findings_of(scores: pa.Table, decided: Decided, batch: Samples) -> pa.Table:
    """The table `findings`: every judged box, flagged where it is held; and what the images lack."""
    vetted = dict.fromkeys({*HELD_AS.values()}, _NEVER)
    found = find(
        scores, FindingSettings(thresholds={**FindingSettings().thresholds, **vetted}), names=batch.names
    )
    held = {int(box): not ok for box, ok in zip(batch.boxes.box_id, decided.accept, strict=True)}
    rows = found.select(["box_id", "signal", "flagged", "passed"]).to_pylist()
    for name in ("flagged", "passed"):
        values = [held[row["box_id"]] if row["signal"] == SIGNAL else row[name] for row in rows]
        found = found.set_column(
            found.schema.get_field_index(name), found.field(name), pa.array(values, pa.bool_())
        )
    return found


_LISTED = """
SELECT i.path AS image, b.line, b.class_id, d.decision, d.score, coalesce(c.name, '') AS class_name, i.split,
  d.p_value, d.held_for, d.reason, nullif(d.suggestion, {none}) AS suggestion,
  coalesce(s.name, '') AS suggestion_name, b.cx, b.cy, b.w, b.h, b.confidence, n.nearest, b.box_id
FROM decisions d JOIN boxes b USING (box_id) JOIN images i USING (image_id)
LEFT JOIN classes c ON c.class_id = b.class_id LEFT JOIN classes s ON s.class_id = d.suggestion
LEFT JOIN (SELECT box_id, list({{'image': image, 'line': line, 'class_id': class_id,
    'similarity': similarity}} ORDER BY place) AS nearest FROM compared GROUP BY box_id) n
  ON n.box_id = b.box_id
ORDER BY {order}
"""
_ORDERS: Mapping[str, str] = {
    "score": "d.decision DESC, d.score DESC NULLS FIRST, b.box_id",
    "image": "b.box_id",
}


_PLAIN = (
    *(
        "image",
        "line",
        "class_id",
        "decision",
        "score",
        "class_name",
        "split",
        "p_value",
        "held_for",
        "reason",
    ),
    *("suggestion", "suggestion_name", "cx", "cy", "w", "h", "confidence"),
)
_NEAREST = ("nearest_1", "nearest_2", "nearest_3")


def listed(index: Index, order: str = "image") -> pa.Table:
    """The decisions of a batch: `image, line, class_id, decision, score`, then the usual columns.

    `order`: "image" as the labels come, "score" the held ones first, most suspicious first.
    """
    return index.sql(_LISTED.format(none=NO_CLASS, order=_ORDERS[order]))


def flat(rows: pa.Table | None) -> pa.Table:
    """Rows of `listed` without lists, for CSV: `nearest_1` to `nearest_3` are texts `image:line`.

    None, for a batch that was refused unread, is a table without rows.
    """
    if rows is None:
        return pa.table({name: pa.nulls(0) for name in (*_PLAIN, *_NEAREST, "box_id")})
    near = rows["nearest"].to_pylist()
    out = rows.select(_PLAIN)
    for place, name in enumerate(_NEAREST):
        texts = [f"{n[place]['image']}:{n[place]['line']}" if n and len(n) > place else None for n in near]
        out = out.append_column(name, pa.array(texts, pa.string()))
    return out.append_column("box_id", rows["box_id"])


_SOUND = """
SELECT image_id, path FROM images WHERE status IN ('labelled', {empty})
AND image_id NOT IN (SELECT image_id FROM findings WHERE flagged AND issue = 'missing_box')
ORDER BY image_id
"""
_HOLDING = "SELECT DISTINCT image_id FROM boxes JOIN decisions USING (box_id) WHERE decision <> ?"


def sound_images(index: Index) -> list[int]:
    """Ids of the images of a batch whose boxes are all that is to be seen: none missing, no problem.

    An image without a box counts where a label file says so; that a detector found nothing says little.
    """
    empty = "'empty'" if index.manifest.source.edits != "none" else "'labelled'"
    rows = index.sql(_SOUND.format(empty=empty)).to_pylist()
    broken = {problem.image for problem in index.problems()}
    return [row["image_id"] for row in rows if row["path"] not in broken]


def whole_images(index: Index) -> list[int]:
    """Ids of the images of a batch to train on as they are: sound ones with every box accepted."""
    holding = set(index.sql(_HOLDING, [ACCEPT])["image_id"].to_pylist())
    return [image for image in sound_images(index) if image not in holding]
