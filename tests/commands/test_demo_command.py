"""What `healtheat demo` says about the lists that it writes."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from healtheat.cleanup import Figures
from healtheat.commands.demo import _print_share


def figures(boxes: tuple[int, int]) -> Figures:
    """Of a plan in which nothing happens but that so many boxes of all are kept."""
    nothing: dict[str, Any] = {
        "names": {0: "pill"},
        **{key: {} for key in ("findings", "boxes_out", "images_out", "held_back")},
        **dict.fromkeys(("lines_removed", "images_removed", "files_edited", "files_removed"), 0),
        **dict.fromkeys(("relabels", "relabelled_out", "images_greyed"), 0),
    }
    images = {"train": (10, 10)}
    return Figures(root=Path("data"), drop="boxes", images=images, boxes={0: boxes}, emptied=(), **nothing)


def test_it_says_which_share_goes_and_what_would_allow_it(capsys: pytest.CaptureFixture[str]) -> None:
    _print_share(figures((34, 40)))
    said = capsys.readouterr().out
    assert said.startswith("left out of the lists: 6 of 40 boxes (15.0%), 0 of 10 images (0.0%)\n")
    assert "more than 10% goes" in said and "ask for --max-share" in said


def test_lists_that_nobody_can_train_on_are_not_written_and_that_is_said(
    capsys: pytest.CaptureFixture[str],
) -> None:
    _print_share(replace(figures((30, 40)), emptied_splits=("val",)))
    said = capsys.readouterr().out
    assert said == "no lists to train on: no image of val would be left; draw more --images\n"


def test_a_share_that_anybody_may_drop_needs_no_word(capsys: pytest.CaptureFixture[str]) -> None:
    _print_share(figures((39, 40)))
    assert capsys.readouterr().out == "left out of the lists: 1 of 40 boxes (2.5%), 0 of 10 images (0.0%)\n"
