"""Where a file may be written: never over or among the files of a data set, never into an index."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path
from typing import Self

from healtheat.core.errors import Argument, InputError
from healtheat.core.paths import is_file, is_folder, normal
from healtheat.index.batches import batches_of
from healtheat.index.manifest import MANIFEST_NAME
from healtheat.index.staging import first_index
from healtheat.index.store import Index
from healtheat.index.verdicts.log import LOG_NAME

QUARANTINE = ".healtheat"  # in the data set: the originals of a cleanup in place


@dataclass(frozen=True, slots=True)
class Places:
    """What no command may write to: `files` of the data set, its `folders` and the index, links followed.

    `folders` are those that hold images or label files: `images` and `labels` of YOLO, whatever lies below
    them, a folder that is read whole (COCO, VOC, LabelMe, …), else the very folders of the images.
    """

    index: Path
    files: frozenset[str]  # absolute; text, since there may be a million
    folders: frozenset[Path]

    @classmethod
    def of(cls, index: Index) -> Self:
        """The places of the index, of the data set that it was built from, and of what was added to it."""
        source = index.manifest.source
        root, data = Path(source.root), Path(source.data)
        batches = batches_of(index)
        edits = {0: source.edits, **{batch.batch_id: batch.edits for batch in batches}}
        folders = {_resolved(root / QUARANTINE), *(_resolved(Path(b.root) / QUARANTINE) for b in batches)}
        for kind, given in ((source.edits, data), *((b.edits, Path(b.data)) for b in batches)):
            if kind != "lines" and is_folder(given):
                folders.add(_resolved(given))  # it is read whole, and so would be what is written into it
        images = index.sql("select file, label_path, batch_id from images").to_pydict()
        names: set[str] = set()
        for batch_id, kind in edits.items():
            mine = [n for n, batch in enumerate(images["batch_id"]) if batch == batch_id]
            in_folders = {images["file"][n] for n in mine}
            if kind == "lines":  # elsewhere a label file is a JSON or weights, which may lie anywhere
                in_folders |= {path for n in mine if (path := images["label_path"][n])}
            for name in {os.path.dirname(path) for path in in_folders}:  # noqa: PTH120 (a call a file)
                folder = normal(root / name)
                folders.add(_resolved(folder))  # its own: folders above it may lead there by a link
                if kind == "lines":
                    folders.add(_resolved(_outermost(folder, root)))
            names |= in_folders
        names |= {*index.manifest.every_label_file(), str(data), *(batch.data for batch in batches)}
        files = {os.path.join(root, path) for path in names}  # noqa: PTH118
        return cls(_resolved(index.path), frozenset(files), frozenset(folders))

    def check_file(self, to: Path, *, overwrite: bool = False) -> None:
        """Raises InputError unless the file `to` may be written, or with `overwrite` be replaced."""
        self._check_outside(to)
        if to.exists():
            if self._is_data(to):
                raise InputError(f"{to}: is a file of the data set, which is only read; choose another name")
            if not to.is_file():
                raise InputError(f"{to}: exists already and is no file; give a file")
            if not overwrite:
                raise InputError(
                    f"{to}: exists already; choose another name or add ", Argument("overwrite", True)
                )

    def check_folder(self, to: Path, *, replaced: bool = False) -> None:
        """Raises InputError unless the folder `to` may be written and, to be `replaced`, removed."""
        self._check_outside(to)
        if not is_folder(to):
            return
        target = _resolved(to)
        parents = map(Path, {os.path.dirname(file) for file in self.files})  # noqa: PTH120
        if any(_resolved(folder).is_relative_to(target) for folder in (*self.folders, *parents)):
            raise InputError(f"{to}: holds the data set; give a folder elsewhere")
        names = (MANIFEST_NAME, LOG_NAME) if replaced else ()
        below = (file.parent for name in names for file in target.rglob(name))
        if (found := self.index if self.index.is_relative_to(target) else first_index(below)) is not None:
            raise InputError(f"{to}: holds the index {found}; give a folder elsewhere")

    def check_marked(self, to: Path, mark: str, what: str, *, overwrite: bool = False) -> None:
        """Raises InputError unless the folder `to` is new, empty, or with `overwrite` one of ours.

        `mark` is a file that only such a folder has, `what` says what it holds.
        """
        ours = is_file(to / mark)
        self.check_folder(to, replaced=ours)
        if to.exists() and not to.is_dir():
            raise InputError(f"{to}: is a file; give a folder")
        if to.is_dir() and any(to.iterdir()):
            if not ours:
                raise InputError(f"{to}: is not empty; give a new folder")
            if not overwrite:
                raise InputError(
                    f"{to}: holds {what}; give a new folder or add ", Argument("overwrite", True)
                )

    def _check_outside(self, to: Path) -> None:
        target = _resolved(to)
        above = (target, *target.parents)
        if (inside := next((folder for folder in above if folder in self.folders), None)) is not None:
            raise InputError(f"{to}: lies inside {inside}, which holds the data set; write elsewhere")
        if (found := self.index if self.index in above else first_index(above)) is not None:
            raise InputError(f"{to}: lies in the index {found}, which holds nothing else; write elsewhere")

    def _is_data(self, to: Path) -> bool:
        """Whether `to` is a file of the data set, under whatever name and through whatever links."""
        wanted = to.stat()
        for file in self.files:
            try:
                found = os.stat(file)  # noqa: PTH116 (a call a file)
            except (OSError, ValueError):
                continue
            if os.path.samestat(found, wanted):
                return True
        return False


def _outermost(folder: Path, root: Path) -> Path:
    """The folder below `root` that `folder` lies in; outside of it, as far up as its `images` or `labels`."""
    if folder.is_relative_to(root) and folder != root:
        return root / folder.relative_to(root).parts[0]
    named = [n for n, part in enumerate(folder.parts, 1) if part in ("images", "labels")]
    return Path(*folder.parts[: named[-1]]) if named else folder


def _resolved(path: Path) -> Path:
    """Absolute, links followed. Raises InputError for what is no path."""
    try:
        return path.resolve()
    except (OSError, RuntimeError, ValueError) as error:  # a link to itself, forbidden characters
        raise InputError(f"{path}: no place to write to ({error}); give another") from None
