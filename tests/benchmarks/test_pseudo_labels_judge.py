"""The table of vetted pseudo-labels says shares of what was accepted, and nothing where nothing was."""

from benchmarks.pseudo_labels_judge import table

ROW = {
    "seed": 1,
    "conf": 0.5,
    "bound": 0.02,
    "boxes": 200,
    "right": 150,
    "estimate": 0.2,
    "accepted": 100,
    "right_of_accepted": 98,
    "right_of_confident": 80,
}


def test_shares_are_of_the_accepted() -> None:
    last = table([ROW]).splitlines()[-1]
    assert last == "| 1 | 0.5 | 2% | 200 | 25.0% | 20.0% | 100 | 0.980 | 0.800 |"


def test_nothing_accepted_has_no_share() -> None:
    none = {**ROW, "accepted": 0, "right_of_accepted": 0, "right_of_confident": 0}
    assert table([none]).splitlines()[-1].endswith("| 0 |  |  |")
