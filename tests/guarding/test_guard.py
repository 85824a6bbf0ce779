"""The guard: spreads, matched boxes, limits that honest relabelling cannot reach, and the real collapse."""

import math
import random
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from healtheat.core.boxes import Boxes
from healtheat.core.errors import InputError
from healtheat.guarding import judge, shares
from healtheat.guarding.checks import ALONE_LEAD, MAX_GROWTH, MIN_EFFECTIVE_KEPT
from healtheat.guarding.pairs import MAX_BOXES_PER_IMAGE, iou, pair_boxes, pair_images
from healtheat.listing import AIHUB, detect, listing, read_classes
from healtheat.sources.label_set import LabelSet, label_set, read_label_set


def made(class_ids: Sequence[int], per_image: int = 4, names: int = 0, suffix: str = ".jpg") -> LabelSet:
    """Images of `per_image` boxes side by side with these classes."""
    images = []
    for start in range(0, len(class_ids), per_image):
        part = class_ids[start : start + per_image]
        places = [[(i + 0.5) / per_image, 0.5, 0.8 / per_image, 0.5] for i in range(len(part))]
        images.append((f"train/{start:06d}{suffix}", Boxes.of(range(len(part)), part, places)))
    return label_set(images, {c: f"class {c}" for c in range(names)})


def relabelled(labels: LabelSet, class_id: NDArray[np.int64]) -> LabelSet:
    b = labels.boxes
    return LabelSet(
        labels.images, Boxes(b.box_id, b.image_id, b.line, class_id, b.xywhn, b.confidence), labels.names
    )


def honest(labels: LabelSet, rate: float, rng: random.Random, into: Sequence[int] = ()) -> LabelSet:
    """`rate` of the boxes get another class, out of `into` (any by default)."""
    ids = labels.boxes.class_id.copy()
    classes = list(into) or sorted(set(ids.tolist()))
    for row in rng.sample(range(len(ids)), int(rate * len(ids))):
        ids[row] = rng.choice(classes)
    return relabelled(labels, ids)


# --- figures ---


@given(
    st.dictionaries(st.integers(0, 20), st.integers(0, 50), max_size=12),
    st.sets(st.integers(0, 25), max_size=12),
)
def test_shares_against_the_definition(counts: dict[int, int], declared: set[int]) -> None:
    s = shares(counts, declared)
    alive = {c for c, n in counts.items() if n}
    assert s.boxes == sum(counts.values()) and s.alive == len(alive)
    assert set(s.dead) == declared - alive and s.classes == len(alive | declared)
    if alive:
        entropy = sum(-n / s.boxes * math.log(n / s.boxes) for n in counts.values() if n)
        assert s.entropy_nats == pytest.approx(entropy, abs=1e-12)
        assert 1 - 1e-9 <= s.effective_classes <= len(alive) + 1e-9
        assert 0 <= s.normalised_entropy <= 1 + 1e-9
        assert counts[s.top_class] == max(counts.values())


def test_even_classes_have_full_entropy() -> None:
    s = shares(dict.fromkeys(range(8), 5))
    assert s.normalised_entropy == pytest.approx(1) and s.effective_classes == pytest.approx(8)
    assert shares({}, range(3)).dead == (0, 1, 2)


boxes_xyxy = st.lists(
    st.tuples(*[st.floats(0, 0.7)] * 2, *[st.floats(0.05, 0.3)] * 2).map(
        lambda b: (b[0], b[1], b[0] + b[2], b[1] + b[3])
    ),
    max_size=6,
)


@given(boxes_xyxy, boxes_xyxy)
def test_iou_and_pairs_against_a_slow_loop(a: list[tuple[float, ...]], b: list[tuple[float, ...]]) -> None:
    first, second = np.array(a, np.float64).reshape(-1, 4), np.array(b, np.float64).reshape(-1, 4)
    overlap = iou(first, second)
    for i, p in enumerate(a):
        for j, q in enumerate(b):
            w = max(0.0, min(p[2], q[2]) - max(p[0], q[0]))
            h = max(0.0, min(p[3], q[3]) - max(p[1], q[1]))
            union = (p[2] - p[0]) * (p[3] - p[1]) + (q[2] - q[0]) * (q[3] - q[1]) - w * h
            assert overlap[i, j] == pytest.approx(w * h / union)
    left, right = pair_boxes(first, np.zeros(len(a), np.int64), second, np.zeros(len(b), np.int64))
    assert len(set(left.tolist())) == len(left) and len(set(right.tolist())) == len(right)
    assert (overlap[left, right] >= 0.5).all()
    rest = overlap[np.ix_(np.setdiff1d(np.arange(len(a)), left), np.setdiff1d(np.arange(len(b)), right))]
    assert not (rest >= 0.5).any()  # no pair is left lying


def test_a_pill_boxed_twice_makes_no_flow() -> None:
    box = np.array([[0.1, 0.1, 0.5, 0.5]] * 2)
    left, right = pair_boxes(box, np.array([3, 7]), box, np.array([7, 3]))
    assert sorted(zip(left.tolist(), right.tolist(), strict=True)) == [(0, 1), (1, 0)]


def test_images_are_joined_by_path_then_by_name() -> None:
    assert pair_images(["a/1.jpg", "b/1.jpg", "c/2.png"], ["x/2.txt", "b/1.jpg"]).tolist() == [-1, 1, 0]
    assert pair_images(["a/1.jpg", "b/1.jpg"], ["x/1.jpg"]).tolist() == [-1, -1]  # which of them?
    assert pair_images(["\u1100\u1161.jpg"], ["\uac00.jpg"]).tolist() == [0]


# --- verdicts ---


def test_the_flow_is_counted() -> None:
    now = made([0, 1, 2, 3] * 25, names=4)
    ids = now.boxes.class_id.copy()
    ids[ids == 2] = 3
    ids[0] = 1
    c = judge(relabelled(now, ids), now).comparison
    assert c is not None
    assert [(f.from_class, f.to_class, f.boxes) for f in c.flows] == [(2, 3, 25), (0, 1, 1)]
    assert (c.matched, c.changed, dict(c.dying)) == (100, 26, {2: 25})


def test_everything_into_one_class_is_a_collapse() -> None:
    now = made([i % 10 for i in range(400)], names=10)
    rng = random.Random(0)
    ids = np.array([3 if rng.random() < 0.6 else c for c in now.boxes.class_id], np.int64)
    report = judge(relabelled(now, ids), now)
    assert report.verdict == "collapse"
    assert {check.name for check in report.checks if check.failed} >= {"effective_classes", "growth"}


def test_half_of_the_classes_merged_into_the_other_half_is_a_collapse() -> None:
    now = made([i % 20 for i in range(400)], names=20)
    report = judge(relabelled(now, now.boxes.class_id // 2 * 2), now)
    assert report.verdict == "collapse"
    assert {check.name for check in report.checks if check.failed} == {"effective_classes", "dying_classes"}


@pytest.mark.slow
@settings(deadline=None, max_examples=40)
@given(
    classes=st.integers(1, 60),
    skew=st.floats(0, 2.5),
    boxes=st.integers(20, 1500),
    seed=st.integers(0, 2**32 - 1),
    narrow=st.booleans(),
)
def test_relabelling_three_percent_is_ok_whatever_the_set(
    classes: int, skew: float, boxes: int, seed: int, narrow: bool
) -> None:
    rng = random.Random(seed)
    weights = [(i + 1) ** -skew for i in range(classes)]
    now = made(rng.choices(range(classes), weights, k=boxes), names=classes)
    listed = [Counter(now.boxes.class_id[now.boxes.image_id == i].tolist()) for i in range(len(now.images))]
    into = [rng.randrange(classes)] if narrow else []  # even if all of it goes into one class
    report = judge(honest(now, 0.03, rng, into), now, listed)
    assert report.verdict == "ok", [check for check in report.checks if check.failed]
    assert judge(now, now).verdict == judge(now, now, listed).verdict == "ok"


def test_killing_the_rarest_classes_with_three_percent_of_the_boxes_is_told_but_ok() -> None:
    now = made(
        [c for c in range(10) for _ in range(200)] + [c for c in range(10, 18) for _ in range(7)], names=18
    )
    ids = now.boxes.class_id.copy()
    ids[ids >= 10] = 0
    report = judge(relabelled(now, ids), now)
    assert report.verdict == "ok" and report.comparison is not None and len(report.comparison.dying) == 8


@pytest.mark.parametrize("classes", [2, 10, 100, 1000, 8000])
def test_the_limits_leave_room_for_three_percent(classes: int) -> None:
    # Audenaert 2007, eq. 4: |ΔH| <= t ln(K - 1) + h(t) for total variation t
    t = 0.03
    worst = math.exp(-(t * math.log(classes - 1) - t * math.log(t) - (1 - t) * math.log(1 - t)))
    assert worst > MIN_EFFECTIVE_KEPT and t < MAX_GROWTH


@settings(deadline=None, max_examples=30)
@given(classes=st.integers(4, 80), skew=st.floats(0, 2.0), seed=st.integers(0, 2**32 - 1))
def test_natural_skew_alone_is_no_collapse(classes: int, skew: float, seed: int) -> None:
    rng = random.Random(seed)
    weights = [(i + 1) ** -skew for i in range(classes)]
    counts = Counter(rng.choices(range(classes), weights, k=40 * classes))
    labels = made([c for c, n in counts.items() for _ in range(n)], names=classes)
    assert ALONE_LEAD > 2**2
    assert judge(labels).verdict == "ok"


def test_a_collapse_is_seen_alone() -> None:
    labels = made([0] * 300 + [c for c in range(1, 11) for _ in range(15)], names=40)
    report = judge(labels)
    assert report.verdict == "collapse" and [check.name for check in report.checks] == ["spread"]


def test_too_few_boxes_are_not_judged() -> None:
    report = judge(made([0] * 10, names=50))
    assert report.verdict == "ok" and report.checks == () and "too few" in report.notes[0]
    with pytest.raises(InputError, match="no box"):
        judge(label_set([], {}))


def fewer(labels: LabelSet, keep: int) -> LabelSet:
    """The same images with the first `keep` boxes."""
    b, part = labels.boxes, slice(keep)
    fields = (b.box_id, b.image_id, b.line, b.class_id, b.xywhn, b.confidence)
    return LabelSet(labels.images, Boxes(*(f[part] for f in fields)), labels.names)


@pytest.mark.parametrize("keep", [0, 10, 190])
def test_a_proposal_that_loses_most_boxes_is_a_collapse(keep: int) -> None:
    now = made([i % 10 for i in range(400)], names=10)
    listed = [Counter(now.boxes.class_id[now.boxes.image_id == i].tolist()) for i in range(len(now.images))]
    for expected in (None, listed):
        report = judge(fewer(now, keep), now, expected)
        assert report.verdict == "collapse"
        assert "boxes_kept" in {check.name for check in report.checks if check.failed}
    assert judge(fewer(now, 390), now).verdict == "ok"


def test_a_relabelling_of_every_box_is_a_collapse_without_any_name() -> None:
    now = made([i % 10 for i in range(400)], names=10)
    report = judge(relabelled(now, (now.boxes.class_id + 1) % 10), now)
    assert {check.name for check in report.checks if check.failed} == {"changed"}


def test_one_class_where_names_list_others_is_a_sink() -> None:
    """Half of the boxes go to class 3: agreement passes, the sink does not."""
    now = made([i % 10 for i in range(400)], names=10)
    listed = [Counter(now.boxes.class_id[now.boxes.image_id == i].tolist()) for i in range(len(now.images))]
    ids = now.boxes.class_id.copy()
    ids[np.arange(400) % 40 < 20] = 3
    ids[5] = 4
    report = judge(relabelled(now, ids), None, listed)
    assert report.agreement and report.agreement.sink_class == 3
    assert {check.name for check in report.checks if check.failed} == {"sink"}


def test_many_classes_may_die_only_with_few_boxes() -> None:
    """Four of ten established classes die: a collapse with 8 % of the boxes, none with 4 %."""
    for rare, expected in ((6, "ok"), (12, "collapse")):
        ids = [c for c in range(6) for _ in range(90)] + [c for c in range(6, 10) for _ in range(rare)]
        now = made(ids, names=10)
        gone = np.where(now.boxes.class_id >= 6, now.boxes.class_id - 6, now.boxes.class_id)
        report = judge(relabelled(now, gone), now)
        failed = {check.name for check in report.checks if check.failed}
        assert ("dying_classes" in failed) == (expected == "collapse"), (rare, failed)


def test_class_ids_shifted_by_one_contradict_the_names() -> None:
    now = made([i % 10 for i in range(400)], names=10)
    listed = [Counter(now.boxes.class_id[now.boxes.image_id == i].tolist()) for i in range(len(now.images))]
    shifted = relabelled(now, (now.boxes.class_id + 4) % 10)
    assert judge(shifted, None, listed).verdict == "collapse"
    report = judge(shifted, now, listed)
    assert {check.name for check in report.checks if check.failed} == {
        "agreement",
        "agreement_lost",
        "changed",
    }


def test_only_images_that_both_have_are_compared() -> None:
    now = made([i % 10 for i in range(400)], names=10)
    part = made([i % 10 for i in range(80)], names=10, suffix=".png")  # another suffix, the same images
    report = judge(part, now)
    assert report.verdict == "ok" and report.comparison is not None
    assert (report.comparison.images, report.comparison.current.boxes) == (20, 80)


def test_labels_that_cannot_be_compared_are_bad_input() -> None:
    now = made([0, 1] * 20, names=2)
    other = label_set(
        [(f"other{i}.jpg", Boxes.of([0], [0], [[0.5, 0.5, 0.1, 0.1]])) for i in range(30)], {0: "a"}
    )
    with pytest.raises(InputError, match="no image in common"):
        judge(other, now)
    with pytest.raises(InputError, match="no class id in common"):
        judge(relabelled(now, now.boxes.class_id + 1000), now)


def test_an_image_with_endless_boxes_is_left_out_of_the_flow() -> None:
    n = MAX_BOXES_PER_IMAGE + 1
    crowd = label_set([("a.jpg", Boxes.of(range(n), [0] * n, [[0.5, 0.5, 0.1, 0.1]] * n))], {0: "a"})
    report = judge(crowd, crowd)
    assert report.verdict == "ok" and report.comparison is not None and report.comparison.matched == 0
    assert any("left out of the flow" in line for line in report.notes)


def test_the_report_is_plain_json() -> None:
    import json

    now = made([i % 10 for i in range(400)], names=10)
    report = judge(honest(now, 0.03, random.Random(1)), now, [None] * len(now.images))
    assert json.loads(json.dumps(report.as_dict(), allow_nan=False))["verdict"] == "ok"


# --- real data ---


def test_the_clip_collapse_is_a_collapse(shared: Path) -> None:
    labels = read_label_set(shared / "data" / "clip-collapse" / "pseudo_labels.json")
    what = detect(labels.images, labels.names)
    assert what is not None
    report = judge(labels, None, what.listed)
    assert report.verdict == "collapse"
    assert (report.images, report.proposed.boxes) == (651, 2547)
    assert (report.proposed.top_class, round(report.proposed.top_share, 2)) == (29666, 0.61)
    assert (report.proposed.alive, report.proposed.classes) == (26, 54)
    assert report.agreement is not None and round(report.agreement.share, 3) == 0.072
    assert report.agreement.agreeing == 184 and report.agreement.images_right == 0
    assert report.summary.startswith("61% in one class, 26 of 54 classes alive, 7.2% in agreement")
    assert judge(labels).verdict == "collapse"  # even where the names are not used


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(3))
def test_an_honest_relabelling_of_real_labels_is_ok(shared: Path, seed: int) -> None:
    data = shared / "data"
    rng = random.Random(seed)
    classes = read_classes(data / "aihub-labels" / "classes.csv")
    aihub = read_label_set(data / "aihub-labels" / "labels_raw", names=classes.names)
    pushin = read_label_set(data / "pushin-pill" / "labels")
    listed = listing(aihub.images, aihub.names, AIHUB, classes).listed
    for now, expected in ((aihub, listed), (pushin, None)):
        proposed = honest(now, 0.03, rng)
        assert len(now.boxes) > 1300
        for report in (judge(proposed, now, expected), judge(proposed), judge(now, now, expected)):
            assert report.verdict == "ok", [check for check in report.checks if check.failed]


def test_clip_deciding_the_class_of_real_labels_is_a_collapse(shared: Path) -> None:
    data = shared / "data" / "pushin-pill" / "labels"
    now = read_label_set(data)
    rng = random.Random(0)
    ids = np.array([13 if rng.random() < 0.6 else c for c in now.boxes.class_id.tolist()], np.int64)
    assert judge(relabelled(now, ids), now).verdict == "collapse"


# --- the command ---


def test_the_command_answers_with_its_exit_code(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    import json

    from healtheat.cli import run

    for folder, classes in (("now", range(10)), ("collapsed", [3] * 10)):
        (tmp_path / folder).mkdir()
        for image in range(20):
            lines = [f"{c} {(i + 0.5) / 10} 0.5 0.08 0.5\n" for i, c in enumerate(classes)]
            (tmp_path / folder / f"{image}.txt").write_text("".join(lines), encoding="utf-8")
    now, collapsed = str(tmp_path / "now"), str(tmp_path / "collapsed")
    assert run(["guard", collapsed, "--against", now]) == 1
    assert "verdict: collapse" in capfd.readouterr().out
    assert run(["guard", now, "--against", now, "--format", "json"]) == 0
    assert json.loads(capfd.readouterr().out)["verdict"] == "ok"
    assert run(["guard", now]) == 0
    assert run(["guard", str(tmp_path / "nowhere")]) == 2
    (tmp_path / "bad.json").write_text('{"images": [', encoding="utf-8")
    assert run(["guard", str(tmp_path / "bad.json")]) == 2
    assert "bad.json:1" in capfd.readouterr().err
