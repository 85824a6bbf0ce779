"""What goes for a box that a cleanup drops, and the defaults of both commands and of the functions."""

from typing import Literal

# boxes: its label line; images: the whole image; mask: its line and, in a copy of the image, its pixels.
Drop = Literal["boxes", "images", "mask"]
DEFAULT_DROP: Drop = "boxes"  # what trains best in benchmarks/end_to_end.md
MAX_SHARE = 0.1  # more than this share of the boxes or images goes only where the user says so
