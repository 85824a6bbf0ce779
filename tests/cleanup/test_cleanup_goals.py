"""One plan, two goals: cleaned labels lose what people decided on, lists to train on what is in doubt."""

from pathlib import Path
from typing import Any

import pytest

from healtheat.cleanup import Plan, apply, inplace, pending, plan_labels, plan_training, write_training
from healtheat.core.drop import Drop
from healtheat.core.errors import InputError
from healtheat.findings.filters import Filters
from healtheat.index import NewVerdict
from tests.cleanup.small_yolo import tree
from tests.made_index import MadeIndex


def lines_out(plan: Plan) -> dict[str, set[int]]:
    return {image.path: set(image.lines_out) for image in plan.images if image.lines_out}


def images_out(plan: Plan) -> dict[str, str]:
    return {image.path: image.left_out for image in plan.images if image.left_out}


def test_the_same_findings_for_both_goals(decided: MadeIndex) -> None:
    labels, training = plan_labels(decided, flagged=True), plan_training(decided)
    same = {
        "images/train/a.jpg": {1},
        "images/train/deep/a.jpg": {1},
        "images/train/가 나.jpg": {1},
        "images/val/b.jpg": {0},
    }
    assert lines_out(labels) == same
    # what a person wants relabelled is left out of training, and stays in cleaned labels
    assert lines_out(training) == {**same, "images/train/a.jpg": {1, 2}}
    assert images_out(labels) == images_out(training) == {"images/val/a.jpg": "missing_box"}
    assert [row.relabel_to for row in labels.relabels] == [3] and training.relabels == []
    rows = {(row.image, row.line, row.left_out) for row in labels.left_out}
    assert rows | {("images/train/a.jpg", 2, "box")} == {
        (row.image, row.line, row.left_out) for row in training.left_out
    }


@pytest.mark.parametrize("verdict", ["drop", "relabel"])
def test_an_image_that_loses_its_last_box_is_in_nothing_to_train_on(tmp_path: Path, verdict: str) -> None:
    lost, other, empty = (f"images/train/{name}.jpg" for name in ("lost", "other", "empty"))
    index = MadeIndex(
        tmp_path / "index",
        names={0: "a", 1: "b"},
        root=tmp_path / "data",
        labels={lost: ["0 0.5 0.5 0.1 0.1", "nonsense"], other: ["0 0.5 0.5 0.1 0.1"], empty: []},
        findings=[{"image": lost, "line": 0, "issue": "mislabel", "score": 0.9}],
        problems=[("labels/train/lost.txt", 1, "1 field")],
    )
    (index.root / "data.yaml").write_text("train: images/train\nnames: [a, b]\n", encoding="utf-8")
    to = {"relabel_to": 1} if verdict == "relabel" else {}
    index.judging.append(NewVerdict(box_id=0, issue="mislabel", verdict=verdict, who="김", **to))
    copied, training = plan_labels(index, copied=True), plan_training(index)
    assert images_out(copied) == images_out(training) == {lost: "no box is left"}
    assert not copied.emptied and not training.emptied
    apply(index, tmp_path / "copy", max_share=1)
    assert (tmp_path / "copy/train.txt").read_text(encoding="utf-8").split() == [f"./{empty}", f"./{other}"]
    assert not list((tmp_path / "copy").rglob("lost.*"))
    write_training(training, tmp_path / "lists")
    assert "lost" not in (tmp_path / "lists/train.txt").read_text(encoding="utf-8")
    in_place = plan_labels(index)
    assert images_out(in_place) == {} and in_place.emptied == ([lost] if verdict == "drop" else [])


@pytest.mark.parametrize("goal", [plan_training, lambda index: plan_labels(index, flagged=True)])
def test_one_of_two_duplicates_stays(goal: object, index: MadeIndex) -> None:
    plan = goal(index)  # type: ignore[operator]
    assert lines_out(plan)["images/val/b.jpg"] == {0}
    twins = [(row.image, row.line) for row in plan.held_back if row.issue == "duplicate"]
    assert twins == [("images/val/b.jpg", 1)]


def test_a_twin_that_goes_for_another_reason_is_not_held_back(tmp_path: Path) -> None:
    image, second = "images/train/a.jpg", "images/train/b.jpg"
    index = MadeIndex(
        tmp_path / "index",
        names={3: "a"},
        root=tmp_path / "data",
        labels={image: [f"3 0.{n} 0.5 0.1 0.1" for n in (1, 2, 3)], second: ["3 0.5 0.5 0.1 0.1"]},
        findings=[
            {"image": image, "line": 0, "issue": "duplicate", "twin_box_id": 1},
            {"image": image, "line": 1, "issue": "duplicate", "twin_box_id": 0},
            {"image": image, "line": 1, "issue": "mislabel", "score": 0.9},
        ],
    )
    (index.root / "data.yaml").write_text("train: images/train\nnames: {3: a}\n", encoding="utf-8")
    for plan in (plan_training(index), plan_labels(index, flagged=True)):
        assert lines_out(plan) == {image: {1}}, "of two boxes on one object the right one stays"
        assert [(row.line, row.why) for row in plan.held_back] == [(0, "its twin is taken out already")]
        assert [(row.line, row.issue, row.also) for row in plan.left_out] == [(1, "mislabel", "duplicate")]


def test_both_of_two_exchanged_boxes_go(tmp_path: Path) -> None:
    image = "images/train/a.jpg"
    index = MadeIndex(
        tmp_path / "index",
        names={3: "a", 4: "b"},
        root=tmp_path / "data",
        labels={image: ["3 0.5 0.5 0.1 0.1", "4 0.2 0.5 0.1 0.1", "4 0.2 0.2 0.1 0.1"]},
        findings=[
            {"image": image, "line": 0, "issue": "mislabel", "twin_box_id": 1},
            {"image": image, "line": 1, "issue": "mislabel", "twin_box_id": 0},
        ],
    )
    (index.root / "data.yaml").write_text("train: images/train\nnames: {3: a, 4: b}\n", encoding="utf-8")
    for plan in (plan_training(index), plan_labels(index, flagged=True)):
        assert lines_out(plan) == {image: {0, 1}}
        assert not plan.held_back


def test_a_duplicate_names_the_box_that_goes(tmp_path: Path) -> None:
    image = "images/train/a.jpg"
    index = MadeIndex(
        tmp_path / "index",
        names={3: "a", 4: "b"},
        root=tmp_path / "data",
        labels={image: ["3 0.5 0.5 0.1 0.1", "4 0.5 0.5 0.1 0.1", "4 0.2 0.2 0.1 0.1"]},
        findings=[{"image": image, "line": 1, "issue": "duplicate", "twin_box_id": 0}],
    )
    (index.root / "data.yaml").write_text("train: images/train\nnames: {3: a, 4: b}\n", encoding="utf-8")
    assert lines_out(plan_training(index)) == {image: {1}}
    assert lines_out(plan_labels(index, flagged=True)) == {image: {1}}


def test_hints_drop_nothing_unless_they_are_named(tmp_path: Path) -> None:
    image = "images/train/a.jpg"
    index = MadeIndex(
        tmp_path / "index",
        names={3: "a"},
        root=tmp_path / "data",
        labels={image: [f"3 0.{n} 0.5 0.1 0.1" for n in (1, 2, 3, 4)]},
        findings=[
            {"image": image, "line": 0, "issue": "outlier", "score": 0.9},
            {"image": image, "line": 1, "issue": "low_quality", "score": 0.9},
            {"image": image, "line": 2, "issue": "mislabel", "score": 0.6},
            {"image": image, "line": 2, "issue": "outlier", "score": 0.9},
        ],
    )
    (index.root / "data.yaml").write_text("train: images/train\nnames: {3: a}\n", encoding="utf-8")

    def plans(**filters: Any) -> list[Plan]:
        chosen = Filters(**filters)
        return [plan_training(index, chosen), plan_labels(index, chosen, flagged=True)]

    for plan in plans():
        assert lines_out(plan) == {image: {2}}
        assert [(row.issue, row.also) for row in plan.left_out] == [("mislabel", "outlier")]
        assert {(row.line, row.why) for row in plan.held_back} == {
            (0, "outlier is a hint, no reason to drop unless its issue is asked for"),
            (1, "low_quality is a hint, no reason to drop unless its issue is asked for"),
        }
    for plan in plans(issues=["outlier"]):
        assert lines_out(plan) == {image: {0, 2}}
    for plan in plans(signals=["made"]):  # a filter that happens to let hints through does not name them
        assert lines_out(plan) == {image: {2}}
    index.judging.append(NewVerdict(box_id=1, issue="low_quality", verdict="drop", who="a"))
    for plan in plans():  # a person's word is no hint
        assert lines_out(plan) == {image: {1, 2}}


def test_only_flagged_images_go_from_training_alone(index: MadeIndex) -> None:
    assert images_out(plan_labels(index, flagged=True)) == {}
    assert images_out(plan_training(index)) == {"images/val/a.jpg": "missing_box"}


def test_the_last_box_of_an_image(decided: MadeIndex) -> None:
    for box in (8, 9):
        decided.judging.append(NewVerdict(box_id=box, issue="duplicate", verdict="drop", who="a"))
    labels, training = plan_labels(decided), plan_training(decided)
    assert labels.emptied == ["images/val/b.jpg"] and "images/val/b.jpg" not in images_out(labels)
    assert images_out(training)["images/val/b.jpg"] == "no box is left" and training.emptied == []


def test_a_label_file_that_two_images_share(tmp_path: Path) -> None:
    index = MadeIndex(
        tmp_path / "index",
        names={3: "a"},
        root=tmp_path / "data",
        labels={
            "images/a.jpg": ["3 0.5 0.5 0.1 0.1", "3 0.2 0.5 0.1 0.1"],
            "images/a.png": ["3 0.5 0.5 0.1 0.1", "3 0.2 0.5 0.1 0.1"],
        },
        findings=[{"image": "images/a.jpg", "line": 0, "issue": "background"}],
    )
    (index.root / "data.yaml").write_text("path: .\ntrain: images\nnames: {3: a}\n", encoding="utf-8")
    labels, training = plan_labels(index, flagged=True), plan_training(index)
    why = "another image has the same label file"
    assert not labels.edits and [row.why for row in labels.held_back] == [why]
    assert not training.edits and images_out(training) == {"images/a.jpg": why}


def test_a_label_file_of_bad_lines_alone_is_no_background(tmp_path: Path) -> None:
    index = MadeIndex(
        tmp_path / "index",
        names={3: "a"},
        root=tmp_path / "data",
        labels={"images/train/a.jpg": ["3 nan 0.5 0.1 0.1"], "images/train/b.jpg": ["3 0.5 0.5 0.1 0.1"]},
        findings=[],
        problems=[("labels/train/a.txt", 0, "x is nan, not a finite number")],
    )
    (index.root / "data.yaml").write_text("train: images/train\nnames: {3: a}\n", encoding="utf-8")
    assert images_out(plan_training(index)) == {"images/train/a.jpg": "no box is left"}
    assert not plan_labels(index).edits


def test_training_lists_name_what_stays_all_the_same(index: MadeIndex, tmp_path: Path) -> None:
    write_training(plan_training(index), tmp_path / "out")
    text = (tmp_path / "out/held_back.csv").read_text(encoding="utf-8")
    assert "images/val/b.jpg,1,3,labels/val/b.txt,duplicate,its twin is taken out already" in text


def test_filters_that_would_leave_out_everything(index: MadeIndex) -> None:
    with pytest.raises(InputError, match="every image"):
        plan_training(index, Filters(flagged_only=False))
    with pytest.raises(InputError, match="confirmed or flagged"):
        plan_training(index, Filters(statuses="cleared"))


RELABELLED = ("images/train/a.jpg", 2)  # its line: 40 0.3 0.5 0.25 0.125


@pytest.mark.parametrize("issue", [None, "background", "missing_box"])
@pytest.mark.parametrize("drop", ["boxes", "images"])
def test_no_copy_trains_on_a_class_that_a_person_called_wrong(
    decided: MadeIndex, tmp_path: Path, issue: str | None, drop: Drop
) -> None:
    """Whatever the filters are: neither the copy of `apply` nor lists to train on hold the box."""
    image, line = RELABELLED
    filters = Filters(issues=issue or ())
    for plan in (
        plan_labels(decided, filters, drop=drop, copied=True),
        plan_training(decided, filters, drop=drop),
    ):
        assert plan.relabelled_out == 1
        if drop == "images":
            assert images_out(plan)[image]
        else:
            assert line in lines_out(plan)[image]
        assert [row.issue for row in plan.left_out if (row.image, row.line) == RELABELLED] == ["mislabel"]
    kept = apply(decided, tmp_path / "copy", filters=filters, drop=drop, max_share=1)
    assert kept.figures is not None and kept.figures.relabelled_out == 1
    assert kept.figures.summary()["relabelled_left_out"] == 1
    left = "".join(f.read_text(encoding="utf-8") for f in sorted((tmp_path / "copy/labels").rglob("*.txt")))
    assert "40 0.3 0.5 0.25 0.125" not in left
    assert "3 0.3 0.5" not in left, "and no class id is written"


def test_in_place_the_box_waits_for_the_person(decided: MadeIndex) -> None:
    image, line = RELABELLED
    plan = plan_labels(decided)
    assert line not in lines_out(plan)[image] and plan.relabelled_out == 0
    assert [row.relabel_to for row in plan.relabels] == [3]


def test_a_relabelled_box_of_a_shared_label_file_costs_its_image(decided: MadeIndex) -> None:
    rows = decided.sql("select image_id, label_path from images").to_pydict()
    shared = dict(zip(rows["image_id"], rows["label_path"], strict=True))[0]
    decided.sql = with_label_of(decided.sql, 3, shared)  # type: ignore[method-assign]
    plan = plan_labels(decided, copied=True)
    assert images_out(plan)["images/train/a.jpg"] == "mislabel"
    assert "images/train/empty.jpg" not in images_out(plan)


def with_label_of(sql: Any, image_id: int, label: str) -> Any:
    """Answers as if another image had the label file too."""

    def asked(query: str, parameters: Any = ()) -> Any:
        found = sql(query, parameters)
        if query.startswith("select * from images"):
            paths = [label if row["image_id"] == image_id else row["label_path"] for row in found.to_pylist()]
            at = found.schema.get_field_index("label_path")
            return found.set_column(at, "label_path", [paths])
        return found

    return asked


@pytest.mark.parametrize(
    ("arguments", "said"), [([], "a copy leaves them out"), (["--to"], "left out: 1 box")]
)
def test_the_command_names_the_patch(
    decided: MadeIndex,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    arguments: list[str],
    said: str,
) -> None:
    from healtheat import api
    from healtheat.cli import run

    own = api.apply
    monkeypatch.setattr(api, "apply", lambda index, **given: own(decided, **given))
    to = [*arguments, str(tmp_path / "copy")] if arguments else []
    assert run(["apply", *to, "--max-share", "1"]) == 0
    shown = capsys.readouterr()
    assert said in shown.out + shown.err
    assert "healtheat export --to fixes.patch --format patch" in shown.out + shown.err


def test_apply_says_what_it_did(decided: MadeIndex, tmp_path: Path) -> None:
    before = tree(decided.root)
    planned = apply(decided)
    assert (planned.done, planned.folder, planned.lists) == ("planned", None, None)
    caches = {"labels/train.cache", "labels/val.cache", "labels/train/deep.cache"}
    assert set(planned.stale_caches) == caches
    assert planned.figures is not None
    assert (planned.figures.lines_removed, planned.figures.images_removed) == (3, 1)
    assert planned.figures.boxes_out == {"background": 1, "outlier": 1, "unreadable": 1}
    assert planned.figures.images_out == {"missing_box": 1}
    copied = apply(decided, str(tmp_path / "copy"), max_share=0.4)
    assert copied.figures is not None and copied.figures.lines_removed == 4  # and the relabelled one
    assert (copied.done, copied.folder, copied.stale_caches) == ("copied", tmp_path / "copy", ())
    assert copied.lists is not None and (copied.lists / "removed.csv").is_file()
    assert tree(decided.root) == before
    with pytest.raises(InputError, match="give one of them"):
        apply(decided, tmp_path / "other", in_place=True)
    changed = apply(decided, in_place=True, max_share=1)
    assert changed.done == "changed" and changed.folder is not None
    assert tree(decided.root) != before


def test_apply_with_nothing_to_take_out(index: MadeIndex) -> None:
    before = tree(index.root)
    done = apply(index, in_place=True)
    assert (done.done, done.folder) == ("nothing", None)
    assert tree(index.root) == before


def test_apply_finishes_what_was_begun(decided: MadeIndex, monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupted(file: Path) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as broken, pytest.raises(KeyboardInterrupt):
        broken.setattr(inplace, "remove", interrupted)  # after some label files were replaced
        apply(decided, in_place=True, max_share=1)
    assert pending(decided.root) is not None
    done = apply(decided, in_place=True)
    assert (done.done, done.figures) == ("finished", None)
    assert pending(decided.root) is None
