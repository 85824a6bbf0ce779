"""A small index with findings of known scores, built for real, and a server for it that can be forked."""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from healtheat.building.build import build
from healtheat.core.boxes import NO_CLASS
from healtheat.core.issues import Silence
from healtheat.signals.base import Scores, Signal
from healtheat.signals.samples import Samples
from healtheat.sources.yolo.source import YoloSource
from tests.index.small_set import NAMES, FakeEncoder, write_set

IMAGES = 20
SILENT = "no tiles & no words"
REASON = 'looks like <b>another</b> & "more"'


class Planned(Signal):
    """Every box is a wrong class with a known score, every fourth a bad box as well; images miss a pill."""

    name = "planned"
    issues = ("mislabel", "bad_box", "missing_box", "unreadable")

    def measure(self, queries: Samples, store: Samples) -> Sequence[Scores | Silence]:
        n = len(queries)
        score = np.round(0.5 + 0.49 * ((np.arange(n) * 7) % n) / n, 2)  # with ties
        bad = np.where(np.arange(n) % 4 == 0, 0.9, 0.0)
        ids = queries.boxes.box_id
        return [
            Silence(self.name, "background", SILENT),
            Scores.of(
                self,
                "mislabel",
                queries,
                raw=score * 3,
                score=score,
                reason=[REASON] * n,
                suggestion=np.where(np.arange(n) % 2 == 0, 3, NO_CLASS),
                evidence=[
                    {"own_neighbours": [int(ids[(r + 3) % n]), 10**9], "p_own": 0.25} for r in range(n)
                ],
            ),
            Scores.of(
                self,
                "bad_box",
                queries,
                raw=bad,
                score=bad,
                reason=["odd"] * n,
                twin_box_id=[int(ids[0])] * n,
                evidence=[{"box_id": int(ids[0])}] * n,
            ),
            Scores.of_images(
                self,
                "missing_box",
                image_id=[0, 0, 1],
                score=[0.9, 0.8, 0.7],
                reason=["missing"] * 3,
                class_id=[7, 12, 12],
            ),
            Scores.of_images(
                self,
                "unreadable",
                image_id=[2, -1],
                score=[1.0, 1.0],
                reason=["line 3 is odd", "a file"],
                line=[2, -1],
                evidence=[{"file": "a.txt"}, {"file": "b.txt"}],
            ),
        ]


def build_planned(folder: Path) -> Path:
    """Writes a dataset into `folder`/자료 and its index into `folder`/색인; returns the index."""
    data = write_set(folder / "자료", images=IMAGES)
    index_path = folder / "색인"
    build(YoloSource(data), index_path, encoder=FakeEncoder(), signals=(Planned(),))
    return index_path


def serve_forked() -> None:
    """For each line `INDEX` on stdin, fork a server and print `PID ADDRESS`. POSIX only."""
    from healtheat.index import Index
    from healtheat.reviewing.serve import address, guard_of, listen, serve
    from healtheat.reviewing.session import Review

    for line in sys.stdin:
        bound = listen("127.0.0.1", 0)
        bound.listen(16)
        guard = guard_of("127.0.0.1", bound.getsockname()[1])
        child = os.fork()
        if child == 0:
            with Index.open(Path(line.rstrip("\n"))) as index:
                serve(Review(index, "test"), guard, bound)
            os._exit(0)
        bound.close()
        print(child, address("127.0.0.1", guard), flush=True)


if __name__ == "__main__":
    serve_forked()

__all__ = ["IMAGES", "NAMES", "REASON", "Planned", "build_planned"]
