"""Joining, matching and rates of the detector agreement, against slow and obvious loops."""

from __future__ import annotations

import itertools
from pathlib import Path, PurePosixPath

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from scipy.optimize import approx_fprime
from scipy.special import expit, logit

from healtheat.core.errors import InputError
from healtheat.signals.detector import rates
from healtheat.signals.detector.matching import LEAST_INSIDE, LEAST_IOU, SAME_IOU, match, overlap, strongest
from healtheat.signals.detector.predictions import MAX_PREDICTIONS, join, prediction_files, read
from healtheat.sources.yolo.line import BadLine, parse_line

ROOT = Path("predictions")


# --- which file belongs to which image ---


def joined(files: list[str], images: list[str]) -> dict[str, str]:
    found = join(ROOT, [ROOT / file for file in files], images)
    return {
        image: file.relative_to(ROOT).as_posix()
        for image, file in zip(images, found.file, strict=True)
        if file is not None
    }


@pytest.mark.parametrize(
    ("files", "images", "pairs"),
    [
        (["a.txt", "b.txt"], ["images/a.jpg", "c.jpg"], {"images/a.jpg": "a.txt"}),
        (["val/a.txt"], ["train/a.jpg"], {"train/a.jpg": "val/a.txt"}),  # one of that name on either side
        (
            ["train/a.txt", "val/labels/a.txt"],
            ["images/train/a.jpg", "val/images/a.png"],
            {"images/train/a.jpg": "train/a.txt", "val/images/a.png": "val/labels/a.txt"},
        ),
        (["x/train/a.txt", "a.txt", "b.txt"], ["train/a.jpg", "val/a.jpg", "b.jpg"], {"b.jpg": "b.txt"}),
        (["train/a.txt", "a.txt"], ["train/a.jpg", "val/a.jpg"], {"train/a.jpg": "train/a.txt"}),
        (["a.txt", "b.txt"], ["x/a.jpg", "x/a.png", "b.jpg"], {"b.jpg": "b.txt"}),
        (["\u1100\u1161.txt"], ["\uac00.jpg"], {"\uac00.jpg": "\u1100\u1161.txt"}),
        (["a.b.txt"], ["a.b.jpg", "a.jpg"], {"a.b.jpg": "a.b.txt"}),
    ],
)
def test_joining(files: list[str], images: list[str], pairs: dict[str, str]) -> None:
    assert joined(files, images) == pairs


def test_a_name_that_is_not_unique_is_said(tmp_path: Path) -> None:
    found = join(ROOT, [ROOT / "a.txt", ROOT / "b.txt"], ["x/a.jpg", "y/a.jpg", "b.jpg", "c.jpg"])
    assert (
        found.why[0] == "cannot tell which prediction file is of this image: 2 images and 1 file are called a"
    )
    assert found.why[2:] == ("", "no prediction file has the name of this image")
    assert (found.images, found.files, found.left) == (1, 2, 1)
    with pytest.raises(InputError, match="several share their names"):
        join(ROOT, [ROOT / "a.txt"], ["x/a.jpg", "y/a.jpg"])
    with pytest.raises(InputError, match="no name is the same"):
        join(ROOT, [ROOT / "A.txt"], ["x/a.jpg"])


_FOLDERS = st.lists(st.sampled_from(["train", "val", "images", "labels"]), max_size=2)
_PATHS = st.lists(
    st.tuples(_FOLDERS, st.sampled_from("ab")).map(lambda p: "/".join([*p[0], p[1]])), unique=True, max_size=5
)


def slow_pairs(files: list[str], images: list[str]) -> dict[str, str]:
    """Every image with every file."""

    def key(path: str) -> tuple[str, ...]:
        parts = PurePosixPath(path).with_suffix("").parts
        return (*[p for p in parts[:-1] if p not in ("images", "labels")], parts[-1])

    def ends(long: tuple[str, ...], short: tuple[str, ...]) -> bool:
        return long[len(long) - len(short) :] == short

    out = {}
    wants: dict[str, list[str]] = {}
    for image in images:
        same = [f for f in files if key(f)[-1] == key(image)[-1]]
        twins = [p for p in images if key(p)[-1] == key(image)[-1]]
        if len(same) == len(twins) == 1:
            out[image] = same[0]
            continue
        wants[image] = [f for f in same if ends(key(f), key(image)) or ends(key(image), key(f))]
        equal = [f for f in same if key(f) == key(image)]
        if len(equal) == 1 and [key(p) for p in images].count(key(image)) == 1:
            out[image] = equal[0]
    for image, wanted in wants.items():
        claims = sum(wanted[0] in other for other in wants.values()) if wanted else 0
        if image not in out and len(wanted) == claims == 1:
            out[image] = wanted[0]
    return out


@given(_PATHS, _PATHS)
def test_joining_against_every_pair(files: list[str], images: list[str]) -> None:
    files, images = [f"{f}.txt" for f in files], [f"{p}.jpg" for p in images]
    expected = slow_pairs(files, images)
    if not files:
        return
    if images and not expected:
        with pytest.raises(InputError):
            joined(files, images)
    else:
        assert joined(files, images) == expected
        assert len(set(expected.values())) == len(expected)  # no file speaks of two images


# --- reading ---


def test_only_text_files_of_the_folder_are_read(tmp_path: Path) -> None:
    for name in ("b.txt", "a/c.TXT", "a/d.jpg", ".hidden.txt", "e.txt.bak"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text("", encoding="utf-8")
    assert [p.relative_to(tmp_path).as_posix() for p in prediction_files(tmp_path)] == ["a/c.TXT", "b.txt"]


_LINE = st.one_of(
    st.text(max_size=30),
    st.lists(st.sampled_from(["0", "3", "0.5", "1", "nan", "-1", "1e-3", "0.2"]), max_size=8).map(" ".join),
)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(_LINE, max_size=6))
def test_reading_against_one_line_at_a_time(tmp_path: Path, lines: list[str]) -> None:
    file = tmp_path / "p.txt"
    data = "\n".join(lines).encode("utf-8", "surrogatepass")
    file.write_bytes(data)
    said = read(file, tmp_path, {0, 3})
    kept, clean, seen = [], True, set()
    if b"\0" in data or data.startswith((b"\xff\xfe", b"\xfe\xff")):
        assert not len(said.boxes) and said.flaw
        return
    for raw in data.splitlines():
        if not raw.strip(b" \t"):
            continue
        key = b" ".join(raw.split())
        try:
            row = parse_line(raw.decode("utf-8"))
        except (BadLine, UnicodeDecodeError):
            clean = False
            continue
        if key in seen or row.class_id not in (0, 3) or np.isnan(row.confidence):
            clean = False
        else:
            kept.append((row.class_id, *row.xywhn, np.float32(row.confidence)))
        seen.add(key)
    b = said.boxes
    assert [
        (c, *x, f) for c, x, f in zip(b.class_id.tolist(), b.xywhn.tolist(), b.confidence, strict=True)
    ] == kept
    assert bool(said.flaw) != clean and "\n" not in said.flaw


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.binary(max_size=200))
def test_no_bytes_break_the_reading(tmp_path: Path, data: bytes) -> None:
    file = tmp_path / "p.txt"
    file.write_bytes(data)
    read(file, tmp_path, None)


def test_a_flood_of_predictions_is_cut_to_the_most_confident(tmp_path: Path) -> None:
    n = MAX_PREDICTIONS + 50
    lines = [f"0 0.5 0.5 0.1 0.1 {0.1 + 0.8 * i / n:.6f}\n" for i in range(n)]
    (tmp_path / "p.txt").write_text("".join(lines), encoding="utf-8")
    said = read(tmp_path / "p.txt", tmp_path, None)
    assert len(said.boxes) == MAX_PREDICTIONS and said.boxes.line[0] == 50 and "most confident" in said.flaw


def test_a_missing_file_is_a_flaw(tmp_path: Path) -> None:
    assert "not found" in read(tmp_path / "gone.txt", tmp_path, None).flaw


# --- which prediction belongs to which box ---

_SIDE = st.integers(0, 5)
_BOX = st.tuples(_SIDE, _SIDE, st.integers(1, 5), st.integers(1, 5)).map(
    lambda b: (b[0] / 10, b[1] / 10, (b[0] + b[2]) / 10, (b[1] + b[3]) / 10)
)
_BOXES = st.lists(_BOX, max_size=4).map(lambda b: np.array(b, np.float64).reshape(-1, 4))


def slow_iou(a: np.ndarray, b: np.ndarray) -> tuple[float, bool]:
    width = max(0.0, min(a[2], b[2]) - max(a[0], b[0]))
    height = max(0.0, min(a[3], b[3]) - max(a[1], b[1]))
    area_a, area_b = (a[2] - a[0]) * (a[3] - a[1]), (b[2] - b[0]) * (b[3] - b[1])
    both = width * height
    iou = both / (area_a + area_b - both)
    return iou, iou >= LEAST_IOU or both / min(area_a, area_b) >= LEAST_INSIDE


@given(_BOXES, _BOXES)
def test_overlap_against_a_loop(a: np.ndarray, b: np.ndarray) -> None:
    iou, touch = overlap(a, b)
    for i, j in itertools.product(range(len(a)), range(len(b))):
        expected, close = slow_iou(a[i], b[j])
        assert iou[i, j] == pytest.approx(expected)
        inside = expected * (1 + 1e-9)
        if abs(expected - LEAST_IOU) > 1e-9 and abs(inside - LEAST_INSIDE) > 1e-9:
            low = slow_iou(a[i] + [1e-9, 1e-9, -1e-9, -1e-9], b[j])[1]
            high = slow_iou(a[i] + [-1e-9, -1e-9, 1e-9, 1e-9], b[j])[1]
            assert touch[i, j] in (close, low, high)


@given(_BOXES, _BOXES)
def test_matching_against_every_assignment(boxes: np.ndarray, predictions: np.ndarray) -> None:
    m = len(predictions)
    confidence = np.linspace(0.9, 0.3, m)
    found = match(boxes, predictions, np.zeros(m, np.int64), confidence)
    iou, touch = overlap(boxes, predictions)
    kept = np.flatnonzero(found.kept)
    best = 0.0
    options = [*kept.tolist(), *[None] * len(boxes)]
    for choice in itertools.permutations(options, len(boxes)):
        total = sum(iou[i, j] for i, j in enumerate(choice) if j is not None and touch[i, j])
        best = max(best, total)
    assert np.nansum(found.iou) == pytest.approx(best, abs=1e-6)
    used = found.of[found.of >= 0]
    assert len(set(used.tolist())) == len(used) and set(used.tolist()) <= set(kept.tolist())
    for i, j in enumerate(found.of):
        assert np.isnan(found.iou[i]) if j < 0 else touch[i, j] and found.iou[i] == iou[i, j]
        assert found.best[i] == max([confidence[k] for k in range(m) if touch[i, k]], default=0)
    assert found.touched.tolist() == [any(touch[i, k] for i in range(len(boxes))) for k in range(m)]


@given(_BOXES, st.randoms(use_true_random=False))
def test_repeated_predictions_against_a_loop(boxes: np.ndarray, random) -> None:  # type: ignore[no-untyped-def]
    m = len(boxes)
    confidence = np.array([random.choice([0.2, 0.5, 0.8]) for _ in range(m)])
    class_id = np.array([random.choice([0, 1]) for _ in range(m)], np.int64)
    kept, sure = strongest(boxes, class_id, confidence)
    left = sorted(range(m), key=lambda i: (-confidence[i], i))
    expected = {}
    while left:
        first = left.pop(0)
        iou = overlap(boxes[[first]], boxes)[0][0]
        same = [i for i in left if iou[i] >= SAME_IOU]
        rival = max([confidence[i] for i in same if class_id[i] != class_id[first]], default=0.0)
        expected[first] = confidence[first] * confidence[first] / (confidence[first] + rival)
        left = [i for i in left if i not in same]
    assert set(np.flatnonzero(kept)) == set(expected)
    for i, value in expected.items():
        assert sure[i] == pytest.approx(value)


# --- what disagreement is worth ---


def test_the_share_of_wrong_labels_is_learned_from_confident_disagreement() -> None:
    rng = np.random.default_rng(0)
    n = 6000
    confidence = rng.beta(4, 1.5, n)
    right = rng.random(n) < expit(1 + 1.5 * logit(np.clip(confidence, 0.001, 0.999)))
    wrong = rng.random(n) < 0.06
    fit = rates.plateau(right & ~wrong, confidence, rng.integers(0, 5, n))
    assert fit.share == pytest.approx(0.06, abs=0.02)
    agree = right & ~wrong
    chance = fit.wrong(agree, 1.0)
    apart = ~agree
    assert chance[apart].sum() == pytest.approx((wrong & apart).sum(), rel=0.3)
    order = np.argsort(-chance[apart])[:100]
    assert wrong[apart][order].mean() > 0.85
    assert chance[agree].max() < 0.2


def test_the_gradient_is_the_slope_of_the_loss(monkeypatch: pytest.MonkeyPatch) -> None:
    rng = np.random.default_rng(1)
    caught = {}

    def catch(loss, start, **more):  # type: ignore[no-untyped-def]
        caught["loss"], caught["start"] = loss, start
        return type("Found", (), {"x": start})

    monkeypatch.setattr(rates, "minimize", catch)
    rates.plateau(rng.random(50) < 0.7, rng.random(50), rng.integers(0, 3, 50), rng.integers(0, 4, 50))
    at = caught["start"] + rng.uniform(0.01, 0.1, len(caught["start"]))
    slope = approx_fprime(at, lambda p: caught["loss"](p)[0], 1e-7)
    np.testing.assert_allclose(caught["loss"](at)[1], slope, rtol=1e-3, atol=1e-3)


def test_placing_adapts_to_what_is_usual() -> None:
    rng = np.random.default_rng(2)
    for centre in (0.95, 0.8, 0.65):
        iou = np.r_[expit(logit(centre) + rng.normal(0, 0.3, 500)), np.full(10, 0.2)]
        placed = rates.placing(iou, np.full(510, 0.9), rng.integers(0, 4, 510))
        assert (placed.wrong[500:] > 0.7).all() and placed.wrong[:500].max() < 0.5
        order = np.argsort(logit(np.clip(iou, 0.001, 0.999)) - logit(placed.usual))
        assert np.all(np.diff(placed.wrong[order]) < 0.001)  # less overlap, more suspicious
        assert np.median(placed.usual) == pytest.approx(centre, abs=0.03)


def test_a_class_that_is_drawn_loosely_is_not_badly_placed() -> None:
    rng = np.random.default_rng(3)
    code = np.repeat([0, 1, 2, 3], 100)
    iou = expit(np.where(code == 3, logit(0.6), logit(0.92)) + rng.normal(0, 0.3, 400))
    placed = rates.placing(iou, np.full(400, 0.9), code)
    assert placed.wrong.max() < 0.5


def test_unfound_boxes_are_suspicious_where_the_detector_rarely_hesitates() -> None:
    sure, hesitant = np.full(200, 0.9), np.r_[np.full(80, 0.08), np.full(120, 0.9)]
    gone = np.zeros(6)
    best = np.r_[sure, gone, hesitant, gone]
    code = np.r_[np.zeros(206, int), np.ones(206, int)]
    chance, found = rates.unfound(best, code, 0.05)
    assert chance[0] > 0.5 > 0.1 > chance[-1]
    assert found[0] == pytest.approx(200 / 206, abs=0.02)
    assert rates.unfound(np.zeros(0), np.zeros(0, int), 0.1)[0].shape == (0,)
