"""The same thing twice: boxes, crops, images."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from healtheat.core.boxes import Problem, ProblemCode
from healtheat.signals import Samples
from healtheat.signals.duplicate import Duplicate, hamming
from healtheat.signals.samples import MEASURES
from healtheat.signals.unreadable import ReadProblems
from tests.signals.synthetic_samples import by_itself, unit


@given(st.integers(0, 2**64 - 1), st.integers(0, 2**64 - 1))
def test_hamming(a: int, b: int) -> None:
    found = hamming(np.array([a], np.uint64), np.array([b], np.uint64))
    assert found.tolist() == [(a ^ b).bit_count()]


def test_the_same_pill_boxed_twice() -> None:
    boxes = [[0.3, 0.3, 0.2, 0.2], [0.31, 0.3, 0.2, 0.2], [0.7, 0.7, 0.2, 0.2], [0.3, 0.3, 0.2, 0.2]]
    samples = Samples.of([0, 5, 0, 0], np.eye(4), xywhn=boxes, image_id=[0, 0, 0, 1])
    (answer,) = Duplicate().measure(samples, samples)
    assert (answer.score[:2] > 0.75).all() and answer.score[2:].max() == 0
    assert "labelled class 5" in answer.reason[0]
    assert answer.twin_box_id.tolist() == [1, 0, -1, -1]
    assert answer.evidence[0] == {"box_id": 1, "class_id": 5, "measured": pytest.approx(0.9048, abs=1e-3)}


def crops(**more: object) -> Samples:
    """Boxes 0 and 1 show the same crop on two images, 2 and 3 others."""
    vectors = unit(np.random.default_rng(0).standard_normal((4, 16)))
    vectors[1] = vectors[0]
    measures = np.zeros(4, MEASURES)
    measures["dhash"] = [0b1011 << 20, 0b1010 << 20, 2**63 - 1, 12345678]
    settings: dict[str, object] = {"class_id": [0, 0, 0, 0], "split": ["train"] * 4, **more}
    class_id = settings.pop("class_id")
    return Samples.of(class_id, vectors, measures=measures, **settings)  # type: ignore[arg-type]


def score_of(samples: Samples) -> list[float]:
    (answer,) = Duplicate().measure(samples, samples)
    return answer.score.tolist()


def test_same_crop_matters_most_with_two_classes_and_least_among_copies() -> None:
    contradicting = score_of(crops(class_id=[0, 3, 0, 0]))
    across = score_of(crops(split=["train", "val", "train", "train"]))
    other_source = score_of(crops())
    copies = score_of(crops(group_key=["a", "a", "b", "c"]))
    assert contradicting[0] > 0.5 > across[0] > other_source[0] > copies[0] > 0
    for found in (contradicting, across, other_source, copies):
        assert found[0] == found[1] and found[2:] == [0, 0]


def test_equal_vectors_with_other_hashes_are_two_crops() -> None:
    samples = crops()
    samples.measures["dhash"][1] = 2**64 - 1
    assert score_of(samples) == [0, 0, 0, 0]


def test_the_same_image_twice() -> None:
    samples = crops(split=["train", "val", "train", "train"])
    sha = samples.images.sha256.copy()
    sha[:] = ["x", "x", "y", ""]
    samples = replace(samples, images=replace(samples.images, sha256=sha))
    _, images = Duplicate().measure(samples, samples)
    assert images.image_id.tolist() == [1] and images.box_id.tolist() == [-1]
    assert "is the same file as images/000000.jpg, in split train" in images.reason[0]


def test_images_that_look_the_same() -> None:
    base = 0xF0F0F0F0F0F0F0F0
    dhash = np.array([base, base ^ 1, 0, 0, 0x123456789ABCDEF], np.uint64)  # empty hashes say nothing
    samples = Samples.of(range(5), np.eye(5), image_dhash=dhash)
    _, images = Duplicate().measure(samples, samples)
    assert images.image_id.tolist() == [1]
    assert "looks the same as images/000000.jpg" in images.reason[0]


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
