"""The words of a verdict."""

DECISIONS = ("ok", "drop", "relabel", "unsure")
SETTLES = ("ok", "drop", "relabel")  # such a verdict on one finding of a box closes the others
