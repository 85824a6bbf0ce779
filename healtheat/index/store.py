"""Index: one built folder, opened for reading."""

from __future__ import annotations

import os
from collections.abc import Sequence
from functools import cached_property
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from healtheat.core.boxes import Boxes, Images, Problem, ProblemCode
from healtheat.core.corners import Outline, what_is_wrong
from healtheat.core.errors import BadIndex, IndexBusy, InputError
from healtheat.core.files import Unreadable, read_small
from healtheat.core.issues import Silence
from healtheat.core.paths import is_folder
from healtheat.core.text import shown
from healtheat.crops import CROP_MEASURES
from healtheat.index.catalog import Catalog
from healtheat.index.manifest import BACKGROUND, CATALOG_NAME, MANIFEST_NAME, Manifest, shard_name
from healtheat.index.shards import Shard, check_shard, open_shard
from healtheat.index.staging import is_ready, roll_forward_when_free
from healtheat.index.verdicts.judging import Judging
from healtheat.index.verdicts.log import VerdictLog
from healtheat.index.verify import changed_files, damage, every_problem, unlisted

MAX_IMAGE_BYTES = 256 << 20
_ATTEMPTS = 5
_BOX_COLUMNS = "box_id, image_id, line, class_id, cx, cy, w, h, confidence, corners"


class Index:
    """An index opened for reading; `open` is the way to get one. Safe to use from several threads."""

    def __init__(self, path: Path, manifest: Manifest, verdict_log: VerdictLog | None = None) -> None:
        self.path = path
        self.manifest = manifest
        self._catalog = Catalog(path / CATALOG_NAME, version=manifest.format_version)
        self._stamp = _stamp(path)
        self._sound: set[int | str] = set()  # shards whose vectors were looked at
        Judging.create_tables(self._catalog)
        self._judging = (
            None if verdict_log is None else Judging(verdict_log, self._catalog, self.boxes, self.images)
        )

    @classmethod
    def open(cls, path: str | os.PathLike[str], *, verify: bool = True) -> Index:
        """Open the index at `path`. With `verify`, every file's hash is compared with the manifest.

        A folder that holds a file which is no part of the index is refused.

        Raises BadIndex, which names the file, what was expected and what was found. A build that was
        killed while it moved its files into place is finished first.
        """
        path = Path(path)
        for attempt in range(_ATTEMPTS):
            roll_forward_when_free(path)
            before = _stamp(path)
            try:
                manifest = Manifest.read(path / MANIFEST_NAME)
                found = unlisted(path, manifest) or (damage(path, manifest) if verify else [])
                if found:
                    raise BadIndex(found[0])
                index = cls(path, manifest, VerdictLog(path))
                index._check_shards()
            except BadIndex:
                # A build that was committed while we read looks like damage: then look again.
                if attempt == _ATTEMPTS - 1 or (_stamp(path) == before and not is_ready(path)):
                    raise
                continue
            if _stamp(path) == before and not is_ready(path):
                return index
            index.close()
        raise IndexBusy(f"{path} is being built again and again; try later")

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Let go of the files."""
        self._catalog.close()

    @cached_property
    def names(self) -> dict[int, str]:
        """Class id → name, every class of the dataset, whether it has boxes or not."""
        rows = self.sql("SELECT class_id, name FROM classes ORDER BY class_id").to_pydict()
        return dict(zip(rows["class_id"], rows["name"], strict=True))

    def images(self) -> Images:
        """All images, ordered by image_id."""
        rows = self._catalog.sql("SELECT * FROM images ORDER BY image_id")
        columns: dict[str, Any] = {
            name: _numbers(rows, name, np.int64) for name in ("image_id", "width_px", "height_px")
        }
        for name in ("path", "split", "status", "sha256", "group_key"):
            columns[name] = _texts(rows, name)
        return Images(**columns)

    def boxes(self) -> Boxes:
        """All boxes, ordered by box_id, with the corners of those that are no upright boxes."""
        rows = self._catalog.sql(f"SELECT {_BOX_COLUMNS} FROM boxes ORDER BY box_id")
        numbers = {
            name: _numbers(rows, name, np.int64) for name in ("box_id", "image_id", "line", "class_id")
        }
        xywhn = np.stack([_numbers(rows, name, np.float64) for name in ("cx", "cy", "w", "h")], axis=1)
        return Boxes(
            **numbers,
            xywhn=xywhn,
            confidence=_numbers(rows, "confidence", np.float32),
            corners=_outlines(rows["corners"], numbers["box_id"]),
        )

    def outline(self, box_id: int) -> Outline | None:
        """The (k, 2) corners of one box, None of an upright one. Raises KeyError for an unknown box."""
        rows = self.sql("SELECT corners FROM boxes WHERE box_id = ?", [box_id])
        if not len(rows):
            raise KeyError(f"no box {box_id}")
        found: Outline | None = _outlines(rows["corners"], np.array([box_id]))[0]
        return found

    def problems(self) -> list[Problem]:
        """All problems, in the order they were met."""
        rows = self.sql(
            "SELECT p.code, p.file, p.line, p.reason, coalesce(i.path, '') AS image FROM problems p "
            "LEFT JOIN images i USING (image_id) ORDER BY problem_id"
        )
        try:
            return [Problem(**{**row, "code": ProblemCode(row["code"])}) for row in rows.to_pylist()]
        except ValueError as error:
            raise BadIndex(f"{CATALOG_NAME}: problems: {error}; build the index again") from None

    def vectors(self, box_ids: NDArray[np.int64]) -> NDArray[np.float32]:
        """(n, d) unit vectors in the order of `box_ids`. Raises KeyError for a box that is not here."""
        ids = np.asarray(box_ids, np.int64).reshape(-1)
        rows = self._rows(ids)
        out = np.empty((len(ids), self.manifest.dim), np.float32)
        classes = self._boxes.class_id[rows]
        for class_id in np.unique(classes).tolist():
            mine = classes == class_id
            if class_id not in self._shard_rows:
                raise BadIndex(f"{self.path}: boxes of class {class_id} have no shard; build the index again")
            try:
                out[mine] = self._shard(class_id).rows(ids[mine])
            except KeyError as error:
                raise BadIndex(
                    f"{self.path / shard_name(class_id)}: {error}; build the index again"
                ) from None
        return out

    def background(self) -> NDArray[np.float32]:
        """(m, d) unit vectors of tiles cut from unlabelled parts of the images, ordered by tile_id."""
        return self._shard(BACKGROUND).at(slice(None))

    def words(self) -> dict[str, dict[str, NDArray[np.float32]]]:
        """question → answer → (d,) weights whose product with a vector is the answer's logit; {} where the
        encoder that built this knows no text. Raises BadIndex where they do not fit the vectors.
        """
        rows = self.sql("SELECT * FROM words ORDER BY question, place, number").to_pydict()
        found: dict[str, dict[str, list[float]]] = {}
        for question, answer, weight in zip(rows["question"], rows["answer"], rows["weight"], strict=True):
            found.setdefault(question, {}).setdefault(answer, []).append(weight)
        out = {q: {a: np.array(w, np.float32) for a, w in answers.items()} for q, answers in found.items()}
        for question, answers in out.items():
            for answer, weights in answers.items():
                if weights.shape != (self.manifest.dim,) or not np.isfinite(weights).all():
                    raise BadIndex(
                        f"{CATALOG_NAME}: words: {question}, {answer}: expected {self.manifest.dim} finite "
                        f"numbers, found {len(weights)}; build the index again"
                    )
        return out

    def measures(self, box_ids: NDArray[np.int64]) -> NDArray[Any]:
        """(n,) CROP_MEASURES records in the order of `box_ids`."""
        rows = self._rows(np.asarray(box_ids, np.int64).reshape(-1))
        table = self.sql(f"SELECT {', '.join(CROP_MEASURES.names or ())} FROM boxes ORDER BY box_id")
        out = np.empty(len(rows), CROP_MEASURES)
        for name in CROP_MEASURES.names or ():
            out[name] = table[name].to_numpy()[rows]
        return out

    def shard(self, class_id: int) -> Any:
        """The class's `faiss.IndexIDMap2`; ids are box ids. Raises KeyError for a class without boxes."""
        return self._shard(class_id).index

    def sql(self, query: str, parameters: Sequence[Any] = ()) -> pa.Table:
        """The result of one SELECT over the tables of the catalog. Raises InputError for anything else."""
        if self._judging is not None:
            self._judging.show()
        return self._catalog.sql(query, parameters)

    def scores(self) -> pa.Table:
        """Table `scores`: what every signal said of every box."""
        return self.sql("SELECT * FROM scores")

    def findings(self) -> pa.Table:
        """Table `findings`, ordered by finding_id."""
        return self.sql("SELECT * FROM findings ORDER BY finding_id")

    def silences(self) -> list[Silence]:
        """The questions that signals did not ask of this set, in the order of the signals."""
        rows = self.sql("SELECT signal, issue, why FROM silences ORDER BY run_id, issue, why").to_pylist()
        try:
            return [Silence(**row) for row in rows]
        except ValueError as error:
            raise BadIndex(f"{CATALOG_NAME}: silences: {error}; build the index again") from None

    @property
    def judging(self) -> Judging:
        """What takes verdicts down and back. Raises InputError for an index that is still being built."""
        if self._judging is None:
            raise InputError("this index is still being built; it takes no verdicts")
        return self._judging

    def verdicts(self) -> pa.Table:
        """Table `verdicts` as of now: decisions in the order they were made, taken back ones marked."""
        self.judging.refresh()
        return self.sql("SELECT * FROM verdicts ORDER BY seq")

    def image_file(self, image_id: int) -> Path:
        """Where the image lies. Its content may have changed since: read it with `image_bytes`."""
        return Path(self.manifest.source.root) / str(self._file_of(image_id)["file"])

    def image_bytes(self, image_id: int) -> bytes:
        """The image as it was built from. Raises InputError if it is gone or has changed since.

        Nothing is returned whose hash the index does not know, so an index of a stranger cannot be used
        to read other files.
        """
        file = self.image_file(image_id)
        try:
            content = read_small(file, MAX_IMAGE_BYTES)
        except Unreadable as error:
            raise InputError(f"{file}: {error}; build the index again") from None
        if content.sha256 != self._file_of(image_id)["sha256"]:
            raise InputError(f"{file}: changed since the index was built; build it again")
        return content.data

    def check_source(self) -> None:
        """Raises InputError where the data set is not where the index was built from."""
        root = Path(self.manifest.source.root)
        if not is_folder(root):
            raise InputError(
                f"{shown(str(root), 1000)}: the data set is not there any more; move it back, or build the "
                "index again from where it is now"
            )

    def changed_label_files(self) -> list[str]:
        """Label files that are gone or have another content than when the index was built."""
        return changed_files(Path(self.manifest.source.root), self.manifest.every_label_file())

    def verify(self) -> list[str]:
        """Everything that is wrong with the folder: changed, missing and extra files, rows that disagree."""
        return every_problem(self.path, self.manifest, self._catalog, self.judging)

    @cached_property
    def _boxes(self) -> Boxes:
        return self.boxes()

    def _rows(self, box_ids: NDArray[np.int64]) -> NDArray[np.int64]:
        """Rows of these boxes among all boxes, which are ordered by box_id."""
        known = self._boxes.box_id
        rows = np.searchsorted(known, box_ids)
        missing = ~np.isin(box_ids, known)
        if missing.any():
            raise KeyError(f"no box {int(box_ids[missing][0])}")
        return rows.astype(np.int64)

    def _file_of(self, image_id: int) -> dict[str, Any]:
        rows = self.sql("SELECT file, sha256 FROM images WHERE image_id = ?", [image_id]).to_pylist()
        if not rows:
            raise KeyError(f"no image {image_id}")
        return dict(rows[0])

    def _replaced(self) -> bool:
        """Whether its boxes are no longer those that were opened; what `vet` learns may join them."""
        if _stamp(self.path) == self._stamp and not is_ready(self.path):
            return False
        try:
            roll_forward_when_free(self.path)
            stamp, now = _stamp(self.path), Manifest.read(self.path / MANIFEST_NAME)
        except (BadIndex, IndexBusy):
            return True
        if now.boxes_files != self.manifest.boxes_files or _stamp(self.path) != stamp:
            return True
        self._stamp = stamp
        return False

    def _shard(self, name: int | str) -> Shard:
        """One shard, mapped now; nothing is kept. Raises BadIndex if a build replaced the index meanwhile, or
        its vectors are none.
        """
        rows = self._rows_of(name)
        try:
            shard = open_shard(self.path / shard_name(name), rows=rows, dim=self.manifest.dim)
        finally:  # also where the file is gone or another one: the reason is the build, not damage
            if self._replaced():
                raise BadIndex(f"{self.path} was built again since it was opened; open it again")
        if name not in self._sound:
            if wrong := shard.unsound():
                raise BadIndex(f"{self.path / shard_name(name)}: {wrong}; build the index again")
            self._sound.add(name)
        return shard

    def _rows_of(self, name: int | str) -> int:
        return self.manifest.counts.background if name == BACKGROUND else self._shard_rows[int(name)]

    def _check_shards(self) -> None:
        """Refuse at once what cannot be read later."""
        names: list[int | str] = [*self._shard_rows, BACKGROUND]
        for name in names:
            check_shard(self.path / shard_name(name), rows=self._rows_of(name), dim=self.manifest.dim)

    @cached_property
    def _shard_rows(self) -> dict[int, int]:
        return self.manifest.class_rows()


def _numbers(rows: pa.Table, name: str, dtype: type) -> NDArray[Any]:
    """A column as numpy; NULL becomes NaN."""
    return np.array(rows[name].to_numpy(), dtype)


def _outlines(column: pa.ChunkedArray, box_id: NDArray[np.int64]) -> NDArray[np.object_]:
    """The corners of every box as (k, 2), None where there are none. Raises BadIndex for what is none."""
    out = np.full(len(column), None, object)
    given = np.flatnonzero(column.is_valid().to_numpy())
    if not len(given):
        return out
    lists = column.drop_null().combine_chunks()
    numbers = lists.values.to_numpy(zero_copy_only=False)
    ends = lists.offsets.to_numpy()
    for row, start, end in zip(given.tolist(), ends[:-1].tolist(), ends[1:].tolist(), strict=True):
        wrong = "an odd number of coordinates" if (end - start) % 2 else ""
        out[row] = numbers[start : end - (end - start) % 2].reshape(-1, 2)
        if wrong := wrong or what_is_wrong(out[row]):
            raise BadIndex(f"{CATALOG_NAME}: corners of box {box_id[row]}: {wrong}; build the index again")
    return out


def _texts(rows: pa.Table, name: str) -> NDArray[np.object_]:
    return np.array([*rows[name].to_pylist(), None], object)[:-1]  # None: never an array of strings


def _stamp(path: Path) -> tuple[int, int, int] | None:
    try:
        found = (path / MANIFEST_NAME).stat()
    except OSError:
        return None
    return found.st_mtime_ns, found.st_ino, found.st_size
