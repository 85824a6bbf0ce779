"""What of a vetted batch counts as accepted now: its decisions, and what people said since."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from healtheat.index.store import Index

_SAID = """
SELECT box_id, arg_max(verdict, seq) AS verdict FROM current_verdicts
WHERE box_id >= 0 AND verdict IN ('ok', 'drop', 'relabel', 'moved') GROUP BY box_id
"""
_ACCEPTED = f"""
SELECT box_id FROM decisions d LEFT JOIN ({_SAID}) s USING (box_id)
WHERE coalesce(s.verdict = 'ok', d.decision = 'accept') ORDER BY box_id
"""


def is_vetted(index: Index) -> bool:
    """Whether the boxes of `index` were judged by `healtheat vet`."""
    return bool(index.sql("SELECT count(*) AS n FROM decisions")["n"][0].as_py())


def said_of(index: Index) -> dict[int, str]:
    """Box id → the last word of a person on it that settles it: ok, drop, relabel or moved."""
    rows = index.sql(_SAID).to_pylist()
    return {row["box_id"]: row["verdict"] for row in rows}


def accepted_boxes(index: Index) -> NDArray[np.int64]:
    """Ids of the boxes that are accepted; a person's word, since they were judged, comes first."""
    return np.asarray(index.sql(_ACCEPTED)["box_id"].to_numpy(), np.int64)
