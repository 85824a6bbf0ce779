"""What the server knows: the index, the work list, pictures, and figures that are slow enough to keep."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from pathlib import Path
from threading import Lock, Thread
from typing import TYPE_CHECKING

import numpy as np

from healtheat.core.errors import HealtheatError
from healtheat.core.issues import ISSUES
from healtheat.index import Index
from healtheat.view.alike import Alike
from healtheat.view.map import MapPoints
from healtheat.view.pictures import Pictures
from healtheat.view.samples import Samples
from healtheat.view.stats import QueueStats, queue_stats
from healtheat.view.worklist import WorkList

if TYPE_CHECKING:
    from healtheat.signals.evidence.trust import Trust


class Review:
    """One index under review by one person, `who`. Safe to use from several threads."""

    def __init__(self, index: Index, who: str, *, every: bool = False) -> None:
        self.index = index
        self.who = who
        self.every = every
        self.work = WorkList(index, every=every)
        self.pictures = Pictures(index)
        self.alike = Alike(index)
        self.samples = Samples(index, self.work, self.alike)
        self.map = MapPoints(index, self.work)
        self._stats: dict[str, QueueStats] = {}
        self._stats_of = -1
        self._lock = Lock()
        self._trust: Trust | str | None = None
        self._trust_thread: Thread | None = None
        self._manifest = index.path / "manifest.json"
        self._stamp = _stamp(self._manifest)
        self.build = hashlib.sha256(self._manifest.read_bytes()).hexdigest()[:32]
        """Names this very build: the numbers of findings mean nothing in another one."""

    @property
    def name(self) -> str:
        """What the index is called."""
        return self.index.path.name

    @property
    def names(self) -> Mapping[int, str]:
        """Class id → name."""
        return self.index.names

    @property
    def built_again(self) -> bool:
        """Whether the index was built again since the server started: what is shown is old."""
        return _stamp(self._manifest) != self._stamp

    def stats(self) -> dict[str, QueueStats]:
        """Figures of every queue that has findings, in the order of ISSUES."""
        self.work.refresh()
        version = self.index.judging.lines
        with self._lock:
            if self._stats_of != version:
                self._stats = {issue: s for issue in ISSUES if (s := self._of_queue(issue)).total}
                self._stats_of = version
            return self._stats

    def trust(self) -> Trust | str | None:
        """Which classes can be told apart; None while it is being worked out, a text if it cannot be."""
        with self._lock:
            if self._trust is None and self._trust_thread is None:
                self._trust_thread = Thread(target=self._work_out_trust, daemon=True)
                self._trust_thread.start()
        return self._trust

    def _of_queue(self, issue: str) -> QueueStats:
        rows = self.work.rows("SELECT score, verdict FROM work WHERE issue = ? ORDER BY by_score", [issue])
        return queue_stats(np.array([row[0] for row in rows], np.float64), [row[1] for row in rows])

    def _work_out_trust(self) -> None:
        from healtheat.signals import samples_from
        from healtheat.signals.evidence.trust import trust

        try:
            self._trust = trust(samples_from(self.index))
        except (HealtheatError, ValueError, KeyError, AttributeError) as error:
            self._trust = f"It cannot be worked out for this index: {error}"


def _stamp(path: Path) -> tuple[int, int] | None:
    try:
        found = path.stat()
    except OSError:
        return None
    return found.st_mtime_ns, found.st_size
