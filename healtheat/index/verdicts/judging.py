"""The verdicts of an open index: written to the log, shown as a table of the catalog."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import cached_property
from threading import Lock

from healtheat.core.boxes import Boxes, Images
from healtheat.index.catalog import Catalog
from healtheat.index.verdicts.log import NewVerdict, Verdict, VerdictLog
from healtheat.index.verdicts.spots import FOUND, SPOTS_SCHEMA, Spots
from healtheat.index.verdicts.table import CURRENT_VERDICTS, VERDICTS_SCHEMA, Targets, verdict_table


class Judging:
    """Keeps log and table together; safe to use from several threads."""

    def __init__(
        self,
        log: VerdictLog,
        catalog: Catalog,
        boxes: Callable[[], Boxes],
        images: Callable[[], Images],
    ) -> None:
        """`boxes` and `images` give those of the index; they are asked once there is a verdict."""
        self._log = log
        self._catalog = catalog
        self._get_boxes = boxes
        self._get_images = images
        self._lock = Lock()
        self._spots: Spots | None = None
        self._shown = 0  # lines of the log that are in the table

    @staticmethod
    def create_tables(catalog: Catalog) -> None:
        """Empty tables `verdicts` and `spots`, and the view on the first."""
        catalog.create_table("verdicts", VERDICTS_SCHEMA)
        catalog.create_table("spots", SPOTS_SCHEMA)
        catalog.create_view("current_verdicts", CURRENT_VERDICTS)

    @property
    def lines(self) -> int:
        """Lines of the log that were read so far, undos included."""
        return len(self._log.verdicts)

    def verdict(self, seq: int) -> Verdict:
        """Line `seq` of the log, counted from 1. Raises IndexError for one that was not read."""
        if seq < 1:
            raise IndexError(seq)
        return self._log.verdicts[seq - 1]

    @property
    def torn(self) -> bool:
        """Whether the log ends in a line that was never finished."""
        return bool(self._log.torn)

    def refresh(self) -> None:
        """Read what others appended."""
        with self._lock:
            self._log.refresh()

    def show(self) -> None:
        """Bring the table up to date with what was read of the log; cheap where it is."""
        if self._shown == self.lines:
            return
        targets = self._targets
        spots = self.spots()
        with self._lock:
            new = self._log.verdicts[self._shown :]
            if not new:
                return
            self._catalog.append("verdicts", verdict_table(new, targets, spots))
            undone = [verdict.undoes for verdict in new if verdict.undoes is not None]
            if undone:
                self._catalog.mark("verdicts", "undone", "seq", undone)
            self._shown += len(new)

    def spots(self) -> Spots:
        """Where boxes are missing; from the first call on, table `spots` says which finding is at which."""
        with self._lock:
            if self._spots is None:
                self._spots = Spots(self._catalog.sql(FOUND))
                self._catalog.append("spots", self._spots.table())
            return self._spots

    def append(self, new: NewVerdict) -> Verdict:
        """Write one decision down; it is on the disk when this returns. Raises KeyError for an unknown box or
        image.
        """
        return self.append_all([new])[0]

    def append_all(self, decision: Sequence[NewVerdict]) -> list[Verdict]:
        """Write one decision of one person about several boxes down, a line for each."""
        about = [(new, self._targets.of(new)) for new in decision]
        with self._lock:
            return self._log.append_all(about)

    def undo(self, seq: int, who: str) -> Verdict:
        """Take back one line."""
        return self.undo_all([seq], who)[0]

    def undo_all(self, seqs: Sequence[int], who: str) -> list[Verdict]:
        """Take back several lines at once."""
        with self._lock:
            return self._log.undo_all(seqs, who)

    @cached_property
    def _targets(self) -> Targets:
        return Targets(self._get_boxes(), self._get_images())
