"""The same thing twice: boxes, crops, images."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from healtheat.core.boxes import Problem, ProblemCode
from healtheat.core.issues import Silence
from healtheat.signals import Samples, Scores
from healtheat.signals.duplicate import Duplicate, hamming
from healtheat.signals.samples import MEASURES
from healtheat.signals.unreadable import ReadProblems
from tests.signals.photos import Photos, tablet
from tests.signals.synthetic_samples import by_itself, clusters, unit


@given(st.integers(0, 2**64 - 1), st.integers(0, 2**64 - 1))
def test_hamming(a: int, b: int) -> None:
    found = hamming(np.array([a], np.uint64), np.array([b], np.uint64))
    assert found.tolist() == [(a ^ b).bit_count()]


def test_the_same_pill_boxed_twice_is_one_row_that_says_which_to_drop() -> None:
    boxes = [[0.3, 0.3, 0.2, 0.2], [0.31, 0.3, 0.2, 0.2], [0.7, 0.7, 0.2, 0.2], [0.3, 0.3, 0.2, 0.2]]
    samples = Samples.of([0, 5, 0, 0], np.eye(4), xywhn=boxes, image_id=[0, 0, 0, 1])
    (answer,) = by_itself(Duplicate(), samples)
    (row,) = np.flatnonzero(answer.score > 0)
    assert row in (0, 1) and answer.score[row] > 0.9
    assert answer.twin_box_id[row] == 1 - row and (np.delete(answer.twin_box_id, row) == -1).all()
    number, name = [(1, "0"), (2, "5")][1 - row]
    assert f"on the object of box {number}, {name} (IoU 0.90): drop this one" in answer.reason[row]
    assert answer.evidence[row] == {
        "box_id": 1 - row,
        "class_id": [0, 5][1 - row],
        "measured": pytest.approx(0.9048, abs=1e-3),
    }


def test_boxes_that_hardly_overlap_are_not_told_to_be_dropped() -> None:
    boxes = [[0.3, 0.3, 0.2, 0.2], [0.48, 0.3, 0.2, 0.2], [0.7, 0.7, 0.2, 0.2], [0.3, 0.7, 0.2, 0.2]]
    samples = Samples.of([0, 5, 0, 0], np.eye(4), xywhn=boxes, image_id=[0] * 4)
    (answer,) = by_itself(Duplicate(), samples)
    (row,) = np.flatnonzero(answer.score > 0)
    assert answer.score[row] < 0.5
    assert "drop" not in answer.reason[row] and f"overlaps box {2 - row}, " in answer.reason[row]


def test_of_two_boxes_on_one_object_the_worse_label_is_to_go() -> None:
    samples = clusters(classes=3, per_class=20)
    boxes, image_id = samples.boxes.xywhn.copy(), samples.boxes.image_id.copy()
    class_id = samples.boxes.class_id.copy()
    image_id[7], boxes[7] = image_id[0], boxes[0]
    class_id[0] = (class_id[0] + 1) % 3  # the crop is of another class: not the later box is in doubt
    same = replace(samples.boxes, xywhn=boxes, image_id=image_id, class_id=class_id)
    (answer,) = by_itself(Duplicate(), replace(samples, boxes=same))
    assert answer.score[0] > 0.9 and answer.twin_box_id[0] == 7 and answer.score[7] == 0
    assert "its label fits less" in answer.reason[0]


def crops(*, copy: bool = True, gone: bool = False, **more: object) -> Samples:
    """Thirty blank tablets, an image each, whose vectors are all but equal; 0 and 1 are copies if `copy`."""
    n = 30
    pictures: dict[int, Image.Image | None] = {row: tablet(row) for row in range(n)}
    if copy:
        pictures[1] = tablet(0).resize((100, 100), Image.Resampling.LANCZOS)
    if gone:
        pictures[1] = None
    vectors = unit(np.eye(n) * 0.01 + np.ones((n, n)))
    measures = np.zeros(n, MEASURES)
    measures["dhash"] = 0b1011 << 20
    settings: dict[str, object] = {"class_id": [0, 3] + [0] * (n - 2), **more}
    class_id = settings.pop("class_id")
    xywhn = np.tile([0.5, 0.5, 0.9, 0.9], (n, 1))
    samples = Samples.of(class_id, vectors, measures=measures, xywhn=xywhn, **settings)  # type: ignore[arg-type]
    return replace(samples, pixels=Photos(pictures))


def found(samples: Samples) -> tuple[np.ndarray, list[str]]:
    """Scores of the boxes, and what was not asked."""
    answers = Duplicate().measure(samples, samples)
    (boxes,) = (a for a in answers if isinstance(a, Scores) and (a.box_id >= 0).all())
    return boxes.score, [a.why for a in answers if isinstance(a, Silence)]


def test_one_picture_under_two_labels_is_one_row() -> None:
    score, silences = found(crops())
    assert sorted(score[:2].round(1)) == [0, 1] and score[2:].max() < 0.5 and silences == []


def test_the_other_box_of_a_picture_is_named_as_people_see_it() -> None:
    (boxes,) = (a for a in by_itself(Duplicate(), crops()) if isinstance(a, Scores))
    row = int(boxes.score.argmax())
    number, name, image = [(1, "0", "000000"), (2, "3", "000001")][1 - row]
    assert f"the same picture as box {number}, {name}, of images/{image}.jpg" in boxes.reason[row]


def test_look_alikes_under_two_labels_are_no_news() -> None:
    score, silences = found(crops(copy=False))
    assert score.max() < 0.5 and silences == []


def test_copies_with_one_label_are_no_news() -> None:
    samples = crops(class_id=[0] * 30, split=["train", "val"] * 15)
    assert found(samples) == (pytest.approx(np.zeros(30)), [])
    assert isinstance(samples.pixels, Photos) and samples.pixels.asked == 0, "no image was opened"


def test_a_pair_whose_image_is_gone_is_not_judged_and_that_is_said() -> None:
    score, silences = found(crops(gone=True))
    assert score[:2].max() < 0.5
    assert len(silences) == 1 and "an image is gone" in silences[0]


def test_without_images_nothing_is_called_a_copy() -> None:
    score, silences = found(replace(crops(), pixels=None))
    assert score.max() == 0 and "the images are not at hand" in silences[0]


def test_only_the_likeliest_pairs_are_looked_at_and_that_is_said() -> None:
    samples = crops(class_id=[0, 3] * 15)
    answers = Duplicate(most_pairs=5).measure(samples, samples)
    (silence,) = (a for a in answers if isinstance(a, Silence))
    assert "pairs of crops beyond the 5 likeliest" in silence.why


def test_equal_vectors_with_other_hashes_are_no_candidates() -> None:
    samples = crops()
    samples.measures["dhash"] = np.random.default_rng(0).integers(0, 2**63, 30, np.uint64)
    assert found(samples)[0].max() == 0


def image_rows(samples: Samples) -> list[Scores]:
    return [a for a in by_itself(Duplicate(), samples) if (a.box_id < 0).all()]


def test_the_same_image_twice() -> None:
    samples = crops(split=["train", "val"] + ["train", "val", "test"] * 9 + ["test"])
    sha = samples.images.sha256.copy()
    sha[:2] = "x"
    samples = replace(samples, images=replace(samples.images, sha256=sha))
    (images,) = image_rows(samples)
    assert images.image_id.tolist() == [1] and images.score.tolist() == [1]
    assert "is the same file as images/000000.jpg, in split train" in images.reason[0]


def test_most_of_a_split_copied_from_another_is_one_row() -> None:
    samples = crops(split=["train", "val"] * 15)
    sha = np.array([f"photo {row // 2}" for row in range(30)], object)
    (images,) = image_rows(replace(samples, images=replace(samples.images, sha256=sha)))
    assert images.image_id.tolist() == [-1] and images.raw.tolist() == [15]
    assert "15 images of split val are copies of images of split train" in images.reason[0]


def test_images_that_look_the_same_are_the_same_only_by_their_pixels() -> None:
    base = 0xF0F0F0F0F0F0F0F0
    hashes = np.random.default_rng(0).integers(0, 2**63, 30, np.uint64)
    hashes[:5] = [base, base ^ 1, 0, 0, base ^ 2]  # an empty hash says nothing; 4 is another photo
    samples = replace(crops(class_id=[0] * 30), image_dhash=hashes)
    (images,) = image_rows(samples)
    flagged = images.image_id[images.score > 0.5].tolist()
    assert flagged == [1] and "images/000000.jpg" in images.reason[images.image_id.tolist().index(1)]
    assert image_rows(replace(samples, pixels=None)) == []


@pytest.mark.parametrize(("split", "expected"), [("val", [1]), ("train", [])])
def test_copies_of_one_source_are_a_leak_in_another_split_only(split: str, expected: list[int]) -> None:
    hashes = np.random.default_rng(0).integers(0, 2**63, 30, np.uint64)
    hashes[:2] = 0xF0F0F0F0F0F0F0F0
    source = ["one", "one", *(f"source {row}" for row in range(2, 30))]
    made = crops(class_id=[0] * 30, split=["train", split] + ["train"] * 28, group_key=source)
    rows = image_rows(replace(made, image_dhash=hashes))
    assert [i for r in rows for i in r.image_id[r.score > 0.5].tolist()] == expected
    assert all("in split train" in r.reason[0] for r in rows)


def test_an_image_in_two_splits_is_a_duplicate_and_not_unreadable() -> None:
    problems = [
        Problem(ProblemCode.LEAK, "images/a.jpg", None, "image is in split train too"),
        Problem(ProblemCode.BAD_LINE, "labels/b.txt", 3, "expected 5 numbers, found 4"),
    ]
    samples = Samples.of([0, 1], np.eye(2), problems=problems)
    found = {answer.issue: answer for answer in by_itself(ReadProblems(), samples)}
    assert found["unreadable"].score.tolist() == [1.0] and "labels/b.txt:4" in found["unreadable"].reason[0]
    assert found["duplicate"].score.tolist() == [0.5] and "images/a.jpg" in found["duplicate"].reason[0]


def leaking(leaks: int, *, train: int, val: int) -> list[tuple[int, float]]:
    """(image id, images it is about) of the rows where so many images of train stand in val too."""
    paths = [f"images/{row}.jpg" for row in range(train + val)]
    problems = [Problem(ProblemCode.LEAK, paths[row], None, "a leak", paths[row]) for row in range(leaks)]
    split = ["train"] * train + ["val"] * val
    n = train + val
    samples = Samples.of([0] * n, np.eye(n), image_path=paths, split=split, problems=problems)
    (rows,) = by_itself(ReadProblems(), samples)
    assert rows.issue == "duplicate"
    return list(zip(rows.image_id.tolist(), rows.raw.tolist(), strict=True))


def test_most_of_a_split_in_another_one_is_one_finding_with_a_count() -> None:
    assert leaking(12, train=12, val=0) == [(-1, 12)], "one folder named twice"
    assert leaking(5, train=40, val=3) == [(-1, 5)], "most of val"
    assert leaking(3, train=40, val=5) == [(0, 0.5), (1, 0.5), (2, 0.5)]
    assert leaking(1, train=3, val=0) == [(0, 0.5)]
