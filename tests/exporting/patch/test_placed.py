"""Boxes that people added or moved, as a patch: applied by git and read again, exactly they differ."""

import shutil
import subprocess
import tempfile
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from healtheat.core.verdicts import Place, drawn_place
from healtheat.exporting.patch.changes import Unwritten
from healtheat.exporting.run import Exported, export
from healtheat.findings.filters import Filters
from healtheat.index import NewVerdict
from healtheat.sources.yolo.line import parse_line
from tests.cleanup.small_yolo import tree
from tests.made_index import MadeIndex

NAMES = {3: "타이레놀", 40: "b"}
LINES = ["3 0.2 0.2 0.1 0.1", "40 0.6 0.25 0.125 0.1", "3 0.8 0.8 0.2 0.2"]
sides = st.tuples(st.floats(0, 1), st.floats(0, 1)).map(sorted).filter(lambda s: s[1] - s[0] > 1e-4)
places = st.tuples(sides, sides).map(
    lambda s: drawn_place(
        [(s[0][0] + s[0][1]) / 2, (s[1][0] + s[1][1]) / 2, s[0][1] - s[0][0], s[1][1] - s[1][0]]
    )
)
endings = st.sampled_from(["\n", "\r\n"])


def make(folder: Path, lines: list[str] | None = None, raw: bytes | None = None) -> MadeIndex:
    lines = LINES if lines is None else lines
    box = [
        {"image": "images/가 나.jpg", "line": n, "issue": "bad_box", "score": 0.9} for n in range(len(lines))
    ]
    return MadeIndex(
        folder / "index", names=NAMES, root=folder / "data", labels={"images/가 나.jpg": lines}, findings=box,
        raw_labels=None if raw is None else {"images/가 나.jpg": raw},
    )  # fmt: skip


def added(index: MadeIndex, box: Place, to: int = 3) -> None:
    new = NewVerdict("missing_box", "added", "김", image_id=0, about=box, box=box, relabel_to=to)
    index.judging.append(new)


def moved(index: MadeIndex, box_id: int, box: Place) -> None:
    index.judging.append(NewVerdict("bad_box", "moved", "김", box_id=box_id, box=box))


def patched(index: MadeIndex, **more: Any) -> Exported:
    before = tree(index.root)
    done = export(index, index.path.parent / "fixes.patch", overwrite=True, **more)
    assert tree(index.root) == before, "the data set is only read"
    return done


def git(folder: Path, *options: str) -> None:
    command = ["git", "apply", "--whitespace=nowarn", *options, str(folder.parent / "fixes.patch")]
    subprocess.run(command, cwd=folder, check=True)


@pytest.mark.skipif(not shutil.which("git"), reason="git is not installed")
@settings(max_examples=12, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(box=places, to=st.sampled_from(sorted(NAMES)), other=places, end=endings, last=st.booleans())
def test_what_was_drawn_is_read_again(box: Place, to: int, other: Place, end: str, last: bool) -> None:
    with tempfile.TemporaryDirectory() as name:
        raw = (end.join(LINES) + (end if last else "")).encode()
        index = make(Path(name), raw=raw)
        added(index, box, to)
        moved(index, 1, other)
        done = patched(index)
        assert done.changes is not None and done.changes.moved == 1
        is_there = [one.why for one in done.changes.left_alone]  # it lies on a box of its class
        before = tree(index.root)
        git(index.root)
        content = (index.root / "labels/가 나.txt").read_bytes()
        lines = content.decode().splitlines()
        assert [lines[0], lines[2]] == [LINES[0], LINES[2]]
        read = parse_line(lines[1])
        assert (read.class_id, read.xywhn) == (40, other)
        if is_there:
            assert is_there == [Unwritten.THERE] and len(lines) == 3
        else:
            read = parse_line(lines[3])
            assert (read.class_id, read.xywhn) == (to, box) and len(lines) == 4
        assert content.count(end.encode()) == len(lines) - (not last)
        git(index.root, "-R")
        assert tree(index.root) == before
        index.close()


def test_a_label_file_that_is_gone_is_not_made_again(tmp_path: Path) -> None:
    index = make(tmp_path, [])
    (index.root / "labels/가 나.txt").unlink()
    added(index, (0.5, 0.5, 0.2, 0.2))
    done = patched(index)
    assert done.changes is not None
    assert [one.why for one in done.changes.left_alone] == [Unwritten.CHANGED]


def test_who_reads_the_patch_sees_what_changes(tmp_path: Path) -> None:
    index = make(tmp_path)
    added(index, (0.5, 0.5, 0.2, 0.2), 40)
    moved(index, 0, (0.2, 0.25, 0.1, 0.1))
    patched(index)
    text = (tmp_path / "fixes.patch").read_text(encoding="utf-8")
    assert "# healtheat: 0 relabelled, 0 dropped, 1 moved, 1 added in 1 file.\n" in text
    assert "# labels/가 나.txt:1: 3 타이레놀 moved to 0.2 0.25 0.1 0.1 (bad_box, 김)\n" in text
    assert "# labels/가 나.txt: 40 b added (missing_box, 김)\n" in text
    assert "\n-3 0.2 0.2 0.1 0.1\n+3 0.2 0.25 0.1 0.1\n" in text


def test_filters_choose_among_them(tmp_path: Path) -> None:
    index = make(tmp_path)
    added(index, (0.5, 0.5, 0.2, 0.2), 40)
    moved(index, 0, (0.2, 0.25, 0.1, 0.1))
    only = patched(index, filters=Filters(verdicts="added")).changes
    assert only is not None and (only.new, only.moved) == (1, 0)
    only = patched(index, filters=Filters(verdicts="moved")).changes
    assert only is not None and (only.new, only.moved) == (0, 1)


def test_what_is_left_alone(tmp_path: Path) -> None:
    index = make(tmp_path)
    added(index, (0.5, 0.5, 0.2, 0.2), 99)
    added(index, (0.2, 0.8, 0.2, 0.2), 3)
    moved(index, 0, (0.2, 0.25, 0.1, 0.1))
    index.judging.append(NewVerdict("mislabel", "drop", "이", box_id=0))
    file = index.root / "labels/가 나.txt"
    file.write_bytes(file.read_bytes() + b"3 0.21 0.8 0.2 0.2\n")  # somebody drew it since
    done = patched(index)
    assert done.changes is not None and not done.changes.files and not done.changes.added
    assert sorted(one.why for one in done.changes.left_alone) == sorted(
        [Unwritten.CONTRADICTION, Unwritten.UNKNOWN_CLASS, Unwritten.THERE]
    )
    index.manifest = index.manifest.model_copy(update={"settings": {"task": "obb"}})
    done = patched(index)
    assert done.changes is not None
    assert [one.why for one in done.changes.left_alone].count(Unwritten.OTHER_TASK) == 1


def test_of_coco_they_are_left_to_the_hand_offs(tmp_path: Path) -> None:
    index = make(tmp_path)
    added(index, (0.5, 0.5, 0.2, 0.2))
    moved(index, 0, (0.2, 0.25, 0.1, 0.1))
    source = index.manifest.source.model_copy(update={"edits": "annotations"})
    index.manifest = index.manifest.model_copy(update={"source": source})
    done = export(index, tmp_path / "fixes.json", "patch")
    assert done.changes is not None and not done.written
    assert [one.why for one in done.changes.left_alone] == [Unwritten.COCO] * 2
