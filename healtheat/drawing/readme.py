"""The README.txt inside a demo set."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

from healtheat.drawing.truth import KINDS, Truth

HEAD = """Demo set of healtheat (seed {seed})

Drawn pill images with YOLO labels, some of them wrong on purpose. Nothing here is a real photograph and no
product is real: names, codes and imprints are invented. Free to use for any purpose (CC0 1.0).

data.yaml     splits and class names; class id = drug code - 1, as in AI Hub, so ids are sparse
classes.csv   class_id,drug_code,name
images/       976 x 1280; a file name lists the drug codes on the image, then the camera's setup
labels/       YOLO lines: class centre_x centre_y width height, as shares of the image
truth.csv     every planted error: kind,image,line,true_class,given_class,twin
              line is the 0-based line in the label file, -1 where no line is left (or the whole image is
              meant); twin is the innocent other half of a duplicate

Not errors, and no reason to complain: files with CRLF line ends, a blank first line or no line end at
the end; an image turned by its EXIF tag; a PNG among the JPEGs; an empty tray with an empty label file
and one without any; Korean file names.

Planted:
"""


def readme(seed: int, truth: Sequence[Truth]) -> str:
    """The text of README.txt for a set with these errors."""
    counts = Counter(t.kind for t in truth)
    rows = [f"  {kind:<16}{counts[kind]:>5}  {what}\n" for kind, (what, _) in KINDS.items()]
    return HEAD.format(seed=seed) + "".join(rows)
