"""The verdicts of an open index: written to the log, shown as a table of the catalog."""

from __future__ import annotations

from collections.abc import Callable
from functools import cached_property
from threading import Lock

import numpy as np
from numpy.typing import NDArray

from healtheat.core.boxes import NO_CLASS, Boxes, Images
from healtheat.index.catalog import Catalog
from healtheat.index.keys import photo_key
from healtheat.index.verdicts.log import Verdict, VerdictLog
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
        self._shown = 0  # lines of the log that are in the table

    @staticmethod
    def create_tables(catalog: Catalog) -> None:
        """Empty table `verdicts` and the view on it."""
        catalog.create_table("verdicts", VERDICTS_SCHEMA)
        catalog.create_view("current_verdicts", CURRENT_VERDICTS)

    @property
    def lines(self) -> int:
        """Lines of the log that were read so far, undos included."""
        return len(self._log.verdicts)

    @property
    def torn(self) -> bool:
        """Whether the log ends in a line that was never finished."""
        return bool(self._log.torn)

    def refresh(self) -> None:
        """Read what others appended."""
        with self._lock:
            self._log.refresh()

    def show(self) -> None:
        """Bring the table up to date. Not done while writing: a person decides faster."""
        if self._shown == self.lines:
            return
        with self._lock:
            new = self._log.verdicts[self._shown :]
            if not new:
                return
            self._catalog.append("verdicts", verdict_table(new, self._targets))
            undone = [verdict.undoes for verdict in new if verdict.undoes is not None]
            if undone:
                self._catalog.mark("verdicts", "undone", "seq", undone)
            self._shown += len(new)

    def append(
        self,
        *,
        issue: str,
        verdict: str,
        who: str,
        box_id: int = -1,
        image_id: int | None = None,
        class_id: int = NO_CLASS,
        relabel_to: int | None = None,
    ) -> Verdict:
        """Write down one decision (see `Index.append_verdict`)."""
        if box_id >= 0:
            row = _row(self._boxes.box_id, box_id, "box")
            image_id, line = int(self._boxes.image_id[row]), int(self._boxes.line[row])
            class_id = int(self._boxes.class_id[row])
            key = self._targets.box_key(row)
            path = str(self._images.path[_row(self._images.image_id, image_id, "image")])
        else:
            line = -1
            row = _row(self._images.image_id, image_id, "image")
            path = str(self._images.path[row])
            key = photo_key(str(self._images.sha256[row]), path, class_id)
        with self._lock:
            return self._log.append(
                box_key=key,
                image=path,
                line=line,
                class_id=class_id,
                issue=issue,
                verdict=verdict,
                who=who,
                relabel_to=relabel_to,
            )

    def undo(self, seq: int, who: str) -> Verdict:
        """Take back one decision."""
        with self._lock:
            return self._log.undo(seq, who)

    @cached_property
    def _boxes(self) -> Boxes:
        return self._get_boxes()

    @cached_property
    def _images(self) -> Images:
        return self._get_images()

    @cached_property
    def _targets(self) -> Targets:
        return Targets(self._boxes, self._images)


def _row(ids: NDArray[np.int64], wanted: int | None, what: str) -> int:
    """Row of `wanted` among ascending `ids`."""
    row = int(np.searchsorted(ids, -1 if wanted is None else wanted))
    if row >= len(ids) or ids[row] != wanted:
        raise KeyError(f"no {what} {wanted}")
    return row
