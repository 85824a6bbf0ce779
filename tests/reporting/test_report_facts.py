"""The facts of the report: problems are counted by their kind, not by their sentence."""

from __future__ import annotations

from pathlib import Path

from healtheat.building.build import build
from healtheat.core.boxes import ProblemCode
from healtheat.index import Index
from healtheat.reporting.facts import collect
from healtheat.sources.yolo.source import YoloSource
from tests.index.small_set import FakeEncoder, write_set


def test_problems_of_one_kind_are_one_row_whatever_they_say(tmp_path: Path) -> None:
    data = write_set(tmp_path / "set")
    for name, lines in (("사진 01", "0 nan .5 .1 .1\n0 .5 .5 .1\n"), ("사진 02", "99 .5 .5 .1 .1\nx\n")):
        label = data.parent / "train" / "labels" / f"{name}.txt"
        label.write_bytes(label.read_bytes() + lines.encode())
    build(YoloSource(data), tmp_path / "index", encoder=FakeEncoder(), signals=())
    with Index.open(tmp_path / "index") as index:
        assert len({problem.reason for problem in index.problems()}) == 4
        assert collect(index, title="t").problems == [
            (ProblemCode.BAD_LINE.words, 3),
            (ProblemCode.UNKNOWN_CLASS.words, 1),
        ]
