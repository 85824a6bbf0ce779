"""Everything a report tells, collected from an index."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import Any

from healtheat.core.issues import Silence
from healtheat.core.progress import Progress, silent
from healtheat.index import Index
from healtheat.index.batches import batches_of, names_of
from healtheat.reporting.map import Map, draw_map
from healtheat.reporting.worst import Shown, worst
from healtheat.signals import samples_from
from healtheat.signals.evidence.trust import ClassTrust, trust
from healtheat.view.inspection import Inspection
from healtheat.view.matrix import Matrix, matrix
from healtheat.view.places import places
from healtheat.view.stats import QueueStats

PER_ISSUE = 12
MOST_CLASSES = 300  # rows of the table of classes
MOST_REASONS = 20  # of problems

_REVIEWERS = """
SELECT who, count(*) FILTER (verdict = 'drop') AS "drop", count(*) FILTER (verdict = 'relabel') AS relabel,
    count(*) FILTER (verdict IN ('added', 'moved')) AS placed,
    count(*) FILTER (verdict = 'ok') AS ok, count(*) FILTER (verdict = 'unsure') AS unsure,
    min("at") AS first, max("at") AS last
FROM current_verdicts GROUP BY who ORDER BY count(*) DESC, who LIMIT 50
"""


@dataclass(frozen=True, slots=True)
class ReportFacts:
    """What is on the page. `stats` and `worst` have one entry an issue that has findings."""

    title: str
    source: str  # its last folder and file: a colleague needs no path of this machine
    built_at: str
    encoder: str
    counts: Mapping[str, int]
    names: Mapping[int, str]
    stats: Mapping[str, QueueStats]
    worst: Mapping[str, list[Shown]]
    reviewers: Sequence[Mapping[str, Any]]
    problems: Sequence[tuple[str, int]]
    silences: Sequence[Silence]  # questions that were not asked of this set
    classes: Sequence[ClassTrust]  # the least told apart first
    classes_left_out: int
    trust_counts: Mapping[str, int]  # verdict of trust → classes
    matrix: Matrix | None
    map: Map | None


def collect(
    index: Index, *, title: str, per_issue: int = PER_ISSUE, progress: Progress = silent
) -> ReportFacts:
    """The facts of an index, with every picture. Reads the index and the images, writes nothing."""
    inspection = Inspection(index)
    stats = dict(inspection.stats())
    shown = worst(inspection, list(stats), per_issue, progress)
    progress("classes and map", 0, 2)
    samples = samples_from(index)
    found = trust(samples) if len(samples) and len(samples.class_ids) > 1 else None
    progress("classes and map", 1, 2)
    flagged = inspection.work.rows(
        "SELECT finding_id, box_id, issue FROM work WHERE box_id >= 0 "
        "AND coalesce(verdict, '') NOT IN ('ok', 'closed') ORDER BY by_suspicion"
    )
    placed = places(index, samples.boxes.box_id, keep=False)
    drawn = draw_map(samples, placed, [(int(f), int(b), str(i)) for f, b, i in flagged])
    progress("classes and map", 2, 2)
    classes = [] if found is None else sorted(found.classes, key=lambda c: (c.agreement, c.class_id))
    reasons = Counter(problem.code.words for problem in index.problems())
    manifest, batches = index.manifest, batches_of(index)
    source = "/".join(PurePosixPath(manifest.source.data).parts[-2:])
    return ReportFacts(
        title=title,
        source=f"{source} and {names_of(batches)}" if batches else source,
        built_at=manifest.created_at[:16].replace("T", " "),
        encoder=str(manifest.encoder.get("name", "")),
        counts={
            "images": manifest.counts.images,
            "boxes": manifest.counts.boxes,
            "classes": manifest.counts.classes,
            "places flagged": sum(s.total for s in stats.values()),
            "decided": sum(s.decided for s in stats.values()),
            "problems": manifest.counts.problems,
        },
        names=index.names,
        stats=stats,
        worst=shown,
        reviewers=index.sql(_REVIEWERS).to_pylist(),
        problems=reasons.most_common(MOST_REASONS),
        silences=index.silences(),
        classes=classes[:MOST_CLASSES],
        classes_left_out=max(0, len(classes) - MOST_CLASSES),
        trust_counts=Counter(c.verdict for c in classes),
        matrix=None if found is None else matrix(found),
        map=drawn,
    )
