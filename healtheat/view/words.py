"""What issues, verdicts and keys are called on pages and in reports."""

from __future__ import annotations

from collections.abc import Mapping

ISSUE_WORDS: Mapping[str, tuple[str, str]] = {
    "all": ("All issues", "every place, the most suspicious first"),
    "mislabel": ("Wrong class", "looks like another class than its label says"),
    "outlier": ("Outlier", "looks unlike the rest of its class"),
    "background": ("Background", "may hold no object at all"),
    "bad_box": ("Bad box", "of an odd size, shape or place"),
    "duplicate": ("Duplicate", "the same pill boxed twice, or the same picture again"),
    "missing_box": ("Missing box", "the image should show a class that no box has"),
    "unexpected_class": ("Unexpected class", "not on the list of what the image shows"),
    "low_quality": ("Low quality", "too dark, blurred or flat to be sure"),
    "unreadable": ("Unreadable", "a line or file that could not be read"),
}
VERDICT_WORDS: Mapping[str, str] = {
    "ok": "the label is right: do not show it again",
    "drop": "leave this box out of training",
    "relabel": "another class is right: goes on a list, the file stays",
    "unsure": "somebody else should look",
    "added": "a box is missing here: goes on a list, the file stays",
    "moved": "this place is right: goes on a list, the file stays",
}
# What a verdict says of a finding about a whole image; by issue, "image" for all others.
_OUT = "leave the image out: apply takes the image and its label file out, with every box on it"
_NO_BOX = "not here, for no box could get another class"
IMAGE_WORDS: Mapping[str, Mapping[str, str]] = {
    "missing_box": {
        "ok": "no box is missing",
        "drop": _OUT,
        "relabel": _NO_BOX + "; to keep the image, add the box that is missing (a)",
        "unsure": VERDICT_WORDS["unsure"],
    },
    "unreadable": {
        "ok": "it does not matter: do not show it again",
        "drop": _OUT,
        "relabel": _NO_BOX + "; fix the file in the annotation tool",
        "unsure": VERDICT_WORDS["unsure"],
    },
    "image": {
        "ok": "the image is right: do not show it again",
        "drop": _OUT,
        "relabel": _NO_BOX,
        "unsure": VERDICT_WORDS["unsure"],
    },
}
KEYS: tuple[tuple[str, str], ...] = (
    ("o", "ok: the label is right"),
    ("d", "drop: leave the box out; of a finding about a whole image, the image with its label file"),
    ("r", "relabel: say which class it is (a box only)"),
    ("u", "unsure"),
    ("a", "of a missing box: add it, with the likely class; of a bad box: the drawn place is right"),
    ("Shift a", "add it with another class"),
    ("e", "shift the place with the arrow keys, its size with Shift; Enter saves, Esc leaves"),
    ("n", "a box is missing: draw it, on any image"),
    ("b", "only this box, not its copies or the box it is exchanged with"),
    ("→ or j", "next sample"),
    ("← or k", "sample before"),
    ("z", "take back my last verdict"),
    ("f", "the image as large as the screen; Esc closes it"),
    ("Enter", "open the sample (in the grid)"),
    ("g", "to the grid"),
    ("?", "show or hide these keys"),
)
