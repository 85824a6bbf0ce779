"""What was to be done, what was done, what else changed: exact, on data sets, labels and indexes."""

import csv
import json
import random
import shutil
from pathlib import Path
from typing import Any

import pytest

import healtheat
from healtheat.comparing.changes import CHANGES_SCHEMA, KINDS
from healtheat.comparing.run import DiffReport, check_gates, diff
from healtheat.comparing.settled import FINDINGS_SCHEMA
from healtheat.core.errors import InputError
from healtheat.index import NewVerdict
from healtheat.sources.label_set import read_label_set
from tests.cleanup.small_yolo import decide_some, make_index, tree
from tests.exporting.patch.test_unified import applied, tools
from tests.made_index import MadeIndex


@pytest.fixture
def index(tmp_path: Path) -> MadeIndex:
    return make_index(tmp_path)


@pytest.fixture
def changed(index: MadeIndex, tmp_path: Path) -> Path:
    """A copy of the data set, to be changed."""
    return Path(shutil.copytree(index.root, tmp_path / "changed"))


def write(root: Path, name: str, *lines: str) -> None:
    (root / f"labels/{name}.txt").write_text("".join(f"{line}\n" for line in lines), encoding="utf-8")


def rows(found: DiffReport, *columns: str) -> list[tuple[Any, ...]]:
    return [tuple(row[name] for name in columns) for row in found.changes.to_pylist()]


def states(found: DiffReport) -> dict[tuple[str, int, str], tuple[str, str]]:
    assert found.findings is not None and found.findings.schema.equals(FINDINGS_SCHEMA)
    return {
        (Path(row["image"]).as_posix(), row["line"], row["issue"]): (row["state"], row["done"])
        for row in found.findings.to_pylist()
    }


def test_nothing_changed(index: MadeIndex, changed: Path) -> None:
    found = diff(index.root / "data.yaml", changed / "data.yaml")
    assert found.counts == dict.fromkeys(KINDS, 0) and found.changes.schema.equals(CHANGES_SCHEMA)
    assert (found.images, found.same, found.only_old, found.only_new) == (6, 10, (), ())
    assert found.findings is None and found.states == {} and found.unasked == 0
    assert len(found.problems) == 1  # the line that is no box


def test_every_kind_of_change(index: MadeIndex, changed: Path) -> None:
    before = tree(index.root)
    write(changed, "train/a", "7 0.2 0.5 0.25 0.125", "3 0.3 0.5 0.25 0.125", "7 0.8 0.5 0.25 0.125")
    write(changed, "train/deep/a", "3 0.55 0.5 0.25 0.125", "3 0.61 0.5 0.25 0.125")
    found = diff(index, changed / "data.yaml")
    assert tree(index.root) == before
    assert found.counts == {"added": 1, "removed": 1, "moved": 2, "relabelled": 2}
    assert rows(found, "kind", "image", "line", "new_line", "class_id", "new_class_id") == [
        ("removed", "images/train/a.jpg", 0, None, 3, None),
        ("relabelled", "images/train/a.jpg", 2, 1, 40, 3),
        ("added", "images/train/a.jpg", None, 2, None, 7),
        ("moved", "images/train/deep/a.jpg", 0, 0, 3, 3),
        ("moved", "images/train/deep/a.jpg", 1, 1, 7, 3),
        ("relabelled", "images/train/deep/a.jpg", 1, 1, 7, 3),
    ]
    assert found.by_class()["40 advil: gel"] == {"relabelled": 1}
    assert found.by_image()["images/train/deep/a.jpg"] == {"moved": 2, "relabelled": 1}
    row = found.changes.to_pylist()[2]
    assert (row["cx"], row["new_cx"], row["iou"], row["new_class_name"]) == (None, 0.8, None, "<script>")


def test_flags_are_settled_by_what_answers_them(index: MadeIndex, changed: Path) -> None:
    write(changed, "train/a", "3 0.1 0.5 0.25 0.125", "40 0.33 0.5 0.25 0.125")  # dropped; only moved
    write(changed, "train/deep/a", "7 0.5 0.5 0.25 0.125", "7 0.6 0.5 0.25 0.125")
    write(changed, "train/가 나", "7 0.1 0.5 0.25 0.125", "7 0.3 0.5 0.25 0.125", "7 0.9 0.9 0.1 0.1")
    write(changed, "val/a", "40 0.5 0.5 0.25 0.125", "3 0.2 0.2 0.1 0.1")
    write(changed, "val/b", "3 0.51 0.5 0.25 0.125")
    found = diff(index, changed / "data.yaml")
    assert states(found) == {
        ("images/train/a.jpg", 1, "background"): ("settled", "removed"),
        ("images/train/a.jpg", 2, "mislabel"): ("open", "moved"),
        ("images/train/deep/a.jpg", 0, "mislabel"): ("settled", "relabelled"),
        ("images/train/가 나.jpg", 1, "unreadable"): ("settled", ""),
        ("images/val/a.jpg", -1, "missing_box"): ("settled", "added"),
        ("images/val/b.jpg", 0, "duplicate"): ("settled", "removed"),
        ("images/val/b.jpg", 1, "duplicate"): ("settled", "twin removed"),
    }
    unasked = [row for row in found.changes.to_pylist() if not row["asked_for"]]
    assert [(row["kind"], row["image"]) for row in unasked] == [
        ("moved", "images/train/a.jpg"),
        ("added", "images/train/가 나.jpg"),
    ]
    assert found.unasked == 2 and found.gates["open"] == 1


def test_nothing_done_is_open(index: MadeIndex, changed: Path) -> None:
    assert {state for state, _ in states(diff(index, changed / "data.yaml")).values()} == {"open"}


def test_verdicts_are_settled_by_what_they_say(index: MadeIndex, changed: Path) -> None:
    decide_some(index)  # drop box 1, relabel box 2 to 3, clear box 3, drop box 4
    write(changed, "train/a", "3 0.1 0.5 0.25 0.125", "3 0.2 0.5 0.25 0.125", "3 0.3 0.5 0.25 0.125")
    found = states(diff(index, changed / "data.yaml"))
    assert found["images/train/a.jpg", 1, "background"] == ("otherwise", "relabelled")
    assert found["images/train/a.jpg", 2, "mislabel"] == ("settled", "relabelled")
    assert found["images/train/deep/a.jpg", 1, "outlier"] == ("open", "")
    gates = diff(index, changed / "data.yaml").gates
    assert (gates["undone"], gates["otherwise"]) == (3, 1)  # box 4, the bad line, the missing box
    assert ("images/train/deep/a.jpg", 0, "mislabel") not in found  # cleared
    write(changed, "train/a", "3 0.1 0.5 0.25 0.125", "7 0.3 0.5 0.25 0.125")
    assert states(diff(index, changed / "data.yaml"))["images/train/a.jpg", 2, "mislabel"][0] == "otherwise"


def test_a_verdict_outlives_the_finding_it_was_given_on(index: MadeIndex, changed: Path) -> None:
    index.judging.append(NewVerdict(box_id=0, issue="outlier", verdict="drop", who="a"))
    place = ("images/train/a.jpg", 0, "outlier")
    assert states(diff(index, changed / "data.yaml"))[place] == ("open", "")
    write(changed, "train/a", "7 0.2 0.5 0.25 0.125", "40 0.3 0.5 0.25 0.125")
    found = diff(index, changed / "data.yaml")
    assert states(found)[place] == ("settled", "removed") and found.unasked == 0


@pytest.mark.parametrize(
    ("line", "state"),
    [
        ("3 0.55 0.8 0.2 0.1", ("settled", "moved")),
        ("3 0.56 0.81 0.2 0.1", ("settled", "moved")),  # nearly there
        ("3 0.9 0.2 0.2 0.1", ("otherwise", "removed")),
        ("7 0.55 0.8 0.2 0.1", ("otherwise", "removed")),  # of another class: another object
    ],
)
def test_a_box_may_be_moved_far(index: MadeIndex, changed: Path, line: str, state: tuple[str, str]) -> None:
    """Beyond the overlap by which boxes are matched, its old place is removed and the new one added."""
    place = (0.55, 0.8, 0.2, 0.1)
    index.judging.append(NewVerdict("bad_box", "moved", "김", box_id=0, box=place))
    rest = (index.root / "labels/train/a.txt").read_text(encoding="utf-8").splitlines()[1:]
    write(changed, "train/a", *rest, line)
    found = diff(index, changed / "data.yaml")
    assert states(found)["images/train/a.jpg", 0, "bad_box"] == state
    assert found.unasked == (0 if state[0] == "settled" else 2)


def test_the_patch_settles_what_it_holds(index: MadeIndex, tmp_path: Path) -> None:
    """From verdict to patch to diff: every confirmed box is settled, and nothing else changed."""
    decide_some(index)
    healtheat.export(tmp_path / "fixes.patch", index=index)
    applied(tools()[0], index.root, (tmp_path / "fixes.patch").read_bytes())
    found = diff(index, index.root / "data.yaml")
    of_boxes = [
        row for row in found.findings.to_pylist() if row["status"] == "confirmed" and row["line"] >= 0
    ]  # type: ignore[union-attr]
    assert {row["state"] for row in of_boxes} == {"settled"} and len(of_boxes) == 4
    assert found.counts == {"added": 0, "removed": 2, "moved": 0, "relabelled": 1}
    assert found.unasked == 0


def test_images_that_are_gone_or_new(index: MadeIndex, changed: Path) -> None:
    (changed / "images/val/a.jpg").unlink()
    shutil.copy(changed / "images/val/b.jpg", changed / "images/val/c.jpg")
    found = diff(index, changed / "data.yaml")
    assert (found.only_old, found.only_new) == (("images/val/a.jpg",), ("images/val/c.jpg",))
    assert found.counts["removed"] == 0  # no box of an image that is not there counts as removed
    assert states(found)["images/val/a.jpg", -1, "missing_box"] == ("absent", "")
    assert (found.gates["image-added"], found.gates["image-removed"]) == (1, 1)
    for name in ("train", "val"):
        shutil.rmtree(changed / "images" / name)
        (changed / "images" / name).mkdir()
    shutil.copy(index.root / "images/val/b.jpg", changed / "images/val/other.jpg")
    with pytest.raises(InputError, match="no image in common"):
        diff(index, changed / "data.yaml")


def test_two_indexes(index: MadeIndex, tmp_path: Path) -> None:
    """The new index says what is still a finding, and what only it finds."""
    labels = {
        "images/train/a.jpg": ["3 0.1 0.5 0.25 0.125", "7 0.2 0.5 0.25 0.125", "3 0.3 0.5 0.25 0.125"],
        "images/val/a.jpg": ["40 0.5 0.5 0.25 0.125", "3 0.2 0.2 0.1 0.1"],
    }
    findings = [
        {
            "image": "images/train/a.jpg",
            "line": 2,
            "issue": "mislabel",
            "score": 0.9,
        },  # still, after a change
        {"image": "images/train/a.jpg", "line": 0, "issue": "bad_box", "score": 0.9},
        {"image": "images/val/a.jpg", "line": -1, "class_id": 3, "issue": "missing_box", "score": 0.8},
    ]
    new = MadeIndex(
        tmp_path / "again", names=index.names, root=tmp_path / "more", labels=labels, findings=findings
    )
    found = diff(index, new)
    assert found.counts == {"added": 1, "removed": 0, "moved": 0, "relabelled": 1}
    by_state = states(found)
    assert by_state["images/train/a.jpg", 1, "background"] == ("settled", "")  # no longer a finding
    assert by_state["images/train/a.jpg", 2, "mislabel"] == ("open", "relabelled")
    assert by_state["images/val/a.jpg", -1, "missing_box"] == ("open", "added")
    assert by_state["images/train/a.jpg", 0, "bad_box"] == ("new", "")
    assert by_state["images/val/b.jpg", 0, "duplicate"] == ("absent", "")


@pytest.mark.parametrize("seed", range(10))
def test_what_is_new_by_a_slow_list(seed: int, tmp_path: Path) -> None:
    """Labels in another order, some boxes gone or added, flags at random on both sides."""
    draw = random.Random(seed)
    flags: list[dict[str, set[str]]] = [{}, {}]
    indexes = []
    boxes = {f"images/{name}.jpg": [f"3 0.{n}5 0.5 0.05 0.05" for n in range(9)] for name in "abc"}
    for side, own in enumerate(flags):
        labels = {image: draw.sample(lines, draw.randrange(4, 9)) for image, lines in boxes.items()}
        if side:
            labels["images/d.jpg"] = boxes["images/a.jpg"]
        findings = []
        for image, lines in labels.items():
            own[image] = set(draw.sample(lines, 3))
            findings += [
                {"image": image, "line": lines.index(line), "issue": "mislabel", "score": 0.9}
                for line in sorted(own[image])
            ]
        root = tmp_path / str(side)
        indexes.append(
            MadeIndex(root / "index", names={3: "a"}, root=root / "data", labels=labels, findings=findings)
        )
    found = diff(*indexes)
    new = sum(len(own - flags[0].get(image, set())) for image, own in flags[1].items())
    still = sum(len(own & flags[1][image]) for image, own in flags[0].items())
    assert found.knows_new and found.states == {
        "settled": 9 - still, "otherwise": 0, "open": still, "absent": 0, "new": new,
    }  # fmt: skip
    assert [row["image"] for row in found.findings.to_pylist() if row["state"] == "new"].count(  # type: ignore[union-attr]
        "images/d.jpg"
    ) == 3


def test_nobody_knows_what_is_new_without_an_index(index: MadeIndex, changed: Path) -> None:
    found = diff(index, changed / "data.yaml")
    assert not found.knows_new and "new" not in found.states and found.as_dict()["knows_new"] is False
    assert not diff(changed / "data.yaml", index).knows_new
    with pytest.raises(InputError, match="new findings need an index of it; run `healtheat build`"):
        check_gates(found, ["new"])
    assert check_gates(diff(index, index), ["new"]) == {}


def test_a_twin_on_an_image_that_is_gone_settles_nothing(tmp_path: Path) -> None:
    labels = {f"images/{name}.jpg": ["3 0.5 0.5 0.1 0.1"] for name in "ab"}
    findings = [
        {"image": "images/a.jpg", "line": 0, "issue": "duplicate", "twin_box_id": 1},
        {"image": "images/a.jpg", "line": -1, "class_id": 3, "issue": "missing_box"},
        {"image": "images/a.jpg", "line": -1, "class_id": 3, "issue": "missing_box"},
    ]
    old = MadeIndex(tmp_path / "old", names={3: "a"}, root=tmp_path / "1", labels=labels, findings=findings)
    (tmp_path / "1/images/b.jpg").unlink()
    (tmp_path / "1/data.yaml").write_text("train: images\nnames: {3: a}\n", encoding="utf-8")
    assert diff(old, tmp_path / "1/data.yaml").states["open"] == 3
    # of two missing boxes of one class the new index still misses one
    new = MadeIndex(
        tmp_path / "new",
        names={3: "a"},
        root=tmp_path / "2",
        labels={"images/a.jpg": ["3 0.5 0.5 0.1 0.1", "3 0.1 0.1 0.1 0.1"]},
        findings=findings[1:2],
    )
    assert diff(old, new).states == {"settled": 2, "otherwise": 0, "open": 1, "absent": 0, "new": 0}


def test_class_order_changed_by_a_tool(index: MadeIndex, changed: Path) -> None:
    text = (changed / "data.yaml").read_text(encoding="utf-8")
    names = 'names: ["advil: gel", <script>, 타이레놀]\n'
    kept = [line for line in text.splitlines(keepends=True) if not line.startswith("names")]
    (changed / "data.yaml").write_text("".join([*kept, names]), encoding="utf-8")
    to_new = {"3": "2", "7": "1", "40": "0"}
    for file in changed.glob("labels/**/*.txt"):
        lines = [line.split() for line in file.read_text(encoding="utf-8").splitlines()]
        new = [" ".join([to_new[line[0]], *line[1:]]) for line in lines]
        file.write_text("\n".join(new), encoding="utf-8")
    found = diff(index, changed / "data.yaml")
    assert (found.matched_by, found.counts["relabelled"], found.same) == ("name", 0, 10)
    assert "matched by name" in found.notes[0]
    by_id = diff(index, changed / "data.yaml", classes="by-id")
    assert by_id.counts["relabelled"] == 10


@pytest.mark.parametrize("wrong", [{"classes": "by-colour"}, {"tolerance": 1.0}, {"tolerance": -0.1}])
def test_values_that_mean_nothing(index: MadeIndex, wrong: dict[str, Any]) -> None:
    with pytest.raises(InputError):
        diff(index, index.root / "data.yaml", **wrong)
    with pytest.raises(InputError, match="not found"):
        diff(index, index.root / "nothing here")
    with pytest.raises(InputError, match="to compare"):
        diff(index, 3)  # type: ignore[arg-type]


@pytest.mark.parametrize("seed", range(10))
def test_random_changes_of_label_files_are_found_exactly(seed: int, tmp_path: Path) -> None:
    """Labels alone: what a slow list of edits says."""
    draw = random.Random(seed)
    lines = {
        f"{n}.txt": [f"{draw.randrange(4)} 0.{10 + 9 * k} 0.5 0.04 0.04" for k in range(draw.randrange(1, 9))]
        for n in range(12)
    }
    expected = dict.fromkeys(KINDS, 0)
    new: dict[str, list[str]] = {}
    for name, own in lines.items():
        out = []
        for line in own:
            ident, *place = line.split()
            kind = draw.choice((None, None, None, *KINDS))
            if kind:
                expected[kind] += 1
            if kind == "moved":
                place[1] = "0.51"
            if kind == "relabelled":
                ident = str(int(ident) + 1)
            if kind == "added":
                out.append(f"{draw.randrange(4)} {place[0]} 0.9 0.04 0.04")
            if kind != "removed":
                out.append(" ".join([ident, *place]))
        draw.shuffle(out)
        new[name] = out
    for folder, content in (("old", lines), ("new", new)):
        (tmp_path / folder).mkdir()
        for name, own in content.items():
            (tmp_path / folder / name).write_text("\n".join(own), encoding="utf-8")
    assert diff(tmp_path / "old", tmp_path / "new").counts == expected
    back = diff(tmp_path / "new", tmp_path / "old").counts
    assert (back["added"], back["removed"]) == (expected["removed"], expected["added"])


def test_missing_boxes_added_and_classes_changed_on_real_labels(shared: Path, tmp_path: Path) -> None:
    """20 images get the boxes that their names list and that are missing, 5 boxes another class: exact."""
    labels = shared / "data/aihub-labels"
    old, new = labels / "labels_raw", tmp_path / "labels"
    shutil.copytree(old, new)
    report = healtheat.contents(old, classes=labels / "classes.csv")
    missing = [row for row in report.table.to_pylist() if row["issue"] == "missing_box"]
    draw = random.Random(7)
    chosen = set(draw.sample(sorted({row["label_file"] for row in missing}), 20))
    added = sorted(
        (row["label_file"], row["class_id"])
        for row in missing
        for _ in range(row["listed"] - row["found"])
        if row["label_file"] in chosen
    )
    for number, (name, class_id) in enumerate(added):
        file = new / name
        file.chmod(0o644)
        text = file.read_text(encoding="utf-8")
        end = "" if text.endswith("\n") or not text else "\n"
        place = f"0.{100 + number} 0.05 0.06 0.06"
        file.write_text(f"{text}{end}{class_id} {place}\n", encoding="utf-8")
    known = read_label_set(old)
    relabelled = []
    for at in draw.sample(range(len(known.boxes)), 5):
        box = known.boxes[[at]]
        name, line = known.label_paths[int(box.image_id[0])], int(box.line[0])
        was = int(box.class_id[0])
        file = new / name
        file.chmod(0o644)
        content = file.read_bytes().splitlines(keepends=True)
        content[line] = content[line].replace(f"{was} ".encode(), f"{was + 1} ".encode(), 1)
        file.write_bytes(b"".join(content))
        relabelled.append((name, line, was, was + 1))
    found = diff(old, new)
    assert len(added) >= 20
    assert found.counts == {"added": len(added), "removed": 0, "moved": 0, "relabelled": 5}
    assert found.same == len(known.boxes) - 5
    table = found.changes.to_pylist()
    assert sorted((r["image"], r["new_class_id"]) for r in table if r["kind"] == "added") == added
    assert sorted(
        (r["image"], r["line"], r["class_id"], r["new_class_id"]) for r in table if r["kind"] == "relabelled"
    ) == sorted(relabelled)


def test_the_command(
    index: MadeIndex, changed: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    from healtheat.cli import run

    write(changed, "train/a", "7 0.2 0.5 0.25 0.125", "3 0.3 0.5 0.25 0.125", "7 0.8 0.5 0.25 0.125")
    pair = [str(index.root / "data.yaml"), str(changed / "data.yaml")]
    assert run(["diff", *pair]) == 0
    said = capsys.readouterr()
    assert "boxes     8 as they were, 1 added, 1 removed, 0 moved, 1 relabelled\n" in said.out
    assert run(["diff", *pair, "--format", "csv", "--fail-on", "moved"]) == 0
    read = list(csv.DictReader(capsys.readouterr().out.splitlines()))
    assert [row["kind"] for row in read] == ["removed", "relabelled", "added"]
    assert run(["diff", *pair, "--format", "json", "--fail-on", "moved", "--fail-on", "relabelled"]) == 1
    said = capsys.readouterr()
    content = json.loads(said.out)
    assert content["boxes"] == {
        "same": 8,
        "rounded": 0,
        "added": 1,
        "removed": 1,
        "moved": 0,
        "relabelled": 1,
    }
    assert said.err.endswith("gate: 1 relabelled\n")
    for wrong in (["--fail-on", "renamed"], ["--fail-on", "open"], ["--classes", "x"], ["--tolerance", "2"]):
        assert run(["diff", *pair, *wrong]) == 2
    capsys.readouterr()
    for more, says in ((["--format", "csv"], "is no index"), ([], "--format csv")):
        assert run(["diff", *pair, "--list", "findings", *more]) == 2
        said = capsys.readouterr()
        assert says in said.err and not said.out


def test_an_oriented_box_that_was_turned_is_moved(tmp_path: Path) -> None:
    turned = {"old": "0 .5 .4 .6 .5 .5 .6 .4 .5", "new": "0 .45 .4 .6 .55 .55 .6 .4 .45"}
    for name, line in turned.items():
        root = tmp_path / name
        (root / "images/train").mkdir(parents=True)
        (root / "labels/train").mkdir(parents=True)
        (root / "data.yaml").write_text("train: images/train\nnames: [a]\n", encoding="utf-8")
        (root / "images/train/a.jpg").touch()
        write(root, "train/a", line, "0 .1 .1 .2 .1 .2 .2 .1 .2")
    found = diff(tmp_path / "old/data.yaml", tmp_path / "new/data.yaml")
    assert rows(found, "kind", "line", "new_line", "iou") == [("moved", 0, 0, pytest.approx(1.0))]
    assert found.same == 1
