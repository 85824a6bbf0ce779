"""Plant known label errors in a copy of a YOLO data set.

    python -m benchmarks.planter DATA.yaml OUT --profile flips --rate 0.08 --seed 0 \\
        [--groups "3,5,7,13;0,8"] [--one-per-source .rf.]

OUT gets the images (hard links where possible), labels with the errors, data.yaml and truth.csv: one row per
planted error, kind,image,line,true_class,given_class,x,y,w,h. `line` is 0-based in the label file of OUT, -1
where the line was taken out; x,y,w,h is the right box. The same seed plants the same errors.

The errors are those of the benchmark protocol that the published figures were measured with, drawn in the
same order, so that figures of different versions can be compared.
"""

from __future__ import annotations

import argparse
import csv
import os
import random
import shutil
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath

import yaml

from healtheat.core.paths import is_image, yolo_label_path
from healtheat.sources.yolo.data_yaml import load_data_yaml

Place = tuple[float, float, float, float]  # centre x, centre y, width, height as shares of the image

# profile → kind → share of the errors
PROFILES: Mapping[str, Mapping[str, float]] = {
    "flips": {"flips": 1.0},  # another class, any
    "confuse": {"confuse": 1.0},  # another class of its look-alike group
    "boxes": {"boxes": 1.0},  # half on the whole image, half off the object
    "loose": {"loose": 1.0},  # shifted and scaled to an IoU of 0.5 to 0.8 with the right box
    "missing": {"missing": 1.0},  # the line is taken out
    "spurious": {"spurious": 1.0},  # one more box, on background, of any class
    "mixed": {"confuse": 0.4, "boxes": 0.2, "missing": 0.2, "spurious": 0.2},
}
WHOLE: Place = (0.5, 0.5, 1.0, 1.0)
TRUTH_COLUMNS = ("kind", "image", "line", "true_class", "given_class", "x", "y", "w", "h")
_TRIES = 200  # to find a free place for a box
_TAKEN = 0.05  # share of a box that may lie on another one


@dataclass(frozen=True, slots=True)
class Labelled:
    """One image and the fields of its label lines; `name` is its path in the data set, POSIX."""

    name: str
    file: Path
    lines: list[list[str]]

    @property
    def places(self) -> list[Place]:
        return [_place(line) for line in self.lines]


@dataclass(slots=True)
class Planted:
    """The lines of one image with errors in them, and a row of TRUTH_COLUMNS for each error."""

    lines: list[list[str]] = field(default_factory=list)
    rows: list[tuple[object, ...]] = field(default_factory=list)
    gone: list[tuple[object, ...]] = field(default_factory=list)  # rows of lines taken out


class Planter:
    """Draws errors; one random number after another, so the order of calls is part of the result."""

    def __init__(self, seed: int, classes: Sequence[int], groups: Sequence[Sequence[int]]) -> None:
        self._random = random.Random(seed)
        self._classes = list(classes)
        self._group = {class_id: list(group) for group in groups for class_id in group}

    def choose(self, boxes: int, profile: str, rate: float) -> dict[int, str]:
        """Which of so many boxes get which kind of error: number → kind."""
        hit = self._random.sample(range(boxes), round(rate * boxes))
        chosen: dict[int, str] = {}
        for kind, share in PROFILES[profile].items():
            take = round(share * rate * boxes)
            chosen.update(dict.fromkeys(hit[:take], kind))
            hit = hit[take:]
        return chosen

    def plant(self, image: Labelled, kinds: Sequence[str | None]) -> Planted:
        """The image's lines, with an error of `kinds[i]` in line i (None: none)."""
        out = Planted()
        for line, kind in zip(image.lines, kinds, strict=True):
            place, class_id = _place(line), int(float(line[0]))
            if kind == "missing":
                out.gone.append((kind, image.name, -1, class_id, "", *place))
                continue
            changed = self._changed(kind, line, image.places)
            if changed is not line:
                out.rows.append((kind, image.name, len(out.lines), class_id, changed[0], *place))
            out.lines.append(changed)
            if kind == "spurious" and (free := self.free_place(place, image.places)) is not None:
                wrong = str(self._random.choice(self._classes))
                out.rows.append((kind, image.name, len(out.lines), "", wrong, "", "", "", ""))
                out.lines.append([wrong, *_texts(free)])
        return out

    def free_place(self, like: Place, taken: Sequence[Place]) -> Place | None:
        """A place of the same size that hardly touches any of `taken`; None where none was found."""
        w, h = min(like[2], 0.9), min(like[3], 0.9)
        for _ in range(_TRIES):
            x = self._random.uniform(w / 2, 1 - w / 2)
            place = (x, self._random.uniform(h / 2, 1 - h / 2), w, h)
            if all(covered(place, other) < _TAKEN for other in taken):
                return place
        return None

    def loose_place(self, right: Place) -> Place:
        """A box shifted and scaled until its IoU with the right one is 0.5 to 0.8; inside the image."""
        while True:
            w = right[2] * self._random.uniform(0.7, 1.45)
            h = right[3] * self._random.uniform(0.7, 1.45)
            x = right[0] + self._random.uniform(-0.25, 0.25) * right[2]
            y = right[1] + self._random.uniform(-0.25, 0.25) * right[3]
            (left, on_right), (top, bottom) = _clipped(x, w), _clipped(y, h)
            place = ((left + on_right) / 2, (top + bottom) / 2, on_right - left, bottom - top)
            if place[2] > 0 and place[3] > 0 and 0.5 <= iou(place, right) <= 0.8:
                return place

    def _changed(self, kind: str | None, line: list[str], taken: Sequence[Place]) -> list[str]:
        """The line with an error in it; the very same object where the kind changes no line."""
        if kind in ("flips", "confuse"):
            return [str(self._random.choice(self._others(kind, int(float(line[0]))))), *line[1:]]
        if kind == "boxes":
            whole = self._random.random() < 0.5
            place = None if whole else self.free_place(_place(line), taken)
            return [line[0], *_texts(place or WHOLE)]
        if kind == "loose":
            return [line[0], *_texts(self.loose_place(_place(line)))]
        return line

    def _others(self, kind: str, class_id: int) -> list[int]:
        pool = (self._group.get(class_id) if kind == "confuse" else None) or self._classes
        return [other for other in pool if other != class_id]


def covered(a: Place, b: Place) -> float:
    """Which share of box `a` lies in box `b`."""
    return _common(a, b) / (a[2] * a[3])


def iou(a: Place, b: Place) -> float:
    """Intersection over union of two boxes given by centre and size."""
    common = covered(a, b) * a[2] * a[3]
    return common / (a[2] * a[3] + b[2] * b[3] - common)


def plant(
    data: Path,
    out: Path,
    *,
    profile: str,
    rate: float,
    seed: int,
    groups: str = "",
    one_per_source: str = "",
) -> int:
    """Write a copy of `data` with errors to the folder `out`; returns how many were planted.

    `groups` are look-alike class ids, "3,5,7;0,8"; `one_per_source` keeps one image of those whose names
    agree up to that text. Raises InputError for a data.yaml that cannot be read.
    """
    described = load_data_yaml(data)
    images = list(_images(described.root, [split.path for split in described.splits], one_per_source))
    planter = Planter(seed, list(described.names), read_groups(groups))
    kinds = planter.choose(sum(len(image.lines) for image in images), profile, rate)
    truth: list[tuple[object, ...]] = []
    first = 0
    for image in images:
        done = planter.plant(image, [kinds.get(first + i) for i in range(len(image.lines))])
        first += len(image.lines)
        _write(out, image, done.lines)
        truth += [*done.gone, *done.rows]
    whole = yaml.safe_load(data.read_text(encoding="utf-8"))
    splits = {name: whole[name] for name in ("train", "val", "test") if whole.get(name)}
    text = yaml.safe_dump(
        {"path": ".", **splits, "names": described.names}, sort_keys=False, allow_unicode=True
    )
    (out / "data.yaml").write_text(text, encoding="utf-8", newline="\n")
    with (out / "truth.csv").open("w", newline="", encoding="utf-8") as file:
        csv.writer(file).writerows([TRUTH_COLUMNS, *truth])
    return len(truth)


def read_groups(text: str) -> list[list[int]]:
    """`"3,5;0,8"` → [[3, 5], [0, 8]]."""
    return [[int(one) for one in group.split(",")] for group in text.split(";") if group]


def _images(root: Path, folders: Sequence[Path], mark: str) -> Iterator[Labelled]:
    seen: set[str] = set()
    for folder in folders:
        for file in sorted(folder.iterdir()):
            source = file.name.split(mark)[0] if mark else file.name
            if not is_image(file.name) or source in seen:
                continue
            if mark:
                seen.add(source)
            label = yolo_label_path(file)
            text = label.read_text(encoding="utf-8") if label.is_file() else ""
            lines = [line.split() for line in text.splitlines() if line.strip()]
            yield Labelled(file.relative_to(root).as_posix(), file, lines)


def _write(out: Path, image: Labelled, lines: Sequence[Sequence[str]]) -> None:
    target = out / image.name
    target.parent.mkdir(parents=True, exist_ok=True)
    if not target.exists():
        try:
            os.link(image.file, target)
        except OSError:  # another file system
            shutil.copy2(image.file, target)
    label = out / yolo_label_path(Path(PurePosixPath(image.name)))
    label.parent.mkdir(parents=True, exist_ok=True)
    label.write_text("".join(" ".join(line) + "\n" for line in lines), encoding="utf-8", newline="\n")


def _place(line: Sequence[str]) -> Place:
    x, y, w, h = map(float, line[1:5])
    return x, y, w, h


def _texts(place: Place) -> list[str]:
    return [f"{value:.6f}" for value in place]


def _clipped(centre: float, size: float) -> tuple[float, float]:
    return max(0.0, centre - size / 2), min(1.0, centre + size / 2)


def _common(a: Place, b: Place) -> float:
    """Area that two boxes share."""
    sides = []
    for centre, size in ((0, 2), (1, 3)):
        high = min(a[centre] + a[size] / 2, b[centre] + b[size] / 2)
        sides.append(max(0.0, high - max(a[centre] - a[size] / 2, b[centre] - b[size] / 2)))
    return sides[0] * sides[1]


def main(write: Callable[[str], object] = print) -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("data", type=Path)
    parser.add_argument("out", type=Path)
    parser.add_argument("--profile", default="flips", choices=list(PROFILES))
    parser.add_argument("--rate", type=float, default=0.05)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--groups", default="")
    parser.add_argument("--one-per-source", default="", metavar="MARK")
    args = parser.parse_args()
    planted = plant(
        args.data, args.out, profile=args.profile, rate=args.rate, seed=args.seed, groups=args.groups,
        one_per_source=args.one_per_source,
    )  # fmt: skip
    write(f"{planted} planted errors -> {args.out}")


if __name__ == "__main__":
    main()
