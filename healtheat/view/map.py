"""The map: every box a point, as bytes for the canvas and as a table of regions for who cannot see it."""

from __future__ import annotations

import colorsys
from dataclasses import dataclass
from threading import Lock, Thread

import numpy as np
from numpy.typing import NDArray

from healtheat.core.errors import HealtheatError
from healtheat.index import Index
from healtheat.view.areas import area_text, rectangle
from healtheat.view.places import GRID, places
from healtheat.view.worklist import WorkList

REGIONS = 8  # a side of the table's raster
MOST_REGIONS = 16
_GOLDEN = 0.618034  # of the circle of hues: neighbours in number lie far from each other


def colour_of(number: int) -> tuple[int, int, int]:
    """Red, green, blue (0 to 255) of the number-th class by class id, the same on the page and in the
    report; seen on white and on black.
    """
    red, green, blue = colorsys.hls_to_rgb((number * _GOLDEN) % 1, (0.5, 0.58)[number % 2], 0.7)
    return round(red * 255), round(green * 255), round(blue * 255)


@dataclass(frozen=True, slots=True)
class Region:
    """One field of the raster. `findings` are flagged and not decided; `class_id` is the commonest one."""

    row: int
    column: int
    area: str
    boxes: int
    findings: int
    class_id: int


class MapPoints:
    """Places of all boxes; worked out in the background. Safe to use from several threads."""

    def __init__(self, index: Index, work: WorkList) -> None:
        self._index = index
        self._work = work
        self._lock = Lock()
        self._thread: Thread | None = None
        self._ready = False
        self.problem = ""
        boxes = index.boxes()
        self._box_id = np.asarray(boxes.box_id, np.int64)
        self._class_id = np.asarray(boxes.class_id, np.int64)
        self._classes, self._code, self._class_boxes = np.unique(
            self._class_id, return_inverse=True, return_counts=True
        )
        self._places: NDArray[np.uint16] = np.zeros((0, 2), np.uint16)

    @property
    def boxes(self) -> int:
        """How many points there are."""
        return len(self._box_id)

    def ready(self) -> bool:
        """Whether the map is there; the first call starts it. `problem` says why it never will be."""
        with self._lock:
            if self._thread is None:
                self._thread = Thread(target=self._work_out, daemon=True)
                self._thread.start()
        return self._ready

    def to_bytes(self) -> bytes:
        """Little-endian columns one behind the other.

        n boxes and k classes (2 × uint32), box ids (n × int64), class ids (k × int64), colours of the classes
        (k × uint32, 0xRRGGBB), the class of each box as a place among the k (n × uint32), x (n × uint16),
        y (n × uint16), 1 where an issue is open (n × uint8).
        """
        colours = [int.from_bytes(bytes(colour_of(code)), "big") for code in range(len(self._classes))]
        columns = (
            np.array([self.boxes, len(self._classes)], "<u4"),
            self._box_id.astype("<i8"),
            self._classes.astype("<i8"),
            np.array(colours, "<u4"),
            self._code.astype("<u4"),
            self._places[:, 0].astype("<u2"),
            self._places[:, 1].astype("<u2"),
            self._open().astype("u1"),
        )
        return b"".join(column.tobytes() for column in columns)

    def regions(self) -> list[Region]:
        """Fields of the raster with the most open findings, then the most boxes."""
        step = GRID / REGIONS
        fields = np.minimum(self._places // step, REGIONS - 1).astype(np.int64)
        number = fields[:, 1] * REGIONS + fields[:, 0]
        is_open = self._open()
        out = []
        for field in np.unique(number).tolist():
            inside = number == field
            row, column = divmod(field, REGIONS)
            counts = np.bincount(self._code[inside], minlength=len(self._classes))
            corners = [round(v * step) for v in (column, row, column + 1, row + 1)]
            out.append(
                Region(
                    row=row + 1,
                    column=column + 1,
                    area=area_text(rectangle(*corners)),
                    boxes=int(inside.sum()),
                    findings=int(is_open[inside].sum()),
                    class_id=int(self._classes[counts.argmax()]),
                )
            )
        return sorted(out, key=lambda r: (-r.findings, -r.boxes, r.row, r.column))[:MOST_REGIONS]

    def legend(self) -> list[tuple[int, int, str]]:
        """(class id, boxes, colour on the map as `#rrggbb`) of every class with a box, by id."""
        colours = [f"#{bytes(colour_of(code)).hex()}" for code in range(len(self._classes))]
        return list(zip(self._classes.tolist(), self._class_boxes.tolist(), colours, strict=True))

    def _open(self) -> NDArray[np.bool_]:
        return np.isin(self._box_id, self._work.open_boxes())

    def _work_out(self) -> None:
        try:
            self._places = places(self._index, self._box_id)
            self._work.place(self._box_id, self._places)
            self._ready = True
        except (HealtheatError, OSError, ValueError, KeyError, MemoryError) as error:
            self.problem = f"The map cannot be computed for this index: {error}"
