"""YOLO data sets as a source: images in folders or lists, one label file an image."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from healtheat.core.boxes import Boxes, Problem, ProblemCode
from healtheat.core.errors import InputError
from healtheat.core.paths import (
    IMAGE_SUFFIXES,
    is_any_image,
    is_file,
    is_folder,
    is_image,
    normal,
    relative,
    yolo_label_path,
)
from healtheat.core.text import Content, Missing, Unreadable, read_small, shown
from healtheat.sources.base import Edits, LabelFile, LabelFormat, LabelledImage, Record, Source, SourceOptions
from healtheat.sources.files import split_of, walk
from healtheat.sources.yolo.data_yaml import Split, load_data_yaml
from healtheat.sources.yolo.image_list import listed_images
from healtheat.sources.yolo.labels import MAX_LABEL_BYTES, parse_labels

# Labelling tools leave the class names beside the labels.
NOT_LABELS = frozenset({"classes.txt"})


class YoloSource:
    """A YOLO data set, read from data.yaml or from a folder that holds `images/` and `labels/`.

    Without data.yaml the class names are not known: every id is taken as it is, its name is the id as text,
    and the split is the first folder below `images/` if it is called train, val(id) or test.
    """

    kind = "yolo"
    edits: Edits = "lines"

    def __init__(self, data: Path) -> None:
        """Check data.yaml and the folders it names. Raises InputError; reads no label file and no image."""
        self.data = data
        self.names: dict[int, str] = {}
        self._yaml: tuple[Path, Content] | None = None
        if is_folder(data):
            self.root = normal(data)
            self._splits: tuple[Split, ...] = (Split(None, self.root / "images"),)
        else:
            described = load_data_yaml(data)
            self.root, self.names, self._splits = described.root, described.names, described.splits
            self._yaml = (described.path, described.content)

    def read(self) -> Iterator[Record]:
        """Label files, images and problems; splits in the order train, val, test, images sorted by path.

        An image met twice, or in two splits, is kept once, where it was met first, and reported. Raises
        InputError at the end if there was no image at all.
        """
        state = _State()
        if self._yaml:
            path, content = self._yaml
            yield LabelFile(relative(path, self.root), content.sha256, content.size)
        for split in self._splits:
            yield from self._read_split(split, state)
        if not state.split_of_image:
            folders = ", ".join(str(split.path) for split in self._splits)
            known = " ".join(sorted(IMAGE_SUFFIXES))
            raise InputError(f"{self.data}: no image in {folders}; images are files ending in {known}")
        yield from self._orphans(state)

    def _read_split(self, split: Split, state: _State) -> Iterator[Record]:
        if is_folder(split.path):
            state.label_folders.add(yolo_label_path(split.path / "x.x").parent)
            for path in self._walk(split.path, state):
                if isinstance(path, Problem):
                    yield path
                elif is_image(path.name):
                    yield from self._read_image(path, split, state, relative(path, self.root), None)
                elif is_any_image(path.name):
                    reason = f"YOLO does not train on {path.suffix} files; convert it to PNG"
                    yield Problem(ProblemCode.UNTRAINED_FORMAT, relative(path, self.root), None, reason)
            return
        file = relative(split.path, self.root)
        listed = listed_images(split.path, self.root, file)
        yield LabelFile(file, listed.content.sha256, listed.content.size)
        state.lists.add(str(split.path))
        yield from listed.problems
        for path, line in listed.images:
            yield from self._read_image(path, split, state, file, line)

    def _read_image(
        self, path: Path, split: Split, state: _State, named_by: str, line: int | None
    ) -> Iterator[Record]:
        """`named_by` and `line` say where a list names the image; a folder's image is named by itself."""
        image = relative(path, self.root)
        name = split_of(path.relative_to(split.path).parts[:-1]) if split.name is None else split.name
        if (earlier := state.split_of_image.get(str(path))) is not None:
            code, reason = ProblemCode.REPEATED_IMAGE, "image is given twice; kept once"
            if earlier != name:
                code = ProblemCode.LEAK
                reason = f"image is in split {earlier} too (a leak); kept there, not in {name}"
            yield Problem(code, named_by, line, reason if named_by == image else f"{image}: {reason}", image)
            return
        state.split_of_image[str(path)] = name

        label = yolo_label_path(path)
        label_path = relative(label, self.root)
        if (sharer := state.image_of_label.setdefault(str(label), image)) != image:
            reason = f"label file of two images, {sharer} and {image}; both kept"
            yield Problem(ProblemCode.SHARED_LABEL_FILE, label_path, None, reason, image)
        elif line is None:
            state.label_folders.add(label.parent)
        try:
            content = read_small(label, MAX_LABEL_BYTES)
        except Missing:
            yield LabelledImage(image, path, name, "unlabelled", "", Boxes.of([], [], []))
            return
        except Unreadable as error:
            yield Problem(ProblemCode.BAD_LABEL_FILE, label_path, None, f"label file {error}", image)
            yield LabelledImage(image, path, name, "labelled", label_path, Boxes.of([], [], []))
            return
        labels = parse_labels(content, self.names if self._yaml else None, file=label_path, image=image)
        if not self._yaml:
            self.names.update((i, str(i)) for i in map(int, labels.boxes.class_id))
        if sharer == image:
            yield LabelFile(label_path, content.sha256, content.size)
            yield from labels.problems
        status = "empty" if labels.blank else "labelled"
        yield LabelledImage(image, path, name, status, label_path, labels.boxes)

    def _orphans(self, state: _State) -> Iterator[Problem]:
        """Label files beside those read that belong to no image. Not looked for where splits are lists."""
        top = [f for f in sorted(state.label_folders) if not any(p in state.label_folders for p in f.parents)]
        for folder in top:
            if not is_folder(folder):
                continue
            for path in self._walk(folder, state):
                if isinstance(path, Problem):
                    yield path
                    continue
                is_label = path.suffix.lower() == ".txt" and path.name not in NOT_LABELS
                if is_label and str(path) not in state.image_of_label and str(path) not in state.lists:
                    code = ProblemCode.LABEL_WITHOUT_IMAGE
                    yield Problem(code, relative(path, self.root), None, "label file without an image")

    def _walk(self, folder: Path, state: _State) -> Iterator[Path | Problem]:
        """Files below `folder`, and what cannot be walked, each told once."""
        bad: list[Problem] = []

        def on_bad(path: Path, reason: str) -> None:
            if str(path) not in state.bad_paths:
                state.bad_paths.add(str(path))
                where = shown(relative(path, self.root), 1000)
                bad.append(Problem(ProblemCode.BAD_PATH, where, None, reason))

        for path in walk(folder, on_bad):
            yield from bad
            bad.clear()
            yield path
        yield from bad


@dataclass(slots=True)
class _State:
    """What one run of `read` has met so far; paths as text, which is a third of the size."""

    split_of_image: dict[str, str] = field(default_factory=dict)
    image_of_label: dict[str, str] = field(default_factory=dict)
    label_folders: set[Path] = field(default_factory=set)
    lists: set[str] = field(default_factory=set)
    bad_paths: set[str] = field(default_factory=set)


def _recognises(data: Path) -> bool:
    return bool(_yamls(data)) or _has_both_folders(data) if is_folder(data) else _is_yaml(data)


def _open(data: Path, options: SourceOptions) -> Source:
    return YoloSource(_yaml_in(data) if is_folder(data) else data)


def _yaml_in(folder: Path) -> Path:
    """The data.yaml of a folder: the file of that name, or its only YAML; else the folder itself."""
    found = _yamls(folder)
    named = [path for path in found if path.stem.lower() == "data"]
    if len(named) == 1 or len(found) == 1:
        return (named or found)[0]
    if found:
        listed = ", ".join(path.name for path in found[:5])
        raise InputError(f"{folder}: has several YAML files ({listed}); give the one to read")
    if not _has_both_folders(folder):
        raise InputError(f"{folder}: has no data.yaml and no folders images/ and labels/; give {YOLO.given}")
    return folder


def _yamls(folder: Path) -> list[Path]:
    return sorted(path for path in folder.iterdir() if _is_yaml(path) and is_file(path))


def _is_yaml(path: Path) -> bool:
    return path.suffix.lower() in (".yaml", ".yml")


def _has_both_folders(folder: Path) -> bool:
    return is_folder(folder / "images") and is_folder(folder / "labels")


YOLO = LabelFormat(
    kind=YoloSource.kind,
    given="a data.yaml or a folder with images/ and labels/",
    recognises=_recognises,
    open=_open,
)
