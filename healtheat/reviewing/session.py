"""What the server knows: an index, who reviews it, its pictures and map, and figures slow enough to keep."""

from __future__ import annotations

from pathlib import Path
from threading import Lock, Thread
from typing import TYPE_CHECKING

from healtheat.core.errors import HealtheatError
from healtheat.index import Index
from healtheat.index.manifest import build_id
from healtheat.view.inspection import Inspection
from healtheat.view.map import MapPoints
from healtheat.view.pictures import Pictures

if TYPE_CHECKING:
    from healtheat.signals.evidence.trust import Trust


class Review(Inspection):
    """One index under review by one person, `who`. Safe to use from several threads."""

    def __init__(self, index: Index, who: str, *, every: bool = False, trusted: Index | None = None) -> None:
        super().__init__(index, every=every, trusted=trusted)
        self.who = who
        self.pictures = Pictures(index)
        self.trusted_pictures = None if trusted is None else Pictures(trusted)
        self.map = MapPoints(index, self.work)
        self._trust_lock = Lock()
        self._trust: Trust | str | None = None
        self._trust_thread: Thread | None = None
        self._manifest = index.path / "manifest.json"
        self._stamp = _stamp(self._manifest)
        self.build = build_id(index.path)
        """Names this very build: the numbers of findings mean nothing in another one."""

    @property
    def built_again(self) -> bool:
        """Whether the index was built again since the server started: what is shown is old."""
        return _stamp(self._manifest) != self._stamp

    @property
    def gone(self) -> bool:
        """Whether the index is not there any more: no answer could be trusted, and no verdict kept."""
        return _stamp(self._manifest) is None

    def trust(self) -> Trust | str | None:
        """Which classes can be told apart; None while it is being computed, a text if it cannot be."""
        with self._trust_lock:
            if self._trust is None and self._trust_thread is None:
                self._trust_thread = Thread(target=self._work_out_trust, daemon=True)
                self._trust_thread.start()
        return self._trust

    def _work_out_trust(self) -> None:
        from healtheat.signals import samples_from
        from healtheat.signals.evidence.trust import trust

        try:
            self._trust = trust(samples_from(self.index))
        except (HealtheatError, ValueError, KeyError, AttributeError) as error:
            self._trust = f"It cannot be computed for this index: {error}"


def _stamp(path: Path) -> tuple[int, int] | None:
    try:
        found = path.stat()
    except OSError:
        return None
    return found.st_mtime_ns, found.st_size
