"""A label format that nobody knows but its one entry of `FORMATS`: read, built, queried, exported."""

from __future__ import annotations

import csv
from collections.abc import Iterator
from hashlib import sha256
from pathlib import Path

import pytest
from PIL import Image

from healtheat.building.build import build
from healtheat.core.boxes import Boxes, Problem, ProblemCode
from healtheat.core.errors import InputError
from healtheat.index import Index
from healtheat.index.target import Places
from healtheat.sources import open as open_module
from healtheat.sources import open_source
from healtheat.sources.base import Edits, LabelFile, LabelFormat, LabelledImage, Record
from tests.index.small_set import FakeEncoder


class CsvSource:
    """`image,class,x,y,w,h`, one line per box, in one file beside the images."""

    kind = "boxes"
    edits: Edits = "none"

    def __init__(self, data: Path) -> None:
        self.data, self.root = data, data.parent
        self.names: dict[int, str] = {}

    def read(self) -> Iterator[Record]:
        content = self.data.read_bytes()
        yield LabelFile(self.data.name, sha256(content).hexdigest(), len(content))
        rows: dict[str, list[tuple[int, list[float]]]] = {}
        lines: dict[str, list[int]] = {}
        for line, fields in enumerate(csv.reader(content.decode().splitlines())):
            if len(fields) != 6:
                yield Problem(ProblemCode.BAD_LINE, self.data.name, line, f"{len(fields)} fields, not 6")
                continue
            self.names.setdefault(int(fields[1]), f"class {fields[1]}")
            rows.setdefault(fields[0], []).append((int(fields[1]), [float(v) for v in fields[2:]]))
            lines.setdefault(fields[0], []).append(line)
        for image in sorted(rows):
            boxes = Boxes.of(lines[image], [c for c, _ in rows[image]], [b for _, b in rows[image]])
            yield LabelledImage(image, self.root / image, "train", "labelled", self.data.name, boxes)


CSV = LabelFormat(
    kind="boxes",
    given="a .boxes file with one line per box",
    recognises=lambda data: data.suffix == ".boxes",
    open=lambda data, options: CsvSource(data),
)


@pytest.fixture
def data(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(open_module, "FORMATS", (*open_module.FORMATS, CSV))
    (tmp_path / "set").mkdir()
    for name in ("a.png", "b.png"):
        Image.new("RGB", (40, 30), "red").save(tmp_path / "set" / name)
    file = tmp_path / "set" / "labels.boxes"
    file.write_text(
        "b.png,7,.5,.5,.2,.2\na.png,9,.5,.5,.2,.2\nbroken\na.png,7,.2,.2,.2,.2\n", encoding="utf-8"
    )
    return file


def test_it_is_built_like_any_other(data: Path, tmp_path: Path) -> None:
    source = open_source(data)
    assert source.kind == "boxes" and open_source(data, kind="boxes").kind == "boxes"
    build(source, tmp_path / "index", encoder=FakeEncoder())
    with Index.open(tmp_path / "index") as index:
        assert index.verify() == []
        assert index.boxes().class_id.tolist() == [9, 7, 7] and index.boxes().line.tolist() == [1, 3, 0]
        assert [(p.code, p.line) for p in index.problems()] == [("bad_line", 2)]
        assert (index.manifest.source.kind, index.manifest.source.edits) == ("boxes", "none")
        assert index.changed_label_files() == []
        places = Places.of(index)
        for taken in (data, data.parent / "new.boxes"):
            with pytest.raises(InputError, match="data set"):
                places.check_file(taken, overwrite=True)
        places.check_file(tmp_path / "new.boxes")


def test_it_is_among_what_can_be_given(data: Path, tmp_path: Path) -> None:
    with pytest.raises(InputError, match="or a \\.boxes file with one line per box"):
        open_source(tmp_path / "none.txt")
    with pytest.raises(InputError, match=r"choose one of auto, yolo, .*coco, .*boxes"):
        open_source(data, kind="boxen")
    with pytest.raises(InputError, match=r"images is only for the kind .*coco.*, not for boxes"):
        open_source(data, images=tmp_path)
