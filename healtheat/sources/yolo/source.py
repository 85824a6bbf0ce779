"""YOLO data sets as a source: images in folders or lists, one label file an image."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path

from healtheat.core.boxes import Boxes, Problem, ProblemCode
from healtheat.core.errors import Argument, InputError
from healtheat.core.files import Content, Missing, Unreadable, read_small
from healtheat.core.paths import IMAGE_SUFFIXES, is_file, is_folder, normal, yolo_label_path
from healtheat.core.text import shown
from healtheat.sources.base import Edits, LabelFile, LabelFormat, LabelledImage, Record, Source, SourceOptions
from healtheat.sources.outside import Bounds
from healtheat.sources.yolo.data_yaml import Split, load_data_yaml
from healtheat.sources.yolo.labels import MAX_LABEL_BYTES, parse_labels
from healtheat.sources.yolo.line import LabelRules, Task
from healtheat.sources.yolo.members import Member, Members, Roots, gather, walked
from healtheat.sources.yolo.misplaced import Misplaced
from healtheat.sources.yolo.task import TASKS, Shapes, rules_of

# Labelling tools leave the class names beside the labels.
NOT_LABELS = frozenset({"classes.txt"})
MIN_SIDE_PX = 10  # Ultralytics ignores smaller images


class YoloSource:
    """A YOLO data set, read from data.yaml or from a folder that holds `images/` and `labels/`.

    Without data.yaml the class names are not known: every id is taken as it is, its name is the id as text,
    and the split is the first folder below `images/` if it is called train, val(id) or test.
    """

    kind = "yolo"
    edits: Edits = "lines"

    def __init__(self, data: Path, task: str | None = None) -> None:
        """Check data.yaml and the folders it names. Raises InputError; reads no label file and no image.

        `task` is what the set is labelled for, where its files do not tell it.
        """
        self._task = _known(task)
        self.data = data
        self.names: dict[int, str] = {}
        self._keypoints: tuple[int, int] | None = None
        self._yaml: tuple[Path, Content] | None = None
        self._problems: tuple[Problem, ...] = ()
        if is_folder(data):
            self.root = normal(data)
            self._splits: tuple[Split, ...] = (Split(None, self.root / "images"),)
        else:
            described = load_data_yaml(data)
            self.root, self.names, self._splits = described.root, described.names, described.splits
            self._yaml = (described.path, described.content)
            self._keypoints, self._problems = described.keypoints, described.problems
        self._bounds = Bounds(data)
        self._bounds.check(split.path for split in self._splits)
        if task == "pose":
            rules_of(Shapes(self._keypoints), "pose")
        self._roots = Roots(self.root)

    def read(self) -> Iterator[Record]:
        """Label files, images and problems; splits in the order train, val, test, images sorted by path.

        All label files are looked through first, for what they are labelled for is told by all of them. An
        image met twice, or in two splits, is kept once, where it was met first, and reported. Raises
        InputError at the end if there was no image at all.
        """
        if self._yaml:
            path, content = self._yaml
            yield LabelFile(self._roots.relative(path), content.sha256, content.size)
        yield from self._problems
        members = self.members()
        yield from members.records
        if not members.images:
            raise self._no_image(members)
        rules = self.rules(members)
        state = _State(Misplaced(self._roots.relative, members.links), walked=set(members.walked))
        state.label_folders.update(yolo_label_path(folder / "x.x").parent for folder in members.folders)
        for member in members.images:
            yield from self._read_image(member, rules, state)
        yield from state.misplaced.problems()
        yield from self._orphans(members, state)

    @property
    def lists(self) -> list[Path]:
        """The lists of images that stand for splits."""
        return [split.path for split in self._splits if is_file(split.path)]

    def members(self) -> Members:
        """The images of all splits and how often each is named, without their labels. Raises InputError."""
        data = self._roots.relative(self._yaml[0]) if self._yaml else self.data.name
        return gather(self._splits, self._roots, data, darknet=self.kind == "darknet", bounds=self._bounds)

    def rules(self, members: Members) -> LabelRules:
        """How the label files of `members` are to be read; looks into each of them."""
        shapes = Shapes(self._keypoints)
        for label in dict.fromkeys(str(yolo_label_path(Path(member.path))) for member in members.images):
            try:
                shapes.add(read_small(Path(label), MAX_LABEL_BYTES).data)
            except Unreadable:
                continue  # told when it is read
        return rules_of(shapes, self._task)

    def _no_image(self, members: Members) -> InputError:
        folders = ", ".join(dict.fromkeys(str(split.path) for split in self._splits))
        known = " ".join(sorted(IMAGE_SUFFIXES))
        problems = [*self._problems, *(r for r in members.records if isinstance(r, Problem))]
        first = f"; first of {len(problems)} problems: {problems[0]}" if problems else ""
        return InputError(f"{self.data}: no image in {folders}; images are files ending in {known}{first}")

    def _read_image(self, member: Member, rules: LabelRules, state: _State) -> Iterator[Record]:
        path, image = Path(member.path), member.image
        label = yolo_label_path(path)
        label_path = self._roots.relative(label)
        if (sharer := state.image_of_label.setdefault(str(label), image)) != image:
            reason = f"label file of two images, {sharer} and {image}; both kept"
            yield Problem(ProblemCode.SHARED_LABEL_FILE, label_path, None, reason, image)
        try:
            content = read_small(label, MAX_LABEL_BYTES)
        except Missing:
            state.misplaced.look(path, label)
            yield self._image(member, rules, "unlabelled", "")
            return
        except Unreadable as error:
            yield Problem(ProblemCode.BAD_LABEL_FILE, label_path, None, f"label file {error}", image)
            yield self._image(member, rules, "labelled", label_path, untrained=f"label file {error}")
            return
        names = self.names if self._yaml else None
        labels = parse_labels(content, names, file=label_path, image=image, rules=rules)
        if not self._yaml:
            self.names.update((i, str(i)) for i in map(int, labels.boxes.class_id))
        if sharer == image:
            yield LabelFile(label_path, content.sha256, content.size)
            yield from labels.problems
        else:
            yield from (replace(p, image=image) for p in labels.problems if p.is_untrained)
        status = "empty" if labels.blank else "labelled"
        yield self._image(member, rules, status, label_path, labels.boxes, labels.untrained)

    def _image(
        self,
        member: Member,
        rules: LabelRules,
        status: str,
        label_path: str,
        boxes: Boxes | None = None,
        untrained: str = "",
    ) -> LabelledImage:
        return LabelledImage(
            path=member.image,
            file=self.root / member.image,
            split=member.split,
            status=status,
            label_path=label_path,
            boxes=Boxes.of([], [], []) if boxes is None else boxes,
            task=rules.task,
            untrained=untrained,
            min_side_px=MIN_SIDE_PX,
        )

    def _orphans(self, members: Members, state: _State) -> Iterator[Problem]:
        """Label files beside those read that belong to no image. Not looked for where splits are lists."""
        top = [f for f in sorted(state.label_folders) if not any(p in state.label_folders for p in f.parents)]
        known = members.lists | state.image_of_label.keys() | state.misplaced.files
        for folder in top:
            if not is_folder(folder):
                continue
            for path in walked(folder, self._roots, state.walked):
                if isinstance(path, Problem):
                    yield path
                    continue
                is_label = path.suffix.lower() == ".txt" and path.name not in NOT_LABELS
                if not is_label or str(path) in known:
                    continue
                code, reason = ProblemCode.LABEL_WITHOUT_IMAGE, "label file without an image"
                if str(path.with_suffix(".txt")) in state.image_of_label:  # gone.TXT
                    code = ProblemCode.MISPLACED_LABELS
                    reason = f"YOLO looks for {shown(path.stem, 200)}.txt, so this label file is not read"
                yield Problem(code, self._roots.relative(path), None, reason)


@dataclass(slots=True)
class _State:
    """What one run of `read` has met so far; paths as text, which is a third of the size."""

    misplaced: Misplaced
    walked: set[str]  # what could not be walked and is told already
    image_of_label: dict[str, str] = field(default_factory=dict)
    label_folders: set[Path] = field(default_factory=set)


def _known(task: str | None) -> Task | None:
    for known in TASKS:
        if task == known:
            return known
    if task is None:
        return None
    raise InputError(Argument("task", task), f": choose from {', '.join(TASKS)}")


def _recognises(data: Path) -> bool:
    return bool(_yamls(data)) or _has_both_folders(data) if is_folder(data) else _is_yaml(data)


def _open(data: Path, options: SourceOptions) -> Source:
    return YoloSource(_yaml_in(data) if is_folder(data) else data, options.task)


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
    takes=frozenset({"task"}),
)
