"""What people confirmed becomes a patch; what cannot be told for certain is left alone and said."""

import json
import shutil
from pathlib import Path
from typing import Any

import pytest
from jsonpatch import JsonPatch, JsonPatchTestFailed
from PIL import Image

from healtheat.building.build import build
from healtheat.core.errors import InputError
from healtheat.exporting.patch.changes import Added, Change, Changes, LeftAlone, Unwritten
from healtheat.exporting.patch.write import write_patch
from healtheat.exporting.run import Exported, export
from healtheat.findings.filters import Filters
from healtheat.index import Index, NewVerdict
from healtheat.signals.geometry import Geometry
from healtheat.sources import open_source
from healtheat.sources.outside import outside_allowed
from tests.cleanup.small_yolo import NAMES, decide_some, make_index, tree
from tests.exporting.patch.test_unified import applied, tools
from tests.index.small_set import FakeEncoder, write_set
from tests.made_index import MadeIndex


@pytest.fixture
def index(tmp_path: Path) -> MadeIndex:
    made = make_index(tmp_path)
    decide_some(made)
    return made


def patched(index: MadeIndex, to: Path, filters: Filters | None = None) -> Exported:
    before = tree(index.root)
    done = export(index, to, "patch", filters=filters)
    assert tree(index.root) == before, "the data set is only read"
    assert done.changes is not None and done.files == ((to,) if done.changes.files else ())
    return done


def left(done: Exported) -> list[LeftAlone]:
    assert done.changes is not None
    return list(done.changes.left_alone)


def test_relabelled_and_dropped_lines_and_nothing_else(index: MadeIndex, tmp_path: Path) -> None:
    done = patched(index, tmp_path / "fixes.patch")
    assert done.changes is not None
    assert (done.changes.relabelled, done.changes.dropped) == (1, 3)
    assert left(done) == [LeftAlone("images/val/a.jpg", "labels/val/a.txt", -1, Unwritten.WHOLE_IMAGE)]
    before = tree(index.root)
    patch = (tmp_path / "fixes.patch").read_bytes()
    for tool in tools():
        applied(tool, index.root, patch)
        (index.root / "the.patch").unlink()
        assert (index.root / "labels/train/a.txt").read_bytes() == (
            b"3 0.1 0.5 0.25 0.125\r\n3 0.3 0.5 0.25 0.125"  # box 1 dropped, box 2 from 40 to 3
        )
        assert (index.root / "labels/train/deep/a.txt").read_bytes() == b"3 0.5 0.5 0.25 0.125\n"
        assert (index.root / "labels/train/가 나.txt").read_bytes() == (
            b"7 0.1 0.5 0.25 0.125\n7 0.3 0.5 0.25 0.125\n"  # the line that is no box
        )
        changed = {name for name, sha256 in tree(index.root).items() if before[name] != sha256}
        assert changed == {"labels/train/a.txt", "labels/train/deep/a.txt", "labels/train/가 나.txt"}
        applied(tool, index.root, patch, back=True)
        (index.root / "the.patch").unlink()
        assert tree(index.root) == before


def test_who_reads_the_patch_sees_names(index: MadeIndex, tmp_path: Path) -> None:
    patched(index, tmp_path / "fixes.patch")
    text = (tmp_path / "fixes.patch").read_text(encoding="utf-8")
    assert "\n# labels/train/a.txt:3: 40 advil: gel -> 3 타이레놀 (mislabel, 김)\n" in text
    assert "\n# labels/train/가 나.txt:2: no box dropped (unreadable, 이)\n" in text


def test_filters_narrow_it(index: MadeIndex, tmp_path: Path) -> None:
    done = patched(index, tmp_path / "one.patch", Filters(verdicts="relabel"))
    assert done.changes is not None and (done.changes.relabelled, done.changes.dropped) == (1, 0)
    done = patched(index, tmp_path / "two.patch", Filters(issues="outlier", statuses="confirmed"))
    assert done.changes is not None and list(done.changes.files) == ["labels/train/deep/a.txt"]
    for odd in (Filters(verdicts="ok"), Filters(statuses="flagged")):
        with pytest.raises(InputError, match="holds what people confirmed"):
            export(index, tmp_path / "three.patch", filters=odd)


def test_nothing_confirmed_is_no_patch(tmp_path: Path) -> None:
    done = patched(make_index(tmp_path), tmp_path / "fixes.patch")
    assert done.changes is not None and not done.changes.files and not done.changes.left_alone
    assert not done.written and not done.files
    assert not (tmp_path / "fixes.patch").exists(), "git refuses a patch without a change"


def test_verdicts_that_no_line_can_take(index: MadeIndex, tmp_path: Path) -> None:
    def decide(box_id: int, to: int | None, issue: str) -> None:
        verdict = "drop" if to is None else "relabel"
        index.judging.append(NewVerdict(box_id=box_id, issue=issue, verdict=verdict, relabel_to=to, who="a"))

    decide(2, 99, "mislabel")  # no such class
    decide(3, 3, "mislabel")  # has it already
    patched_files = patched(index, tmp_path / "fixes.patch")
    assert {(str(one), one.why) for one in left(patched_files)} == {
        ("labels/train/a.txt:3", Unwritten.UNKNOWN_CLASS),
        ("labels/train/deep/a.txt:1", Unwritten.SAME_CLASS),
        ("labels/val/a.txt", Unwritten.WHOLE_IMAGE),
    }


def test_verdicts_that_contradict_each_other(tmp_path: Path) -> None:
    labels = {"images/a.jpg": ["3 0.1 0.5 0.25 0.125", "3 0.5 0.5 0.25 0.125"]}
    findings = [
        {"image": "images/a.jpg", "line": line, "issue": issue, "score": 0.9}
        for line in (0, 1)
        for issue in ("mislabel", "background")
    ]
    index = MadeIndex(
        tmp_path / "index", names=NAMES, root=tmp_path / "data", labels=labels, findings=findings
    )
    for box_id, second in ((0, "drop"), (1, "relabel")):
        index.judging.append(
            NewVerdict(box_id=box_id, issue="mislabel", verdict="relabel", relabel_to=7, who="a")
        )
        to = 7 if second == "relabel" else None
        index.judging.append(
            NewVerdict(box_id=box_id, issue="background", verdict=second, relabel_to=to, who="b")
        )
    done = patched(index, tmp_path / "fixes.patch")
    assert [(one.line, one.why) for one in left(done)] == [(0, Unwritten.CONTRADICTION)]
    assert done.changes is not None and done.changes.relabelled == 1
    assert not left(patched(index, tmp_path / "only.patch", Filters(verdicts="drop")))


def test_lines_that_changed_are_left_alone(index: MadeIndex, tmp_path: Path) -> None:
    file = index.root / "labels/train/a.txt"
    lines = file.read_bytes().splitlines(keepends=True)
    # one line taken out before both, one added after: box 2 is found again, box 1 was moved by hand
    file.write_bytes(lines[1].replace(b"0.2", b"0.21") + lines[2] + b"\n7 0.9 0.9 0.1 0.1\n")
    (index.root / "labels/train/deep/a.txt").unlink()
    with (index.root / "labels/train/가 나.txt").open("ab") as opened:
        opened.write(b"\n")
    done = patched(index, tmp_path / "fixes.patch")
    assert {(str(one), one.why) for one in left(done)} == {
        ("labels/train/a.txt:2", Unwritten.CHANGED),
        ("labels/train/deep/a.txt:2", Unwritten.CHANGED),
        ("labels/train/가 나.txt:2", Unwritten.CHANGED),  # no box: nobody can tell whether it is the same
        ("labels/val/a.txt", Unwritten.WHOLE_IMAGE),
    }
    for tool in tools()[:1]:
        applied(tool, index.root, (tmp_path / "fixes.patch").read_bytes())
    assert file.read_bytes().splitlines()[1:] == [b"3 0.3 0.5 0.25 0.125", b"7 0.9 0.9 0.1 0.1"]


def test_one_of_two_equal_boxes_gone_is_no_reason_to_drop_the_other(tmp_path: Path) -> None:
    labels = {"images/a.jpg": ["3 0.5 0.5 0.25 0.125", "3 0.50 0.50 0.25 0.125"]}
    finding = {"image": "images/a.jpg", "line": 0, "issue": "duplicate", "score": 0.9}
    index = MadeIndex(
        tmp_path / "index", names=NAMES, root=tmp_path / "data", labels=labels, findings=[finding]
    )
    index.judging.append(NewVerdict(box_id=0, issue="duplicate", verdict="drop", who="a"))
    done = patched(index, tmp_path / "both.patch")
    assert done.changes is not None and done.changes.dropped == 1
    (index.root / "labels/a.txt").write_text("3 0.5 0.5 0.25 0.125\n", encoding="utf-8")
    assert [one.why for one in left(patched(index, tmp_path / "one.patch"))] == [Unwritten.CHANGED]


def test_files_elsewhere_are_not_reached(index: MadeIndex, tmp_path: Path) -> None:
    outside = tmp_path / "elsewhere/a.txt"
    outside.parent.mkdir()
    shutil.move(index.root / "labels/train/a.txt", outside)
    (index.root / "labels/train/a.txt").symlink_to(outside)
    shutil.move(index.root / "labels/train/deep", index.root / "labels/real")
    (index.root / "labels/train/deep").symlink_to("../real")
    done = patched(index, tmp_path / "fixes.patch")
    assert {(one.label_file, one.why) for one in left(done) if one.line >= 0} == {
        ("labels/train/a.txt", Unwritten.LINKED),
        ("labels/train/deep/a.txt", Unwritten.LINKED),
    }


def decided(data: Path, folder: Path) -> Index:
    """An index of a real build; every box whose class is 0 is relabelled to 3, every other is dropped."""
    build(open_source(data), folder, encoder=FakeEncoder(), signals=(Geometry(),))
    index = Index.open(folder)
    rows = index.sql("select distinct on (box_id) box_id, class_id, issue from findings where box_id >= 0")
    for row in rows.to_pylist():
        to = 3 if row["class_id"] == 0 else None
        verdict = "drop" if to is None else "relabel"
        about = {"box_id": row["box_id"], "issue": row["issue"], "who": "a"}
        index.judging.append(NewVerdict(**about, verdict=verdict, relabel_to=to))
    return index


def test_a_label_file_outside_the_data_set_is_refused(tmp_path: Path) -> None:
    other = write_set(tmp_path / "other", images=4)
    text = other.read_text(encoding="utf-8").replace("train: train", "train: ../other/train")
    (tmp_path / "data").mkdir()
    data = tmp_path / "data/data.yaml"
    data.write_text(text.replace("val: valid", "val: ../other/valid"), encoding="utf-8")
    with outside_allowed(True), decided(data, tmp_path / "index") as index:
        done = export(index, tmp_path / "fixes.patch")
    assert done.changes is not None and not done.changes.files
    assert [one.why for one in left(done)] == [Unwritten.OUTSIDE] * 12


def test_a_label_file_of_two_images_is_left_alone(tmp_path: Path) -> None:
    data = write_set(tmp_path / "data", images=4)
    for image in (tmp_path / "data/train/images").iterdir():
        shutil.copy(image, image.with_suffix(".bmp"))
    with decided(data, tmp_path / "index") as index:
        done = export(index, tmp_path / "fixes.patch")
    assert done.changes is not None and all(path.startswith("valid/") for path in done.changes.files)
    assert {one.why for one in left(done)} == {Unwritten.SHARED}


def coco(*boxes: tuple[int, int, int, list[float]]) -> dict[str, Any]:
    return {
        "images": [{"id": i, "file_name": f"{i}.png", "width": 64, "height": 48} for i in (1, 2)],
        "annotations": [
            {"id": i, "image_id": image, "category_id": c, "bbox": box, "mine": {"정": [1.50]}}
            for i, image, c, box in boxes
        ],
        "categories": [{"id": 0, "name": "정"}, {"id": 3, "name": "b"}, {"id": 90, "name": "c"}],
    }


@pytest.fixture
def pictures(tmp_path: Path) -> Path:
    root = tmp_path / "coco"
    root.mkdir()
    for n in (1, 2):
        Image.effect_noise((64, 48), 60).convert("RGB").save(root / f"{n}.png")
    return root


BOXES: tuple[tuple[int, int, int, list[float]], ...] = (
    (10, 2, 90, [1, 2, 9.5, 8]),
    (11, 1, 0, [3, 2, 30, 20]),
    (12, 2, 3, [20, 20, 10, 10.25]),
    (13, 1, 0, [30, 4, 10, 30]),
)


def json_patched(content: Any, patch: Path) -> Any:
    return JsonPatch.from_string(patch.read_text(encoding="utf-8")).apply(content)


def test_of_coco_a_json_patch(pictures: Path, tmp_path: Path) -> None:
    content, file = coco(*BOXES), pictures / "labels.json"
    file.write_text(json.dumps(content), encoding="utf-8")
    with decided(file, tmp_path / "index") as index:
        done = export(index, tmp_path / "fixes.json", "patch")
        assert done.changes is not None and (done.changes.relabelled, done.changes.dropped) == (2, 2)
        assert done.changes.emptied == ("2.png",)
        expected = coco(*((i, image, 3, box) for i, image, c, box in BOXES if c == 0))
        assert json_patched(content, tmp_path / "fixes.json") == expected
        assert json.loads(file.read_text(encoding="utf-8")) == content
        # of a file that changed, what stands there still as it was judged
        changed = coco(BOXES[0], (11, 1, 90, [3, 2, 30, 20]), (14, 1, 3, [5, 5, 5, 5]), BOXES[3])
        file.write_text(json.dumps(changed), encoding="utf-8")
        done = export(index, tmp_path / "again.json", "patch")
        assert [one.why for one in left(done)] == [Unwritten.CHANGED] * 2
        patched = json_patched(changed, tmp_path / "again.json")
        assert [(one["id"], one["category_id"]) for one in patched["annotations"]] == [
            (11, 90),
            (14, 3),
            (13, 3),
        ]
        with pytest.raises(JsonPatchTestFailed):  # and it does not apply to another state
            json_patched(coco(*BOXES[::-1]), tmp_path / "again.json")


def test_of_many_coco_files_a_patch_each(pictures: Path, tmp_path: Path) -> None:
    contents = {f"{box[1]}-{n}.json": coco((*box[:1], box[1], *box[2:])) for n, box in enumerate(BOXES)}
    for name, content in contents.items():
        (pictures / name).write_text(json.dumps(content), encoding="utf-8")
    with decided(pictures, tmp_path / "index") as index:
        done = export(index, tmp_path / "fixes", "patch")
        assert {file.name for file in done.files} == {f"{name}.patch.json" for name in contents}
        with pytest.raises(InputError, match="exists already"):
            export(index, tmp_path / "fixes", "patch")
        (tmp_path / "a.file").touch()
        with pytest.raises(InputError, match="give a folder"):
            export(index, tmp_path / "a.file", "patch")
    for name, content in contents.items():
        was = content["annotations"][0]
        expected = [{**was, "category_id": 3}] if was["category_id"] == 0 else []
        assert json_patched(content, tmp_path / "fixes" / f"{name}.patch.json")["annotations"] == expected


ENDINGS = {
    "plain": (b"3 .5 .5 .1 .1\n7 .2 .2 .1 .1\n", b"3 .5 .5 .1 .1\n7 .2 .2 .1 .1\n%s\n%s\n"),
    "crlf": (b"3 .5 .5 .1 .1\r\n", b"3 .5 .5 .1 .1\r\n%s\r\n%s\r\n"),
    "no end": (b"3 .5 .5 .1 .1\r\n7 .2 .2 .1 .1", b"3 .5 .5 .1 .1\r\n7 .2 .2 .1 .1\r\n%s\r\n%s"),
    "one line": (b"3 .5 .5 .1 .1", b"3 .5 .5 .1 .1\n%s\n%s"),
    "blank": (b"\n", b"\n%s\n%s\n"),
    "empty": (b"", b"%s\n%s\n"),
    "none": (None, b"%s\n%s\n"),
}


@pytest.mark.parametrize("name", ENDINGS)
@pytest.mark.parametrize("drop", [False, True])
def test_boxes_that_a_person_added(tmp_path: Path, name: str, drop: bool) -> None:
    """Lines at the end, others byte by byte as they were; taken back, so is the file."""
    before, after = ENDINGS[name]
    lines = [b"7 0.5 0.333333 0.25 0.1", b"3 0.1 0.2 0.05 0.06"]
    expected = after % (*lines,)
    path, files = "labels/가 나.txt", {}
    if drop and before and before.strip():  # and the last line goes
        last = len(before.splitlines()) - 1
        files[path] = (Change(last, 7, None, "background", "a"),)
        rest = b"".join(before.splitlines(keepends=True)[:-1])
        end = b"" if name in ("no end", "one line") else expected[-2:] if name == "crlf" else b"\n"
        between = b"\r\n" if name in ("crlf", "no end") else b"\n"
        expected = rest + between.join(lines) + end
    boxes = (Added(7, (0.5, 1 / 3, 0.25, 0.1), "missing_box", "a"), Added(3, (0.1, 0.2, 0.05, 0.06), "", "a"))
    root = tmp_path / "data"
    given = Changes(
        root, "lines", False, NAMES, files, (), {} if before is None else {path: before}, {path: boxes}
    )
    write_patch(given, tmp_path / "more.patch")
    patch = (tmp_path / "more.patch").read_bytes()
    assert given.new == 2 and b", 2 added in 1 file." in patch and b" 3 \xed" in patch
    for tool in tools():
        (root / "labels").mkdir(parents=True)
        if before is not None:
            (root / path).write_bytes(before)
        applied(tool, root, patch)
        assert (root / path).read_bytes() == expected
        applied(tool, root, patch, back=True)
        there = (root / path).read_bytes() if (root / path).exists() else None
        assert there == before or (name == "empty" and there is None and "patch" in tool[0])
        shutil.rmtree(root)


def test_boxes_are_added_to_lines_only(tmp_path: Path) -> None:
    boxes = (Added(7, (0.5, 0.5, 0.25, 0.1), "missing_box", "a"),)
    with pytest.raises(ValueError, match="lines only"):
        Changes(tmp_path, "annotations", False, NAMES, {}, (), {}, {"a.json": boxes})


def test_what_has_no_label_files_has_no_patch(index: MadeIndex, tmp_path: Path) -> None:
    index.manifest = index.manifest.model_copy(
        update={"source": index.manifest.source.model_copy(update={"edits": "none"})}
    )
    with pytest.raises(InputError, match="no label files"):
        export(index, tmp_path / "fixes.patch")


@pytest.mark.parametrize("verdict", ["drop", "relabel"])
def test_a_verdict_outlives_the_finding_it_was_given_on(tmp_path: Path, verdict: Any) -> None:
    made = MadeIndex(
        tmp_path / "index",
        names=NAMES,
        root=tmp_path / "data",
        labels={"images/a.jpg": ["3 0.1 0.5 0.25 0.125", "3 0.5 0.5 0.25 0.125"]},
        findings=[{"image": "images/a.jpg", "line": 0, "issue": "mislabel", "score": 0.9}],
    )
    to = 7 if verdict == "relabel" else None
    given = NewVerdict(box_id=0, issue="outlier", verdict=verdict, relabel_to=to, who="a")
    made.judging.append(given)
    done = patched(made, tmp_path / "fixes.patch")
    assert done.changes is not None and not left(done)
    assert [(c.line, c.to, c.issue, c.who) for c in done.changes.files["labels/a.txt"]] == [
        (0, to, "outlier", "a")
    ]
    made.judging.append(NewVerdict(box_id=0, issue="mislabel", verdict="ok", who="b"))
    done = patched(made, tmp_path / "none.patch")
    assert done.changes is not None and not done.changes.files


def test_label_files_that_keep_no_box_are_told(tmp_path: Path) -> None:
    box = "3 0.1 0.5 0.25 0.125"
    made = MadeIndex(
        tmp_path / "index",
        names=NAMES,
        root=tmp_path / "data",
        labels={"images/a.jpg": [box], "images/b.jpg": [box, box], "images/c.jpg": [box]},
        raw_labels={"images/a.jpg": f"{box}\r\n  \n".encode()},
        findings=[],
    )
    for box_id, to in ((0, None), (1, None), (3, 7)):
        verdict: Any = "relabel" if to else "drop"
        made.judging.append(
            NewVerdict(box_id=box_id, issue="mislabel", verdict=verdict, relabel_to=to, who="a")
        )
    done = patched(made, tmp_path / "fixes.patch")
    assert done.changes is not None and done.changes.emptied == ("labels/a.txt",)
