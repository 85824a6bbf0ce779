"""What a row of `healtheat query` says beside its reason."""

from typing import Any

import pytest

from healtheat.commands.query import _reason


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
