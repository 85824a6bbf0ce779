"""Only what people decided goes, and only if everything is as it was when they decided."""

from pathlib import Path
from typing import Any

import pytest

from healtheat.cleanup import Plan, plan_labels, plan_training
from healtheat.core.errors import InputError
from healtheat.findings.filters import Filters
from healtheat.index import NewVerdict
from tests.cleanup.small_yolo import tree
from tests.made_index import MadeIndex


def lines_of(plan: Plan) -> dict[str, tuple[int, ...]]:
    return {edit.path: edit.drop for edit in plan.edits if edit.kind == "lines"}


def images_out(plan: Plan) -> set[str]:
    return {image.path for image in plan.images if image.left_out}


def test_nothing_is_done_without_a_verdict(index: MadeIndex) -> None:
    plan = plan_labels(index)
    assert (plan.edits, plan.left_out, plan.relabels, images_out(plan)) == ([], [], [], set())


def test_confirmed_drops_and_nothing_else(decided: MadeIndex) -> None:
    before = tree(decided.root)
    plan = plan_labels(decided)
    assert lines_of(plan) == {
        "labels/train/a.txt": (1,),
        "labels/train/deep/a.txt": (1,),
        "labels/train/가 나.txt": (1,),
    }
    assert images_out(plan) == {"images/val/a.jpg"}
    assert [e.path for e in plan.edits if e.kind == "file"] == ["images/val/a.jpg", "labels/val/a.txt"]
    assert [
        (r.image, r.line, r.class_id, r.relabel_to, r.relabel_name, r.decided_by) for r in plan.relabels
    ] == [("images/train/a.jpg", 2, 40, 3, "타이레놀", "김")]
    assert {r.status for r in plan.left_out} == {"confirmed"}
    assert plan.boxes == {3: (4, 4), 7: (2, 4), 40: (1, 2)}
    assert tree(decided.root) == before


def test_flagged_too(decided: MadeIndex) -> None:
    plan = plan_labels(decided, flagged=True)
    # of two boxes that are each other's duplicate, one stays; cleared and relabelled ones stay
    assert lines_of(plan) == {**lines_of(plan_labels(decided)), "labels/val/b.txt": (0,)}
    assert [(h.image, h.line, h.why) for h in plan.held_back] == [
        ("images/val/b.jpg", 1, "its twin is taken out already")
    ]


def test_an_image_is_never_taken_out_by_a_flag_alone(index: MadeIndex) -> None:
    plan = plan_labels(index, flagged=True)
    assert images_out(plan) == set()
    assert ("images/val/a.jpg", -1) in {(h.image, h.line) for h in plan.held_back}


def test_drop_and_relabel_of_one_box_contradict(decided: MadeIndex) -> None:
    decided.judging.append(NewVerdict(box_id=1, issue="mislabel", verdict="relabel", relabel_to=3, who="이"))
    # no finding of that issue is on the box, and the verdict counts all the same: it is the last word
    assert "labels/train/a.txt" not in lines_of(plan_labels(decided))
    assert {(1, 3), (2, 3)} == {(r.line, r.relabel_to) for r in plan_labels(decided).relabels}
    decided.judging.append(NewVerdict(box_id=2, issue="mislabel", verdict="drop", who="이"))
    assert lines_of(plan_labels(decided))["labels/train/a.txt"] == (2,)


def test_a_verdict_outlives_the_finding_it_was_given_on(index: MadeIndex) -> None:
    def decide(issue: str, verdict: Any) -> None:
        index.judging.append(NewVerdict(box_id=1, issue=issue, verdict=verdict, who="이"))

    decide("outlier", "drop")  # no such finding on the box
    plan = plan_labels(index)
    assert lines_of(plan) == {"labels/train/a.txt": (1,)}
    assert [(r.line, r.issue, r.status, r.decided_by) for r in plan.left_out] == [
        (1, "outlier", "confirmed", "이")
    ]
    assert 1 in plan_training(index, drop="boxes").images[0].lines_out
    assert not lines_of(plan_labels(index, Filters(issues=["background"])))
    decide("outlier", "ok")
    assert not lines_of(plan_labels(index))


@pytest.mark.parametrize(("first", "second"), [("outlier", "background"), ("background", "outlier")])
def test_the_last_word_on_a_box_counts_whatever_its_issue(index: MadeIndex, first: str, second: str) -> None:
    """One of the two issues is found on the box, the other is not any more."""
    index.judging.append(NewVerdict(box_id=1, issue=first, verdict="drop", who="이"))
    index.judging.append(NewVerdict(box_id=1, issue=second, verdict="ok", who="김"))
    for copied in (False, True):
        plan = plan_labels(index, flagged=True, copied=copied)
        assert lines_of(plan)["labels/train/a.txt"] == (2,)  # that one is flagged
    index.judging.append(NewVerdict(box_id=1, issue=first, verdict="drop", who="이"))
    assert lines_of(plan_labels(index))["labels/train/a.txt"] == (1,)


def test_filters_narrow_it(decided: MadeIndex) -> None:
    plan = plan_labels(decided, Filters(issues=["background"]))
    assert lines_of(plan) == {"labels/train/a.txt": (1,)}
    assert not images_out(plan) and not plan.relabels


def test_images_instead_of_boxes(decided: MadeIndex) -> None:
    plan = plan_labels(decided, drop="images")
    assert images_out(plan) == {
        "images/train/a.jpg",
        "images/train/deep/a.jpg",
        "images/train/가 나.jpg",
        "images/val/a.jpg",
    }
    assert {edit.kind for edit in plan.edits} == {"file"}


def test_images_left_without_a_box_are_named(index: MadeIndex) -> None:
    index.judging.append(NewVerdict(box_id=8, issue="duplicate", verdict="drop", who="a"))
    assert plan_labels(index).emptied == []
    index.judging.append(NewVerdict(box_id=9, issue="duplicate", verdict="drop", who="a"))
    assert plan_labels(index).emptied == ["images/val/b.jpg"]


def test_changed_labels_stop_it(decided: MadeIndex) -> None:
    (decided.root / "labels/val/b.txt").write_text("7 0.5 0.5 0.1 0.1\n", encoding="utf-8")
    with pytest.raises(InputError, match=r"labels/val/b\.txt changed since the build"):
        plan_labels(decided)


def test_a_line_that_is_not_the_box_stops_it(decided: MadeIndex, monkeypatch: pytest.MonkeyPatch) -> None:
    original = decided.sql

    def moved(query: str, parameters: Any = ()) -> Any:  # an index that speaks of other lines than the file
        return original(query.replace("b.class_id, b.cx", "b.class_id + 1 as class_id, b.cx"), parameters)

    monkeypatch.setattr(decided, "sql", moved)
    with pytest.raises(InputError, match=r"labels/train/a\.txt:2: not the box that was judged"):
        plan_labels(decided)


def test_a_shared_label_file_is_left_alone(tmp_path: Path) -> None:
    index = MadeIndex(
        tmp_path / "index",
        names={3: "a"},
        root=tmp_path / "data",
        labels={"images/a.jpg": ["3 0.5 0.5 0.1 0.1"], "images/a.png": ["3 0.5 0.5 0.1 0.1"]},
        findings=[{"image": "images/a.jpg", "line": 0, "issue": "background"}],
    )
    (index.root / "data.yaml").write_text("path: .\ntrain: images\nnames: {3: a}\n", encoding="utf-8")
    index.judging.append(NewVerdict(box_id=0, issue="background", verdict="drop", who="a"))
    plan = plan_labels(index)
    assert not plan.edits
    assert [h.why for h in plan.held_back] == ["another image has the same label file"]


def test_sources_without_label_files(index: MadeIndex) -> None:
    source = index.manifest.source.model_copy(update={"kind": "detector", "edits": "none"})
    index.manifest = index.manifest.model_copy(update={"source": source})
    with pytest.raises(InputError, match="no label files"):
        plan_labels(index)
