"""A detector's predictions beside the labels: planted errors are found, nothing is said without reason."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from healtheat.core.boxes import Problem, ProblemCode
from healtheat.core.errors import InputError
from healtheat.findings.flag import find
from healtheat.findings.inputs import Inputs
from healtheat.findings.run import run_signals
from healtheat.signals import SIGNALS, Samples, Scores
from healtheat.signals.agreement import Agreement
from healtheat.signals.detector.predictions import PredictionFolder
from healtheat.signals.geometry import Geometry
from healtheat.signals.label import Label
from tests.signals.detections import CLASS_IDS, Made, made
from tests.signals.synthetic_samples import clusters

KINDS = {"flip": "mislabel", "shift": "bad_box", "drop": "missing_box", "spurious": "background"}


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Made:
    return made(tmp_path_factory.mktemp("agreement") / "labels", rate=0.04)


def asked(folder: Path, samples: Samples) -> Sequence[Scores]:
    """What the signal says of the samples, judged by themselves."""
    joined = given(folder).joined(Agreement(), samples)
    return Agreement().measure(joined, joined)


def given(folder: Path) -> Inputs:
    return Inputs(predictions=PredictionFolder(folder))


@pytest.fixture(scope="module")
def answers(data: Made) -> dict[str, Scores]:
    return {scores.issue: scores for scores in asked(data.folder, data.samples)}


def found(data: Made, issue: str) -> list[dict[str, object]]:
    scores, runs, _ = run_signals(data.samples, [Agreement()], inputs=given(data.folder))
    assert runs["error"].to_pylist() == [None]
    rows = [row for row in find(scores).to_pylist() if row["issue"] == issue]
    return sorted(rows, key=lambda row: -row["score"])


@pytest.mark.parametrize(
    ("kind", "top", "precision", "recall"),
    [
        ("flip", 0.9, 0.7, 0.4),
        ("shift", 1.0, 0.95, 0.85),
        ("drop", 1.0, 0.95, 0.85),
        ("spurious", 0.6, 0.6, 0.9),  # what this detector overlooks looks just the same
    ],
)
def test_planted_errors_are_flagged_at_their_line(
    data: Made, kind: str, top: float, precision: float, recall: float
) -> None:
    rows = found(data, KINDS[kind])
    second = "class_id" if kind == "drop" else "line"
    keys = [(row["image_id"], row[second]) for row in rows]
    hit = np.array([key in data.planted[kind] for key in keys])
    flagged = np.array([row["flagged"] for row in rows])
    assert hit[flagged].mean() >= precision
    assert hit[flagged].sum() >= recall * len(data.planted[kind])
    assert hit[: len(data.planted[kind]) // 4].mean() >= top
    expected = sum(row["score"] for row in rows if row["flagged"])  # type: ignore[misc]
    assert expected == pytest.approx(hit[flagged].sum(), rel=0.4)  # scores are chances
    if kind == "drop":
        assert {row["line"] for row in rows} == {-1} and {row["box_id"] for row in rows} == {-1}
    if kind == "flip":
        assert all(row["suggestion"] not in (-1, row["class_id"]) for row in rows if row["flagged"])


def test_nothing_is_flagged_where_nothing_is_wrong(tmp_path: Path) -> None:
    data = made(tmp_path / "p", rate=0.0, seed=5)
    scores, _, _ = run_signals(data.samples, [Agreement()], inputs=given(data.folder))
    rows = find(scores).to_pylist()
    assert sum(row["flagged"] for row in rows) <= 0.004 * len(data.samples)


def test_an_overlooked_box_says_where_it_is(data: Made, answers: dict[str, Scores]) -> None:
    missing = answers["missing_box"]
    best = int(np.argmax(missing.score))
    assert missing.line[best] == -1 and missing.class_id[best] in CLASS_IDS
    assert 0 < missing.evidence[best]["confidence"] <= 1
    name = f"{missing.image_id[best]:06d}.txt"
    lines = (data.folder / name).read_text(encoding="utf-8").splitlines()
    assert [missing.class_id[best], *missing.place[best]] in [
        [int(line.split()[0]), *map(float, line.split()[1:5])] for line in lines
    ]
    assert "where no box is" in missing.reason[best]


def test_images_without_predictions_are_passed_over_with_the_reason(tmp_path: Path) -> None:
    data = made(tmp_path / "p", without=50)
    for scores in asked(data.folder, data.samples):
        if scores.issue == "missing_box":
            assert scores.image_id.min() >= 50
            continue
        early = data.samples.boxes.image_id < 50
        assert np.isnan(scores.score[early]).all()
        assert set(scores.abstain[early]) == {"no prediction file has the name of this image"}
        assert (~np.isnan(scores.score[~early])).mean() > 0.8


def test_a_detector_that_hardly_finds_a_class_does_not_call_it_spurious(tmp_path: Path) -> None:
    data = made(tmp_path / "p", weak_classes=2, rate=0.02)
    spurious = next(s for s in asked(data.folder, data.samples) if s.issue == "background")
    weak = np.isin(data.samples.boxes.class_id, CLASS_IDS[-2:])
    assert not (spurious.score[weak] >= 0.5).any()
    strong = [
        (image, line)
        for image, line, hit in zip(
            data.samples.boxes.image_id, data.samples.boxes.line, spurious.score >= 0.5, strict=True
        )
        if hit
    ]
    assert len(data.planted["spurious"] & set(strong)) >= 0.5 * len(strong) > 0


def test_a_detector_with_other_classes_swaps_nothing(tmp_path: Path) -> None:
    data = made(tmp_path / "p", foreign=True)
    swapped = next(s for s in asked(data.folder, data.samples) if s.issue == "mislabel")
    assert np.isnan(swapped.score).all() and (swapped.suggestion == -1).all()
    assert sum("its classes are others" in why for why in swapped.abstain) > 0.9 * len(data.samples)


def test_labels_made_by_the_detector_itself_are_not_judged(tmp_path: Path) -> None:
    boxes = [[0.2 + 0.15 * i, 0.5, 0.1, 0.1] for i in range(4)] * 10
    samples = Samples.of(
        [0, 1, 2, 3] * 10, np.ones((40, 2)), xywhn=boxes, image_id=np.repeat(np.arange(10), 4)
    )
    for image in range(10):
        lines = [f"{i} {' '.join(map(str, boxes[i]))} 0.9\n" for i in range(4)]
        (tmp_path / f"{image:06d}.txt").write_text("".join(lines), encoding="utf-8")
    for scores in asked(tmp_path, samples):
        assert np.isnan(scores.score).all() and "which it cannot judge" in scores.abstain[0]


def test_too_few_matches_teach_nothing(tmp_path: Path) -> None:
    data = made(tmp_path / "p", images=2)
    for scores in asked(data.folder, data.samples):
        assert np.isnan(scores.score).all() and "match a prediction" in scores.abstain[0]


def test_a_broken_prediction_line_keeps_its_image_from_being_called_spurious(
    data: Made, tmp_path: Path
) -> None:
    for file in data.folder.iterdir():
        (tmp_path / file.name).write_bytes(file.read_bytes())
    with (tmp_path / "000000.txt").open("a", encoding="utf-8") as out:
        out.write("0 0.5 0.5 nan 0.1 0.9\n3 0.5 0.5 0.1 0.1\n999 0.5 0.5 0.1 0.1 0.5\n")
    by_issue = {s.issue: s for s in asked(tmp_path, data.samples)}
    first = data.samples.boxes.image_id == 0
    spurious = by_issue["background"]
    assert np.isnan(spurious.score[first]).all() and not np.isnan(spurious.score[~first]).all()
    assert all("not complete: 000000.txt:" in why and "and 2 more" in why for why in spurious.abstain[first])
    assert not np.isnan(by_issue["mislabel"].score[first]).all()


def test_an_unreadable_label_line_is_no_missing_box(data: Made) -> None:
    image = int(found(data, "missing_box")[0]["image_id"])  # type: ignore[call-overload]
    path = data.samples.images.path[image]
    problem = Problem(ProblemCode.BAD_LINE, "labels/x.txt", 3, "y is nan, not a finite number", path)
    samples = Samples(**{**vars_of(data.samples), "problems": [problem]})
    missing = next(s for s in asked(data.folder, samples) if s.issue == "missing_box")
    assert image not in missing.image_id


def vars_of(samples: Samples) -> dict[str, object]:
    return {name: getattr(samples, name) for name in Samples.__dataclass_fields__}


def test_scores_are_in_range_and_the_same_again(data: Made, answers: dict[str, Scores]) -> None:
    again = {s.issue: s for s in asked(data.folder, data.samples)}
    assert set(again) == set(Agreement.issues)
    for issue, scores in answers.items():
        judged = scores.score[~np.isnan(scores.score)]
        assert len(judged) and judged.min() >= 0 and judged.max() <= 1
        np.testing.assert_array_equal(scores.score, again[issue].score)
        assert np.isnan(scores.score[[why is not None for why in scores.abstain]]).all()
        assert scores.reason.tolist() == again[issue].reason.tolist()


def test_class_ids_and_prediction_files_stay_as_they_are(data: Made) -> None:
    before = {file: file.read_bytes() for file in data.folder.iterdir()}
    labelled = data.samples.boxes.class_id.copy()
    rows = found(data, "mislabel")
    assert {file: file.read_bytes() for file in data.folder.iterdir()} == before
    np.testing.assert_array_equal(data.samples.boxes.class_id, labelled)
    assert all(row["class_id"] == labelled[row["box_id"]] for row in rows)  # type: ignore[index]


def test_one_finding_for_a_box_that_two_signals_doubt(tmp_path: Path) -> None:
    samples = clusters(classes=4, per_class=30, wrong=[(0, 1), (5, 2)])
    truth = np.arange(120) % 4
    rng = np.random.default_rng(0)
    for image in range(40):
        lines = [
            f"{truth[row]} {' '.join(f'{v:.6f}' for v in box * (1 + rng.normal(0, 0.01, 4)))} 0.9\n"
            for row, box in enumerate(samples.boxes.xywhn)
            if row // 3 == image
        ]
        (tmp_path / f"{image:06d}.txt").write_text("".join(lines), encoding="utf-8")
    scores, runs, _ = run_signals(samples, [Label(), Agreement()], inputs=given(tmp_path))
    assert runs["error"].to_pylist() == [None, None]
    rows = [r for r in find(scores).to_pylist() if r["issue"] == "mislabel"]
    assert [r["box_id"] for r in rows] == list(range(120))
    each = [r for r in scores.to_pylist() if r["box_id"] == 0 and r["issue"] == "mislabel"]
    assert {r["signal"] for r in each} == {"label", "agreement"}
    higher = max(each, key=lambda r: r["score"])
    assert (rows[0]["score"], rows[0]["reason"]) == (higher["score"], higher["reason"])
    assert rows[0]["flagged"] and rows[0]["suggestion"] == 0


def test_without_predictions_nothing_changes(data: Made) -> None:
    assert not [signal for signal in SIGNALS if signal.name == "agreement"]
    assert Inputs().signals() == SIGNALS
    assert Agreement().measure(data.samples, data.samples) == ()
    with_it = given(data.folder).signals()
    assert with_it[:-1] == SIGNALS and with_it[-1].name == "agreement"
    assert given(data.folder).signals(with_it) == with_it


@pytest.mark.filterwarnings("error")
def test_degenerate_samples(tmp_path: Path) -> None:
    (tmp_path / "000000.txt").write_text("", encoding="utf-8")
    for samples in (
        Samples.of([], np.zeros((0, 4))),
        Samples.of([5], [[1.0, 0.0]]),
        Samples.of([], np.zeros((0, 4)), image_path=["images/000000.jpg"]),
        Samples.of([0] * 40, np.ones((40, 2)), image_id=[0] * 40),
    ):
        for scores in asked(tmp_path, samples):
            assert np.isnan(scores.score).all()
    many = "".join(f"0 0.5 0.5 0.2 0.{200 + i} 0.9\n" for i in range(40))
    (tmp_path / "000000.txt").write_text(many, encoding="utf-8")
    one_place = Samples.of([0] * 40, np.ones((40, 2)), image_id=[0] * 40)
    assert asked(tmp_path, one_place)


def test_predictions_that_cannot_be_used_are_bad_input(tmp_path: Path, data: Made) -> None:
    with pytest.raises(InputError, match="no such folder"):
        PredictionFolder(tmp_path / "nowhere")
    with pytest.raises(InputError, match=r"holds no \.txt file"):
        PredictionFolder(tmp_path)
    (tmp_path / "other.txt").write_text("0 0.5 0.5 0.1 0.1 0.5\n", encoding="utf-8")
    with pytest.raises(InputError, match=r"other\.txt for example, and the image images/000000\.jpg"):
        asked(tmp_path, data.samples)
    (tmp_path / "000000.txt").write_text("0 0.5 0.5 0.1 0.1\n", encoding="utf-8")
    with pytest.raises(InputError, match="save_conf=True"):
        asked(tmp_path, data.samples)


def test_an_image_without_label_file_is_not_compared_and_its_predictions_are_not_read(
    data: Made, tmp_path: Path
) -> None:
    status = data.samples.images.status.copy()
    status[0] = "unlabelled"
    samples = replace(data.samples, images=replace(data.samples.images, status=status))
    read = given(data.folder).joined(Agreement(), samples).predicted
    assert read is not None and (read.of[0], read.why[0]) == (None, "the image is unlabelled")
    assert read.of[1] is not None and read.why[1] == ""
    with pytest.raises(ValueError, match=r"Samples\.predicted: 2 images, expected 250"):
        replace(samples, predicted=replace(read, of=read.of[:2]))


def test_where_the_predictions_came_from_is_recorded(data: Made, tmp_path: Path) -> None:
    _, runs, _ = run_signals(data.samples, [Agreement(least_pairs=7)], inputs=given(data.folder))
    settings = json.loads(runs["settings"][0].as_py())
    assert settings == {
        "least_agreement": 0.5,
        "least_found": 0.5,
        "least_pairs": 7,
        "predictions": str(data.folder.absolute()),
    }
    (tmp_path / "other.txt").write_text("0 0.5 0.5 0.1 0.1 0.5\n", encoding="utf-8")
    scores, runs, _ = run_signals(data.samples, [Agreement(), Geometry()], inputs=given(tmp_path))
    assert runs["fault"].to_pylist() == ["input", None] and set(scores["signal"].to_pylist()) == {"geometry"}
    assert "no file belongs to an image" in runs["error"][0].as_py()
