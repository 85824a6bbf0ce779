"""A vetted batch as a folder for Ultralytics: what to train on, and what is held, with its label lines."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path, PurePosixPath

from healtheat.cleanup.edits import without_lines
from healtheat.cleanup.inside import copy_image, inside, label_place
from healtheat.cleanup.lists import write_table_csv
from healtheat.cleanup.rows import PlannedImage
from healtheat.cleanup.yolo_set import YoloSet, data_yaml, read_set
from healtheat.core.atomic import replacing_folder
from healtheat.core.errors import InputError
from healtheat.core.files import read_whole
from healtheat.core.lines import listable, write_lines
from healtheat.core.portable import check_place, folded
from healtheat.exporting.vetted.gather import HELD, PARTLY, WHOLE, Vetted, VettedBox, VettedImage
from healtheat.index.target import Places
from healtheat.vetting.tables import flat

MARK = "vetted.json"  # marks a folder as one of ours
_EARLIER = "what was vetted earlier"
_TRAIN, _VAL = "train", "val"


def check_vetted_folder(places: Places, to: Path, *, overwrite: bool = False) -> None:
    """Raises InputError unless a vetted batch may be written to the folder `to`."""
    places.check_marked(to, MARK, _EARLIER, overwrite=overwrite)


def write_folder(given: Vetted, to: Path, *, overwrite: bool = False) -> list[str]:
    """Write the new folder `to`, whole or not at all, and return the names in it; see docs/vet.md.

    Images of a YOLO set that can be trained on as they are stay where they are. Everything else is a copy
    below `partly` and `held` (and `whole`, where the batch has no label files of its own), with the label
    lines as they are in the label file, or written from the boxes. In the images of `partly` the held boxes
    are greyed out; partly.txt lists those that can be trained on then. Raises InputError as
    `check_marked` does, or where an image or a label file changed since it was vetted.
    """
    to = Path(os.path.abspath(to))  # noqa: PTH100 - links stay links, as the trainer takes them
    places = Places.of(given.index)
    check_vetted_folder(places, to, overwrite=overwrite)
    with replacing_folder(to) as staged:
        writing = _Writing(given, staged, to)
        whole = writing.whole()
        lists = _splits(whole)
        for split, files in lists.items():
            write_lines(staged / f"{split}.txt", files)
        for part in (PARTLY, HELD):
            files = [writing.copy(part, image, boxes) for image, boxes in given.part(part)]
            write_lines(staged / f"{part}.txt", [file for file in files if file])
        if lists:
            text = data_yaml(given.index.names, writing.set.keys, [*lists])
            (staged / "data.yaml").write_text(_with_both(text, lists), encoding="utf-8", newline="\n")
        write_table_csv(staged / "decisions.csv", flat(given.rows))
        _write_mark(staged / MARK, given)
        names = sorted(path.name for path in staged.iterdir())
        check_vetted_folder(places, to, overwrite=overwrite)  # somebody may have put something there
    return names


class _Writing:
    """Copies of images and their labels, in the folder `staged` that will be `to`."""

    def __init__(self, given: Vetted, staged: Path, to: Path) -> None:
        self.given, self.staged, self.to = given, staged, to
        manifest = given.index.manifest
        source = manifest.source
        self.root = Path(os.path.realpath(source.root))  # as the trainer resolves it
        self.has_lines = source.edits == "lines"
        task = manifest.settings.get("task")
        self.set = (
            read_set(Path(source.data), task if isinstance(task, str) else None)
            if self.has_lines
            else YoloSet()
        )
        self.sha256 = {path: entry.sha256 for path, entry in manifest.every_label_file().items()}
        self.taken: set[str] = set()  # places of labels, folded

    def whole(self) -> list[tuple[str, str]]:
        """(split, absolute file) of the images to train on as they are."""
        out = []
        for image, boxes in self.given.part(WHOLE):
            file = (self.root / image.file).as_posix() if self.has_lines else self.copy(WHOLE, image, boxes)
            if listable(file):
                out.append((image.split, file))
        return out

    def copy(self, part: str, image: VettedImage, boxes: Sequence[VettedBox]) -> str:
        """Copy the image with the labels of `boxes`; returns where it will be, "" to list it nowhere."""
        place = self._place(part, image.path)
        usable = self._copy_pixels(part, image, self.staged / place)
        label = self.staged / label_place(self.to, place)
        label.parent.mkdir(parents=True, exist_ok=True)
        with label.open("xb") as file:
            file.write(self._lines(image, boxes))
        text = (self.to / place).as_posix()
        return text if usable and listable(text) else ""

    def _copy_pixels(self, part: str, image: VettedImage, target: Path) -> bool:
        """Copy the image; of `partly` without its held boxes. False where it cannot be trained on then."""
        planned = PlannedImage(image.path, image.file, image.split, image.label_path, image.sha256)
        if part != PARTLY:
            copy_image(self.root, planned, target)
            return True
        held = tuple(box.xywhn for box in image.boxes if not box.accepted)
        kept = tuple(box.xywhn for box in image.boxes if box.accepted)
        try:
            copy_image(self.root, replace(planned, grey=held, visible=kept), target)
        except InputError:  # of a kind that cannot be written again; or it changed, which is raised now
            copy_image(self.root, planned, target)
            return False
        return image.sound

    def _place(self, part: str, path: str) -> PurePosixPath:
        """A place for the image whose labels no other image has: a.jpg, a.png and A.jpg would share them."""
        name, number = inside(path), 1
        place = PurePosixPath(part) / name
        while (label := folded(label_place(self.to, place).as_posix())) in self.taken:
            number += 1
            place = PurePosixPath(part) / f"_{number}" / name
        check_place(place)
        self.taken.add(label)
        return place

    def _lines(self, image: VettedImage, boxes: Sequence[VettedBox]) -> bytes:
        if not self.has_lines:
            return "".join(f"{label_line(box)}\n" for box in boxes).encode("ascii")
        data = read_whole(self.root / image.label_path)
        if hashlib.sha256(data).hexdigest() != self.sha256.get(image.label_path):
            raise InputError(f"{image.label_path}: changed since it was vetted; vet it again")
        kept = {box.line for box in boxes}
        return without_lines(data, set(range(len(data.splitlines()))) - kept)


def label_line(box: VettedBox) -> str:
    """The label line of a box that came without one: its class id, and its corners or its upright box."""
    numbers = box.xywhn if box.corners is None else box.corners.ravel().tolist()
    return " ".join([str(box.class_id), *(repr(float(number)) for number in numbers)])


def _splits(whole: Sequence[tuple[str, str]]) -> dict[str, list[str]]:
    """Split → its images; those without a split are trained on."""
    found: dict[str, list[str]] = {}
    for split, file in whole:
        found.setdefault(split or _TRAIN, []).append(file)
    return {split: found[split] for split in sorted(found, key=lambda name: (name != _TRAIN, name))}


def _with_both(text: str, lists: Mapping[str, Sequence[str]]) -> str:
    """data.yaml with train and val, both of which Ultralytics needs: the other one where there is but one."""
    head = "# Images of which every box was accepted.\n"
    other = next(iter(lists))
    for split in (_TRAIN, _VAL):
        if split not in lists:
            head += f"# No image of {split} among them: put your own here.\n{split}: {other}.txt\n"
    return head + text


def _write_mark(path: Path, given: Vetted) -> None:
    parts = {name: given.part(name) for name in (WHOLE, PARTLY, HELD)}
    content = {
        name: {"images": len(part), "boxes": sum(len(boxes) for _, boxes in part)}
        for name, part in parts.items()
    }
    text = json.dumps(
        {"batch": given.index.path.absolute().as_posix(), **content}, ensure_ascii=False, indent=1
    )
    path.write_text(text + "\n", encoding="utf-8", newline="\n")
