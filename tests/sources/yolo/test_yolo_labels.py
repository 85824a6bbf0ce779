"""Label lines and label files: every named kind of bad input, and properties of the parser."""

import os
from pathlib import Path

import numpy as np
import pytest
from hypothesis import assume, example, given
from hypothesis import strategies as st

from healtheat.sources.yolo import labels as yolo_labels
from healtheat.sources.yolo.labels import read_labels
from healtheat.sources.yolo.line import BadLine, near, parse_line

unit = st.floats(0, 1)
size = st.floats(1e-6, 1)
class_ids = st.integers(0, 2**31 - 1)


def read(tmp_path: Path, data: bytes, names=range(100)):
    path = tmp_path / "a.txt"
    path.write_bytes(data)
    return read_labels(path, names, file="labels/a.txt")


@given(class_ids, unit, unit, size, size)
def test_box_line_round_trip(class_id, x, y, w, h):
    row = parse_line(f"{class_id} {x!r} {y!r} {w!r} {h!r}")
    assert (row.class_id, row.xywhn) == (class_id, (x, y, w, h))
    assert np.isnan(row.confidence)


@given(class_ids, unit, unit, size, size, unit)
def test_confidence_line_round_trip(class_id, x, y, w, h, confidence):
    row = parse_line(f"{class_id}\t{x} {y}  {w} {h} {confidence}\r")
    assert (row.class_id, row.xywhn, row.confidence) == (class_id, (x, y, w, h), confidence)


@given(class_ids, st.lists(st.tuples(unit, unit), min_size=3, max_size=30))
def test_polygon_is_its_bounding_box(class_id, points):
    line = f"{class_id} " + " ".join(f"{x!r} {y!r}" for x, y in points)
    xs, ys = [x for x, _ in points], [y for _, y in points]
    assume(
        not 0 < max(xs) - min(xs) < 1e-6 and not 0 < max(ys) - min(ys) < 1e-6
    )  # beside the border by rounding
    if max(xs) <= min(xs) or max(ys) <= min(ys):
        with pytest.raises(BadLine, match="zero area"):
            parse_line(line)
        return
    row = parse_line(line)
    x, y, w, h = row.xywhn
    assert row.class_id == class_id
    assert (w, h) == (max(xs) - min(xs), max(ys) - min(ys))
    assert x - w / 2 == pytest.approx(min(xs), abs=1e-12)
    assert y + h / 2 == pytest.approx(max(ys), abs=1e-12)


@given(st.text(max_size=80))
@example("0 0.5 0.5 0.1 0.1\u2028")
@example("0 ٠.٥ 0.5 0.1 0.1")
@example("0 1_0 0.5 0.1 0.1")
@example("0 1e999 0.5 0.1 0.1")
def test_any_text_is_a_valid_row_or_a_bad_line(text):
    try:
        row = parse_line(text)
    except BadLine as error:
        assert "\n" not in str(error)
        return
    assert row.class_id >= 0
    assert all(-0.01001 <= v <= 1.01001 for v in row.xywhn)
    assert row.beyond or all(0 <= v <= 1 for v in row.xywhn)
    assert row.xywhn[2] > 0 and row.xywhn[3] > 0


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        ("0 0.5 0.5 0.1", "4 fields"),
        ("0", "1 field;"),
        ("0 .1 .1 .2 .2 .3 .3 .4", "8 fields"),
        ("0 nan 0.5 0.1 0.1", "x is nan, not a finite number"),
        ("0 0.5 -inf 0.1 0.1", "y is -inf, not a finite number"),
        ("0 0.5 0.5 0.1 0.1 NaN", "confidence is NaN"),
        ("0 0.5 1.0101 0.1 0.1", "y 1.0101 lies outside 0 to 1"),
        ("0 0.5 -0.0101 0.1 0.1", "y -0.0101 lies outside 0 to 1"),
        ("0 0.5 1.005 0.1 0.005", "beside its border"),
        ("0 0.5 0.5 -0.001 0.1", "w -0.001 lies outside"),
        ("0 0.5 -0.1 0.1 0.1", "y -0.1 lies outside 0 to 1"),
        ("0 300 200 50 50", "not pixels"),
        ("0 0.5 0.5 0 0.1", "zero area: w"),
        ("0 0.5 0.5 0.1 0.0", "zero area: h"),
        ("0 0.5 0.5 -0.1 0.1", "w -0.1 lies outside"),
        ("0 0.5 0.5 0.1 0.1 1.5", "confidence 1.5 lies outside"),
        ("1.5 0.5 0.5 0.1 0.1", "class id '1.5' is not an integer"),
        ("-1 0.5 0.5 0.1 0.1", "class id '-1' is not an integer"),
        ("pill 0.5 0.5 0.1 0.1", "class id 'pill'"),
        ("99999999999 0.5 0.5 0.1 0.1", "class id '99999999999'"),
        ("4294967296 0.5 0.5 0.1 0.1", "larger than"),
        ("0 0,5 0.5 0.1 0.1", "x '0,5' is not a number"),
        ("0 0x1 0.5 0.1 0.1", "x '0x1' is not a number"),
        ("0 .1 .1 .1 .2 .1 .3", "polygon has zero area"),
        ("0 .1 .1 .1 .2 .1 nan", "y3 is nan"),
        ("0 .1 .1 .1 .2 .1 2", "y3 2 lies outside"),
    ],
)
def test_bad_lines_say_why(line, reason):
    with pytest.raises(BadLine) as error:
        parse_line(line)
    assert reason in str(error.value)


def test_oriented_box_of_nine_fields_reads_as_polygon():
    row = parse_line("4 0.5 0.1 0.9 0.5 0.5 0.9 0.1 0.5")
    assert row.class_id == 4
    assert row.xywhn == pytest.approx((0.5, 0.5, 0.8, 0.8))


def test_good_lines_survive_bad_ones_and_keep_their_line_numbers(tmp_path):
    data = (
        b"0 .5 .5 .1 .1\r\n\r\nx\r\n7 .5 .5 .2 .2\r\n200 .5 .5 .1 .1\r\n7  .5 .5\t.2 .2\r\n7 .5 .5 .2 .2 .9"
    )
    boxes, problems = read(tmp_path, data)
    assert boxes.line.tolist() == [0, 3, 6]
    assert boxes.class_id.tolist() == [0, 7, 7]
    assert boxes.confidence.tolist()[2] == pytest.approx(0.9)
    assert [(p.file, p.line) for p in problems] == [
        ("labels/a.txt", 2),
        ("labels/a.txt", 4),
        ("labels/a.txt", 5),
    ]
    assert "1 field" in problems[0].reason
    assert "200 is absent" in problems[1].reason
    assert problems[2].reason == "exact duplicate of line 4"
    assert str(problems[2]) == "labels/a.txt:6: exact duplicate of line 4"


def test_unknown_names_take_every_id(tmp_path):
    boxes, problems = read(tmp_path, b"123456 .5 .5 .1 .1\n", names=None)
    assert boxes.class_id.tolist() == [123456] and not problems


def test_repeated_bad_line_is_reported_as_bad_each_time(tmp_path):
    boxes, problems = read(tmp_path, b"0 nan 0 0 0\n0 nan 0 0 0\n")
    assert len(boxes) == 0
    assert [p.reason for p in problems] == ["x is nan, not a finite number"] * 2


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (b"0 .5 .5 .1 .\xff\n1 .5 .5 .1 .1\n", "not UTF-8"),
        (b"0 .5 .5 .1 .1" + b"0" * 2**20 + b"\n1 .5 .5 .1 .1\n", "line longer than 1 MiB"),
    ],
)
def test_a_bad_first_line_leaves_the_second(tmp_path, data, reason):
    boxes, problems = read(tmp_path, data)
    assert boxes.line.tolist() == [1]
    assert [p.line for p in problems] == [0] and reason in problems[0].reason


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        ("0 .5 .5 .1 .1\n".encode("utf-16"), "UTF-16"),
        (b"\x89PNG\r\n\x1a\n\x00\x00\x00\rIHDR", "binary"),
    ],
)
def test_binary_files_are_one_problem(tmp_path, data, reason):
    boxes, problems = read(tmp_path, data)
    assert len(boxes) == 0
    assert [p.line for p in problems] == [None] and reason in problems[0].reason


def test_problems_a_file_are_capped_and_counted(tmp_path, monkeypatch):
    monkeypatch.setattr(yolo_labels, "MAX_PROBLEMS", 3)
    _, problems = read(tmp_path, b"x\n" * 10)
    assert [p.line for p in problems] == [0, 1, 2, None]
    assert "7 more bad lines" in problems[3].reason


def test_too_large_missing_and_special_files(tmp_path, monkeypatch):
    monkeypatch.setattr(yolo_labels, "MAX_LABEL_BYTES", 2**20)
    _, problems = read(tmp_path, b" " * (2**20 + 1))
    assert problems[0].reason == "label file larger than 1 MiB"
    _, problems = read_labels(tmp_path / "none.txt", None)
    assert problems[0].reason == "label file not found"
    _, problems = read_labels(tmp_path, None)
    assert problems[0].line is None
    if hasattr(os, "mkfifo"):
        os.mkfifo(tmp_path / "pipe.txt")
        _, problems = read_labels(tmp_path / "pipe.txt", None)
        assert "not a regular file" in problems[0].reason


@given(st.binary(max_size=300))
@example(b"\r\r\n\n\x0b")
def test_any_bytes_give_boxes_and_problems_without_overlap(data):
    labels = yolo_labels.parse_labels(yolo_labels.Content(data, "", len(data)), None, file="a.txt")
    bad = {p.line for p in labels.problems if p.line is not None}
    good = labels.boxes.line.tolist()
    bad -= {p.line for p in labels.problems if p.is_note or p.is_untrained}
    assert not bad & set(good)
    if None not in {p.line for p in labels.problems}:
        lines = data.removeprefix(yolo_labels.BOM).splitlines()
        assert bad | set(good) == {i for i, line in enumerate(lines) if line.strip(b" \t")}
    assert labels.blank == (not data.removeprefix(yolo_labels.BOM).strip(b" \t\r\n"))


def test_every_real_label_line_is_read(shared):
    for path in (shared / "data" / "pushin-pill" / "labels").rglob("*.txt"):
        boxes, problems = read_labels(path, range(17))
        lines = path.read_text(encoding="utf-8").splitlines()
        assert not problems
        assert boxes.class_id.tolist() == [int(line.split()[0]) for line in lines]
        assert boxes.line.tolist() == list(range(len(lines)))


def test_points_of_a_polygon_are_its_corners(tmp_path):
    data = b"0 .5 .5 .2 .2\n1 .1 .1 .3 .1 .2 .4\n2 .1 .1 .3 .1 .3 .4 .1 .4\n0 .5 .5 .2 .2 .9\n"
    boxes, _ = read(tmp_path, data)
    assert [None if c is None else c.tolist() for c in boxes.corners] == [
        None,
        [[0.1, 0.1], [0.3, 0.1], [0.2, 0.4]],
        [[0.1, 0.1], [0.3, 0.1], [0.3, 0.4], [0.1, 0.4]],
        None,
    ]


def test_a_million_digits_are_no_number_and_cost_no_more_than_they_are_long():
    """A pattern that tries every way to split them would take hours."""
    with pytest.raises(BadLine, match="is not a number"):
        near("9" * 1_000_000 + "0.2,", "x")
