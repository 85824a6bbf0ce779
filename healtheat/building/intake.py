"""The stream of a source, taken in its order: images become rows and vectors, bad ones become problems."""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from healtheat.building.images import CropPlan, ReadImage, Slice, read_ahead
from healtheat.building.joining import Joining
from healtheat.core.boxes import MAX_CLASS_ID, Problem, ProblemCode
from healtheat.core.errors import Argument, InputError
from healtheat.core.progress import Progress
from healtheat.core.text import counted
from healtheat.crops import CROP_MEASURES
from healtheat.embedding import Encoder
from healtheat.index.cache import VectorPool
from healtheat.index.catalog import CatalogWriter
from healtheat.index.keys import image_key
from healtheat.index.manifest import Counts, FileEntry
from healtheat.sources.base import LabelFile, Source
from healtheat.sources.checked import checked
from healtheat.sources.groups import group_key

_PROBLEMS_SHOWN = 10
_PLACE = ("cx", "cy", "w", "h")
_MEASURES = CROP_MEASURES.names or ()


class Batcher:
    """Collects new crops into full batches for the encoder and puts the vectors into the pool."""

    def __init__(self, encoder: Encoder, pool: VectorPool) -> None:
        self._encoder = encoder
        self._pool = pool
        self._size = encoder.spec.batch_size
        self._waiting: dict[bytes, tuple[NDArray[np.uint8], np.void]] = {}
        self.embedded = 0
        self.seconds = 0.0

    def __contains__(self, key: bytes) -> bool:
        return key in self._waiting or key in self._pool

    def measures(self, key: bytes) -> np.void:
        """The CROP_MEASURES record of a crop that was added or is in the pool."""
        record: np.void = self._waiting[key][1] if key in self._waiting else self._pool.measures(key)
        return record

    def add(self, part: Slice) -> None:
        """Crops to embed; those that came up elsewhere in the meantime are left out."""
        for key, crop, record in zip(part.keys, part.crops, part.measures, strict=True):
            if key not in self:
                self._waiting[key] = (crop, record)
        while len(self._waiting) >= self._size:
            self._encode()

    def finish(self) -> None:
        """Embed what is left."""
        while self._waiting:
            self._encode()

    def _encode(self) -> None:
        keys = list(self._waiting)[: self._size]
        crops = np.stack([self._waiting[key][0] for key in keys])
        measures = np.array([self._waiting[key][1] for key in keys], CROP_MEASURES)
        started = time.perf_counter()
        vectors = self._encoder.encode(crops)
        self.seconds += time.perf_counter() - started
        self._pool.add(keys, vectors, measures)
        for key in keys:
            del self._waiting[key]
        self.embedded += len(keys)


class CropCounter(Batcher):
    """Counts the crops that would be embedded, for a dry run: nothing is, and no crop is kept."""

    def add(self, part: Slice) -> None:
        """Crops to count."""
        for key, record in zip(part.keys, part.measures, strict=True):
            if key not in self:
                self._waiting[key] = (part.crops[:0], record.copy())

    def finish(self) -> None:
        """Count what was added."""
        self.embedded = len(self._waiting)


class Intake:
    """Reads one source into a catalog and a pool. After `run`, the public fields say what came in.

    `into` says what is in the catalog already, nothing unless given; ids follow those there.
    """

    def __init__(
        self,
        source: Source,
        catalog: CatalogWriter,
        pool: VectorPool,
        batcher: Batcher,
        plan: CropPlan,
        group_rule: str,
        strict: bool,
        progress: Progress,
        into: Joining | None = None,
        elsewhere: Mapping[str, str] | None = None,
    ) -> None:
        self._into = into or Joining()
        there = self._into.counts
        self._first_image, self._first_box = (there.images, there.boxes) if there else (0, 0)
        self._first_tile, self._first_problem = (there.background, there.problems) if there else (0, 0)
        self._source = source
        self._catalog = catalog
        self._pool = pool
        self._batcher = batcher
        self._plan = plan
        self._group_rule = group_rule
        self._strict = strict
        self._progress = progress
        self._elsewhere = elsewhere or {}  # SHA-256 → path, of images that another index holds
        self.images = 0
        self.boxes = 0
        self.background = 0
        self.outlined = 0  # boxes with corners
        self.unlabelled = 0  # images without a label file
        self.without_box = 0  # images whose label file gives none
        self.first_without_box = ""  # the label file of the first of them
        self.untrained = 0  # images that the trainer ignores, or that cannot be read
        self.task = ""
        self.problems: list[Problem] = []
        self.new_problems = 0  # of them, those the index did not have
        self.label_files: dict[str, FileEntry] = {}
        self.new_names: dict[int, str] = {}
        self.class_ids: set[int] = set()  # of boxes

    def run(self, threads: int) -> None:
        """Take everything in. Raises InputError under `strict` if anything could not be read."""
        group_key("", self._group_rule)  # a senseless rule is told before the work
        self._into.new_names(self._names())  # and so is a class with another name
        named = self._into.named
        for item in read_ahead(checked(self._source), self._plan, self._pool, threads):
            if isinstance(item, LabelFile):
                self.label_files[named(item.path)] = FileEntry(sha256=item.sha256, size=item.size)
            elif isinstance(item, Problem):
                self._problem(replace(item, file=named(item.file), image=named(item.image)))
            else:
                self._take(item)
        if self._strict and self.problems:
            raise self._fatal()
        self._batcher.finish()
        self._write_problems()
        self.new_names = self._into.new_names(self._names())
        for class_id, name in sorted(self.new_names.items()):
            self._catalog.add("classes", class_id=class_id, name=name, batch_id=self._into.batch_id)

    def counts(self) -> Counts:
        """Rows of the catalog so far; nothing is scored yet."""
        return Counts(
            images=self._first_image + self.images,
            boxes=self._first_box + self.boxes,
            classes=len(self._into.names) + len(self.new_names),
            problems=self._first_problem + self.new_problems,
            background=self._first_tile + self.background,
            findings=0,
            flagged=0,
        )

    @property
    def advice(self) -> str:
        """What to look at where no box was found: the paths, unless every image was there with its labels."""
        if not self.images or self.without_box < self.images:
            return "check the paths in it"
        if all(problem.is_note for problem in self.problems):
            return "the label files were found and hold no object: label some first"
        return "the label files were found, and nothing in them can be used as a box"

    def _names(self) -> dict[int, str]:
        """The names of classes that boxes can have."""
        return {i: name for i, name in self._source.names.items() if 0 <= i <= MAX_CLASS_ID}

    def _problem(self, problem: Problem) -> None:
        self.problems.append(problem)
        if self._strict and len(self.problems) >= _PROBLEMS_SHOWN:
            raise self._fatal()

    def _fatal(self) -> InputError:
        shown = "; ".join(str(problem) for problem in self.problems[:_PROBLEMS_SHOWN])
        count = len(self.problems)
        found = ("at least " if count >= _PROBLEMS_SHOWN else "") + counted(count, "problem")
        return InputError(f"{found}: {shown}; fix them or build without ", Argument("strict"))

    def _take(self, read: ReadImage) -> None:
        record, image_id = read.record, self._first_image + self.images
        path = self._into.named(record.path)
        if self._into.held is not None and (why := self._into.held.why_not(read, path)) is not None:
            if isinstance(why, Problem):
                self._problem(why)
            return
        self.images += 1
        if read.reason is not None:
            lost = len(record.boxes)
            are = counted(lost, "labelled box is", "labelled boxes are")
            reason = read.reason + (f" (its {are} not in the index)" if lost else "")
            self._problem(Problem(read.code, path, None, reason, path))
        elif read.untrained:
            code = ProblemCode.IGNORED_IMAGE
            self._problem(Problem(code, path, None, read.untrained, path))
        elif not len(record.boxes) and (known := self._elsewhere.get(read.sha256)):
            reason = f"the index holds this image already, as {known}; here it has no box"
            self._problem(Problem(ProblemCode.HELD_IMAGE, path, None, reason, path))
        self.task = self.task or record.task
        if record.label_path and not len(record.boxes):
            self.without_box += 1
            self.first_without_box = self.first_without_box or record.label_path
        self.unlabelled += record.status == "unlabelled"
        self.untrained += bool(record.task and (record.untrained or read.reason or read.untrained))
        self._image_row(read, image_id)
        if read.reason is not None or (self._strict and self.problems):
            return  # under strict, nothing is embedded any more once it is clear that the build fails
        self._pool.add_image(image_key(read.sha256, self._plan.fingerprint), read.facts)
        for part in read.new:
            self._batcher.add(part)
        first_box = self._first_box + self.boxes
        boxes = record.boxes.numbered(first_box, image_id)
        for row, key in enumerate(read.keys):
            confidence = float(boxes.confidence[row])
            self._catalog.add(
                "boxes",
                box_id=first_box + row,
                image_id=image_id,
                line=int(boxes.line[row]),
                class_id=int(boxes.class_id[row]),
                **dict(zip(_PLACE, boxes.xywhn[row].tolist(), strict=True)),
                confidence=None if np.isnan(confidence) else confidence,
                corners=None if boxes.corners[row] is None else boxes.corners[row].ravel(),
                crop_key=key.hex(),
                **dict(zip(_MEASURES, self._batcher.measures(key).item(), strict=True)),
            )
        for tile, key in zip(read.tiles.tolist(), read.tile_keys, strict=True):
            self._catalog.add(
                "background",
                tile_id=self._first_tile + self.background,
                image_id=image_id,
                **dict(zip(_PLACE, tile, strict=True)),
                crop_key=key.hex(),
            )
            self.background += 1
        self.boxes += len(boxes)
        self.class_ids.update(boxes.class_id.tolist())
        self.outlined += sum(outline is not None for outline in boxes.corners)
        self._progress("embed", self.boxes, None)

    def _image_row(self, read: ReadImage, image_id: int) -> None:
        record = read.record
        readable, named = read.reason is None, self._into.named
        group = group_key(record.path, self._group_rule)
        try:
            root = self._into.root
            file = (
                record.file.relative_to(self._source.root)
                if root is None
                else record.file.absolute().relative_to(root)
            ).as_posix()
        except ValueError:
            file = record.file.absolute().as_posix()
        self._catalog.add(
            "images",
            image_id=image_id,
            path=named(record.path),
            file=file,
            split=record.split,
            status=record.status if readable else "unreadable",
            label_path=named(record.label_path),
            width_px=read.facts.width_px,
            height_px=read.facts.height_px,
            sha256=read.sha256,
            dhash=read.facts.dhash if readable else None,
            group_key=named(record.path) if group == record.path else group,
            batch_id=self._into.batch_id,
        )

    def _write_problems(self) -> None:
        held = self._into.held
        new = [problem for problem in self.problems if held is None or not held.knows(problem)]
        self.new_problems = len(new)
        image_ids = dict(self._catalog.sql("SELECT path, image_id FROM images") if new else [])
        for number, problem in enumerate(new):
            image_id = image_ids.get(problem.image)
            self._catalog.add(
                "problems",
                problem_id=self._first_problem + number,
                code=problem.code,
                file=problem.file,
                line=problem.line,
                reason=problem.reason,
                image_id=image_id,
                batch_id=self._into.batch_id,
            )
