"""What a row of `healtheat query` says beside its reason."""

from typing import Any

import pyarrow as pa
import pytest

from healtheat.commands.query import _print_table, _reason


def row(**more: Any) -> dict[str, Any]:
    nothing = {"reason": "why", "also": None, "copies": 0, "issue": "mislabel", "twin_box_id": -1}
    return {**nothing, **more}


@pytest.mark.parametrize(
    ("about", "words"),
    [
        ({}, "why"),
        ({"also": "outlier"}, "why; also outlier"),
        ({"copies": 2}, "why; and 2 more like it (--issue mislabel lists each)"),
        ({"copies": 1, "twin_box_id": 0}, "why"),  # the box it is exchanged with: the reason names it
        ({"copies": 5, "twin_box_id": 3}, "why; and 4 more like it (--issue mislabel lists each)"),
        (
            {"copies": 1, "twin_box_id": 3, "issue": "duplicate"},
            "why; and 1 more like it (--issue duplicate lists each)",
        ),
        ({"copies": 1, "twin_box_id": None, "issue": "missing_box"},
         "why; and 1 more like it (--issue missing_box lists each)"),
    ],
)  # fmt: skip
def test_a_row_says_what_else_its_place_stands_for(about: dict[str, Any], words: str) -> None:
    assert _reason(row(**about)) == words


def test_the_place_of_a_row_is_not_repeated_by_its_reason(capsys: pytest.CaptureFixture[str]) -> None:
    places = [(2, "labels/a.txt", "labels/a.txt:3: five fields"), (-1, "labels/b.txt", "b.png: cut short")]
    rows = [
        row(line=line, label_file=file, image=f"{file[7]}.png", reason=reason, score=1.0)
        | dict.fromkeys(("class_id", "class_name", "suggestion", "suggestion_name"))
        for line, file, reason in places
    ]
    _print_table(pa.Table.from_pylist(rows))
    shown = capsys.readouterr().out
    assert shown.count("labels/a.txt:3") == 1 and "five fields" in shown
    assert shown.count("b.png") == 1 and "cut short" in shown
