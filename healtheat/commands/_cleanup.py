"""What `apply` and `export --format yolo` both say about a cleanup."""

from __future__ import annotations

from typing import TYPE_CHECKING

from healtheat.commands._terminal import echo, note
from healtheat.core.errors import with_options
from healtheat.core.text import counted

if TYPE_CHECKING:
    from healtheat.cleanup import Figures

PATCH = "`healtheat export --to fixes.patch --format patch`"  # what has the classes that people decided on


def what_goes(figures: Figures) -> str:
    """How many boxes and images go, and which share of all that is."""
    return ", ".join(
        f"{gone} of {of} {what} ({gone / of if of else 0:.1%})" for what, (gone, of) in figures.gone.items()
    )


def left_out(figures: Figures) -> str:
    """Whether lines or whole images are left out, in one line."""
    images = counted(figures.images_removed, "whole image")
    if figures.drop == "images":
        return f"left out: {images}, with their good boxes; `--drop boxes` leaves out boxes alone"
    copies = counted(figures.images_greyed, "image")
    greyed = f", greyed out in copies of {copies}" if figures.drop == "mask" else ""
    return f"left out: {counted(figures.lines_removed, 'line')} of single boxes{greyed}, and {images}"


def note_called_wrong(figures: Figures) -> None:
    """That nothing is trained on a class that a person called wrong, and where the right ones are."""
    if n := figures.relabelled_out:
        note(
            f"left out: {counted(n, 'box')} to be relabelled, for nobody should train on the old class; "
            f"{PATCH} writes the new one"
        )


def note_left_alone(figures: Figures) -> None:
    """What stays all the same, and what `--drop mask` cannot grey out."""
    if figures.untrained[0]:
        note(
            f"not counted as kept: {counted(figures.untrained[0], 'image')} that YOLO's training ignores or "
            "misreads, whatever is taken out here; `healtheat problems` says why"
        )
    written, of = figures.boxes_placed
    if written:
        note(f"added or moved in the copy, as people said: {counted(written, 'box', 'boxes')}; see boxes.csv")
    if of > written:
        said = counted(of - written, "box", "boxes")
        note(f"{said} that people added or moved: not written here, see boxes.csv; {PATCH} has them")
    for why, n in figures.held_back.items():
        note(f"left alone: {n}, {why}")
    if figures.drop == "mask" and (missing := figures.images_out.get("missing_box", 0)):
        note(
            f"whole images go for {counted(missing, 'missing box')}: nobody knows where, so "
            "there is nothing to grey out"
        )


def show_training(command: str, refused: str) -> None:
    """How to train on what was written, or why Ultralytics takes it not; nothing for other formats."""
    if refused:
        note(f"warning: it cannot be trained on as it is: {refused}")
    elif command:
        echo(f"train with: {command}")


def note_too_much(figures: Figures, max_share: float | None) -> None:
    """Of a dry run: that writing would be refused, and what to do about it."""
    if why := figures.too_much(max_share):
        note(f"warning: it will not be written: {with_options(why)}")
