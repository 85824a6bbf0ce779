"""Found against planted, on lists small enough to count by hand."""

from pathlib import Path

import pyarrow as pa
import pytest
from PIL import Image

from healtheat.drawing import DemoSet, Truth, compare, false_alarms, summary_rows
from healtheat.drawing.sheet import contact_sheet

A, B, C = "images/train/a.jpg", "images/train/b.jpg", "images/val/c.jpg"
TRUTH = [
    Truth("flips", A, 0, 5, 9),
    Truth("shifted", A, 2, 6, 6),
    Truth("missing", B, -1, 7),
    Truth("duplicate_box", B, 1, 8, 8, f"{B}#0"),
    Truth("duplicate_image", C, -1, twin=A),
    Truth("broken_line", B, 3, 4),
]


def row(
    image: str,
    line: int | None,
    class_id: int | None,
    issue: str,
    score: float = 0.5,
    flagged: bool = True,
) -> dict[str, object]:
    return {
        "image": image, "line": line, "class_id": class_id, "issue": issue, "score": score,
        "suspicion": score, "flagged": flagged,
    }  # fmt: skip


def counts(table: pa.Table, kind: str) -> tuple[int, int, int, int]:
    [r] = [r for r in table.to_pylist() if r["kind"] == kind]
    return r["planted"], r["found"], r["named"], r["in_top"]


def test_nothing_found() -> None:
    table = compare([], TRUTH)
    assert counts(table, "all") == (6, 0, 0, 0)
    assert false_alarms([], TRUTH).to_pylist() == [
        {"issue": "all", "flagged": 0, "right": 0, "follows": 0, "false_alarms": 0}
    ]


def test_each_kind_is_matched_by_its_place() -> None:
    rows = [
        row(A, 0, 9, "mislabel", 0.9),
        row(A, 2, 6, "mislabel", 0.8),  # found, but called by the wrong name
        row(B, -1, 7, "missing_box", 0.7),
        row(B, 0, 8, "duplicate", 0.6),  # the twin of the added box
        row(A, None, None, "duplicate", 0.5),  # the twin of the copied image
        row(B, 3, None, "unreadable", 0.4),
    ]
    table = compare(pa.Table.from_pylist(rows), TRUTH)
    assert counts(table, "flips") == (1, 1, 1, 1)
    assert counts(table, "shifted") == (1, 1, 0, 1)
    for kind in ("missing", "duplicate_box", "duplicate_image", "broken_line"):
        assert counts(table, kind) == (1, 1, 1, 1), kind
    assert counts(table, "all") == (6, 6, 5, 6)
    assert false_alarms(rows, TRUTH).to_pylist()[-1]["false_alarms"] == 0


def test_unflagged_rows_count_for_the_ranking_only() -> None:
    table = compare([row(A, 0, 9, "mislabel", 0.9, flagged=False)], TRUTH)
    assert counts(table, "flips") == (1, 0, 0, 1)


def test_the_top_is_as_long_as_the_list_of_errors() -> None:
    above = [row(C, i, 1, "outlier", 0.95) for i in range(6)]
    assert counts(compare([*above, row(A, 0, 9, "mislabel", 0.9)], TRUTH), "flips") == (1, 1, 1, 0)
    assert counts(compare([*above[1:], row(A, 0, 9, "mislabel", 0.9)], TRUTH), "flips") == (1, 1, 1, 1)


def test_a_missing_box_of_another_class_does_not_count() -> None:
    assert counts(compare([row(B, -1, 8, "missing_box")], TRUTH), "missing") == (1, 0, 0, 0)


def test_a_duplicates_twin_counts_for_the_issue_duplicate_only() -> None:
    assert counts(compare([row(B, 0, 8, "mislabel")], TRUTH), "duplicate_box") == (1, 0, 0, 0)
    assert false_alarms([row(B, 0, 8, "mislabel")], TRUTH).to_pylist()[-1]["false_alarms"] == 1


def test_consequences_are_not_false_alarms() -> None:
    rows = [
        row(A, 0, 9, "mislabel"),  # right
        row(A, 0, 9, "unexpected_class"),  # right, the same place
        row(A, -1, 5, "missing_box"),  # follows: the flipped box leaves its own class missing
        row(A, -1, 3, "missing_box"),  # nobody took a 3 away
        row(C, 7, 1, "mislabel"),  # nothing wrong there
        row(C, 8, 1, "mislabel", flagged=False),
    ]
    table = {r["issue"]: r for r in false_alarms(rows, TRUTH).to_pylist()}
    assert table["mislabel"] == {
        "issue": "mislabel", "flagged": 2, "right": 1, "follows": 0, "false_alarms": 1
    }  # fmt: skip
    assert table["missing_box"]["follows"] == 1 and table["missing_box"]["false_alarms"] == 1
    assert (table["all"]["flagged"], table["all"]["right"], table["all"]["false_alarms"]) == (4, 1, 2)


def test_rows_without_flags_are_flagged_and_ranked_by_score() -> None:
    table = compare([{"image": A, "line": 0, "class_id": 9, "issue": "mislabel", "score": 0.3}], TRUTH)
    assert counts(table, "flips") == (1, 1, 1, 1)


def test_summary_lists_the_kinds_that_occur() -> None:
    rows, alarms = summary_rows(iter([row(A, 0, 9, "mislabel")]), TRUTH)
    assert [r[0] for r in rows] == [
        "planted", "flips", "shifted", "missing", "duplicate_box", "duplicate_image", "broken_line", "all"
    ]  # fmt: skip
    assert len({len(r) for r in rows}) == 1
    assert rows[-1] == ("all", "6", "1", "1", "1", "planted errors")
    assert alarms == (
        "1 place flagged: 1 on planted errors, 0 follow from one, 0 wrong; 5 of 6 errors missed; "
        "1.00 rows an error found"
    )


def test_a_hint_is_no_error_that_is_missed() -> None:
    blurred = Truth("blurred", C, 0, 3, 3)
    rows, line = summary_rows([row(A, 0, 9, "mislabel")], [*TRUTH, blurred])
    assert [r[0] for r in rows[-2:]] == ["all", "blurred"] and rows[-1][1:5] == ("1", "-", "-", "-")
    assert "view to sort by" in rows[-1][-1] and "5 of 6 errors missed" in line


def test_two_rows_of_one_place_are_one_place() -> None:
    swap = [Truth("swap", A, 0, 1, 2), Truth("swap", A, 1, 2, 1)]
    rows = [{**row(A, line, 2 - line, "mislabel"), "place_id": 4} for line in (0, 1)]
    wrong = [{**row(C, line, 2, "mislabel"), "place_id": 5} for line in (0, 1, 2)]
    assert counts(compare([*rows, *wrong], swap), "swap") == (2, 2, 2, 2)
    total = false_alarms([*rows, *wrong], swap).to_pylist()[-1]
    assert (total["flagged"], total["right"], total["false_alarms"]) == (2, 1, 1)
    assert summary_rows([*rows, *wrong], swap)[1].endswith("0.50 rows an error found")


def test_a_perfect_list_finds_everything(demo: DemoSet) -> None:
    issue = {"missing": "missing_box", "duplicate_image": "duplicate", "duplicate_box": "duplicate"}
    rows = []
    for t in demo.truth:
        name = issue.get(t.kind) or (
            "unreadable" if t.kind in ("broken_line", "truncated_image") else "mislabel"
        )
        class_id = t.given_class if t.given_class is not None else t.true_class
        rows.append(row(t.image, t.line, class_id, name))
    [total] = [r for r in compare(rows, demo.truth_csv).to_pylist() if r["kind"] == "all"]
    assert total["planted"] == total["found"] == total["in_top"] == len(demo.truth)


def test_contact_sheet_draws_boxes_images_and_unreadable_files(demo: DemoSet, tmp_path: Path) -> None:
    wanted = (
        "flips",
        "whole_image",
        "missing",
        "truncated_image",
        "broken_line",
        "spurious",
        "duplicate_image",
    )
    rows = []
    for kind in wanted:
        t = next(t for t in demo.truth if t.kind == kind)
        rows.append({**row(t.image, t.line, t.given_class, kind), "suggestion": t.true_class})
    out = contact_sheet(demo.root, rows, tmp_path / "sheet.png", columns=4)
    with Image.open(out) as sheet:
        assert sheet.width > 4 * 200 and sheet.height > 2 * 200
        cells = sheet.convert("RGB").crop((0, 0, 234, 234)).getcolors(1 << 20)
    assert cells is not None and len(cells) > 1000  # an image, not a blank
    assert [p.name for p in tmp_path.iterdir()] == ["sheet.png"]


@pytest.mark.parametrize("rows", [[], [row("images/../../etc/passwd", 0, None, "mislabel")]])
def test_contact_sheet_of_nothing_or_of_a_file_that_is_no_image(demo: DemoSet, tmp_path: Path, rows) -> None:  # type: ignore[no-untyped-def]
    assert contact_sheet(demo.root, rows, tmp_path / "sheet.png").is_file()


@pytest.mark.parametrize(
    "text", ["1 nan 0.5 0.1 0.1", "1 808 0.5 0.1 0.1", "1 0.5 0.5 0 0.1", "1 0.5", "a b c d e", "\xff"]
)
def test_contact_sheet_shows_the_whole_image_for_a_line_that_is_no_box(tmp_path: Path, text: str) -> None:
    for folder in ("images", "labels"):
        (tmp_path / folder).mkdir()
    Image.new("RGB", (40, 80), "#123456").save(tmp_path / "images" / "a.png")
    (tmp_path / "labels" / "a.txt").write_bytes(text.encode("latin-1"))
    out = contact_sheet(
        tmp_path, [row("images/a.png", 0, 1, "unreadable")], tmp_path / "s.png", names={1: "알약"}
    )
    with Image.open(out) as sheet:
        assert sheet.convert("RGB").getpixel((124, 124)) == (0x12, 0x34, 0x56)
