"""AI Hub's raw files: every box is of one category, and the drug stands in a field of the image."""

from __future__ import annotations

from collections.abc import Iterator

from healtheat.core.boxes import Problem, ProblemCode
from healtheat.core.text import counted, shown
from healtheat.sources.coco.file import CocoFile

_AT_MOST = 100_000  # codes that are remembered


class Codes:
    """Which classes the boxes have, and which drug codes their images name, over all files of a set."""

    def __init__(self, file: str) -> None:
        self._file = file  # the first, which the problem names
        self._classes: dict[int, str] = {}
        self._codes: set[str] = set()

    def add(self, coco: CocoFile) -> None:
        """What one file says."""
        self._classes.update((int(i), coco.names[int(i)]) for i in set(coco.boxes.class_id.tolist()))
        if len(self._codes) < _AT_MOST:
            self._codes.update(image.code for image in coco.images if image.code)

    def problems(self) -> Iterator[Problem]:
        """One, where all boxes are of one class while the images name several drugs."""
        if len(self._classes) != 1 or len(self._codes) < 2:
            return
        ((ident, name),) = self._classes.items()
        first = ", ".join(shown(code) for code in sorted(self._codes)[:3])
        yield Problem(
            ProblemCode.ONE_CLASS,
            self._file,
            None,
            f"every category_id is {ident} ({shown(name)}), while images[].drug_N names "
            f"{counted(len(self._codes), 'drug')} ({first}, …): AI Hub's raw files; to have the drugs as "
            "classes, make copies with dl_idx as category_id and dl_name as its name (docs/formats.md has a "
            "script), and build those with the folder of the images",
        )
