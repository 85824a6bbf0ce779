"""An index as people look at it: its work list, its samples, and the figures of each queue."""

from __future__ import annotations

from collections.abc import Mapping
from threading import Lock

import numpy as np

from healtheat.core.errors import InputError
from healtheat.core.issues import ISSUES
from healtheat.index import Index
from healtheat.view.alike import Alike
from healtheat.view.samples import Gallery
from healtheat.view.stats import QueueStats, queue_stats
from healtheat.view.worklist import WorkList


class Inspection:
    """What the review page and the report show of one index. Safe to use from several threads."""

    def __init__(self, index: Index, *, every: bool = False, trusted: Index | None = None) -> None:
        """`every`: all judged boxes, not the flagged ones alone. `trusted`: the index that `index`, a vetted
        batch, is compared with; InputError where their embeddings cannot be compared.
        """
        if trusted is not None and trusted.manifest.fingerprint != index.manifest.fingerprint:
            raise InputError(
                f"{trusted.path}: its crops were cut or embedded otherwise than those of {index.path} and "
                "cannot be compared with them; give the index that the batch was vetted against"
            )
        self.index = index
        self.every = every
        self.work = WorkList(index, every=every)
        self.alike = Alike(index)
        self.trusted = trusted
        self.samples = Gallery(index, self.work, self.alike, None if trusted is None else Alike(trusted))
        self._stats: dict[str, QueueStats] = {}
        self._stats_of = -1
        self._stats_lock = Lock()

    @property
    def name(self) -> str:
        """What the index is called."""
        return self.index.path.name

    @property
    def names(self) -> Mapping[int, str]:
        """Class id → name."""
        return self.index.names

    def stats(self) -> dict[str, QueueStats]:
        """Figures of every queue that has places, in the order of ISSUES."""
        self.work.refresh()
        version = self.index.judging.lines
        with self._stats_lock:
            if self._stats_of != version:
                self._stats = {issue: s for issue in ISSUES if (s := self._of_queue(issue)).total}
                self._stats_of = version
            return self._stats

    def _of_queue(self, issue: str) -> QueueStats:
        rows = self.work.rows(
            "SELECT score, verdict FROM work WHERE issue = ? AND entry = finding_id ORDER BY by_score",
            [issue],
        )
        return queue_stats(np.array([row[0] for row in rows], np.float64), [row[1] for row in rows])
