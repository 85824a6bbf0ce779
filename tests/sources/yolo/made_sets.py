"""Data sets of every layout, right and wrong, for Hypothesis: described by a value, written by a function."""

from __future__ import annotations

import io
import os
from dataclasses import dataclass, field
from pathlib import Path

import yaml
from hypothesis import strategies as st
from PIL import Image

Line = tuple[str, ...]


def _pixels(side: int) -> bytes:
    out = io.BytesIO()
    Image.new("RGB", (side, side), "grey").save(out, "PNG")
    return out.getvalue()


PIXELS = _pixels(12)


@dataclass(frozen=True)
class MadeImage:
    """One image: its name, folder number, and the bytes of its label file (None: there is none)."""

    name: str
    folder: int
    label: bytes | None


@dataclass(frozen=True)
class MadeSet:
    """A data set to be written. `splits`: key of data.yaml → (how it is named, numbers of image folders)."""

    layout: str
    names: list[str] | dict[int, str]
    images: list[MadeImage]
    splits: dict[str, tuple[str, tuple[int, ...]]]
    repeats: tuple[int, ...]
    linked: bool
    keys: dict[str, object] = field(default_factory=dict)
    task: str | None = None  # what a person says it is labelled for


# Where the folders of images lie, and where their labels; the last three are where nobody looks.
LAYOUTS = {
    "usual": ("images/{}", "labels/{}"),
    "deep": ("images/{}/more/one", "labels/{}/more/one"),
    "roboflow": ("{}/images", "{}/labels"),
    "beside": ("photos/{}", "photos/{}"),
    "twice": ("images/{}/images", "images/{}/labels"),
    "beside in images": ("{}/images", "{}/images"),
    "capital": ("Images/{}", "Labels/{}"),
    "inner": ("photos/{}", "photos/{}/labels"),
}
FOLDERS = ("train", "valid", "one more")
NAMES = ("a", "b c", "알약", "x.y", "images", "[q]", "#1", "-z", "%41", "labels.old", "IMG")
SUFFIXES = (".png", ".PNG", ".png", ".png.png")

unit = st.integers(1, 999).map(lambda n: f"{n / 1000:g}")
EDGES = "0 1 1.005 1.01 1.0101 1.02 -0.005 -0.01 -0.011 -0.5 1.5 nan inf x 1e-3 .5 1. 0.50 5e-1 0x1 1_0 -0"
edge = st.sampled_from([*EDGES.split(), *(["1.001", "1.004", "1.0099999", "-0.001"] * 3)])
unit_middle = st.integers(300, 700).map(lambda n: f"{n / 1000:g}")
size = st.integers(1, 400).map(lambda n: f"{n / 1000:g}")


def box_of(classes: int) -> st.SearchStrategy[Line]:
    return st.tuples(st.integers(0, classes - 1).map(str), unit, unit, size, size)


def polygon_of(classes: int, corners: st.SearchStrategy[int]) -> st.SearchStrategy[Line]:
    points = corners.flatmap(lambda n: st.lists(unit, min_size=2 * n, max_size=2 * n))
    return st.tuples(st.integers(0, classes - 1).map(str), points).map(lambda got: (got[0], *got[1]))


def pose_of(classes: int, shape: tuple[int, int]) -> st.SearchStrategy[Line]:
    values = [unit, unit, st.sampled_from(["0", "1", "2"])][: shape[1]]
    points = st.tuples(*(value for _ in range(shape[0]) for value in values))
    return st.tuples(box_of(classes), points).map(lambda got: (*got[0], *got[1]))


def with_more(box: st.SearchStrategy[Line], *more: st.SearchStrategy[str]) -> st.SearchStrategy[Line]:
    return st.tuples(box, st.tuples(*more)).map(lambda got: (*got[0], *got[1]))


track_ids = st.integers(0, 9).map(str)
KINDS = ("detect", "pose2", "segment", "obb", "pose3", "tracks", "tracks conf", "two tracks", "conf", "mixed")
SHAPES = {"pose2": (2, 2), "pose3": (3, 3)}


def lines_of(kind: str, classes: int) -> st.SearchStrategy[Line]:
    box = box_of(classes)
    if kind in SHAPES:
        return pose_of(classes, SHAPES[kind])
    if kind == "segment":
        return polygon_of(classes, st.integers(3, 6))
    if kind == "obb":
        return polygon_of(classes, st.just(4))
    if kind == "tracks":
        return with_more(box, track_ids)
    if kind == "tracks conf":
        return with_more(box, unit, track_ids)
    if kind == "two tracks":
        small = st.tuples(st.integers(0, classes - 1).map(str), st.just(".5"), unit_middle, size, size)
        return with_more(small, unit, st.sampled_from(("0", "1")))
    if kind == "conf":
        return with_more(box, unit)
    if kind == "mixed":
        return st.one_of(box, box, polygon_of(classes, st.integers(3, 5)), with_more(box, unit))
    return box


@st.composite
def spoiled(draw: st.DrawFn, line: Line, classes: int) -> Line:
    """The line with one thing wrong or odd."""
    what = draw(st.sampled_from(("value", "value", "class", "cut", "more", "flat")))
    at = draw(st.integers(1, max(1, len(line) - 1)))
    if what == "value":
        return (*line[:at], draw(edge), *line[at + 1 :])
    if what == "class":
        ids = [f"{classes}", "99", "-1", "0.0", "1.5", "pill", "+0", "007", f"{classes - 1}."]
        return (draw(st.sampled_from(ids)), *line[1:])
    if what == "cut":
        return line[:at]
    return (*line, draw(unit)) if what == "more" else (*line[:3], "0", *line[4:])


@st.composite
def labels_of(draw: st.DrawFn, kind: str, classes: int, odd: bool) -> bytes | None:
    """The bytes of one label file."""
    least = draw(st.sampled_from((1, 1, 2, 3, 4, 0)))
    lines = draw(st.lists(lines_of(kind, classes), min_size=least, max_size=5))
    if not lines and draw(st.booleans()):
        return None
    if odd and lines and draw(st.booleans()):
        at = draw(st.integers(0, len(lines) - 1))
        lines[at] = draw(spoiled(lines[at], classes))
    if odd and lines and draw(st.integers(0, 3)) == 0:
        lines.insert(0, lines[-1])  # a repetition
    text = [draw(st.sampled_from((" ", " ", "  ", "\t"))).join(line) for line in lines]
    end = draw(st.sampled_from(("\n", "\n", "\r\n", "\n\n", " \n")))
    start = draw(st.sampled_from(("", "", "", "\ufeff", "\n"))) if odd else ""
    return (start + end.join(text) + draw(st.sampled_from(("", end)))).encode()


@st.composite
def made_sets(draw: st.DrawFn, *, odd: bool = True) -> MadeSet:
    """A data set; with `odd` also with lines, lists and names that are wrong or that the trainer ignores."""
    kind, classes = draw(st.sampled_from(KINDS)), draw(st.integers(1, 4))
    odd = odd and draw(st.booleans())
    others = (
        st.sampled_from((kind, kind, kind, "detect", draw(st.sampled_from(KINDS)))) if odd else st.just(kind)
    )
    images, used = [], set()
    for _ in range(draw(st.sampled_from((4, 6, 8, 2, 1)))):
        number = draw(st.sampled_from(("", f" {len(images)}", f"_{len(images)}")))
        name = draw(st.sampled_from(NAMES)) + number + draw(st.sampled_from(SUFFIXES))
        folder = draw(st.integers(0, 2))
        if (key := (name.lower().partition(".png")[0], folder)) in used:
            continue
        used.add(key)
        images.append(MadeImage(name, folder, draw(labels_of(draw(others), classes, odd))))
    ways = ("folder", "folders", "list", "absolute list", *(("bare list", "spaced list") if odd else ()))
    there = sorted({image.folder for image in images})
    some = st.lists(st.sampled_from(there), min_size=1, max_size=2, unique=True).map(tuple)
    splits = {key: (draw(st.sampled_from(ways)), draw(some)) for key in ("train", "val")}
    names = [f"class {n}" for n in range(classes)]
    keys: dict[str, object] = {"kpt_shape": list(SHAPES[kind])} if kind in SHAPES else {}
    return MadeSet(
        layout=draw(st.sampled_from((*LAYOUTS, "usual", "deep", "roboflow"))),
        names=dict(enumerate(names)) if draw(st.booleans()) else names,
        images=images,
        splits=splits,
        repeats=tuple(draw(st.lists(st.integers(1, 3), min_size=6, max_size=6))),
        linked=draw(st.integers(0, 4)) == 0,
        keys=keys,
        task=draw(st.sampled_from((None, None, None, "detect", "segment", "obb", "pose"))) if odd else None,
    )


def write(made: MadeSet, root: Path) -> Path:
    """Write the data set below `root`; returns its data.yaml."""
    images, labels = LAYOUTS[made.layout]
    home = root / "elsewhere" if made.linked else root / "data"
    (root / "data").mkdir(parents=True)
    for image in made.images:
        file = home / images.format(FOLDERS[image.folder]) / image.name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(PIXELS)
        if image.label is not None:
            label = home / labels.format(FOLDERS[image.folder]) / f"{image.name.rpartition('.')[0]}.txt"
            label.parent.mkdir(parents=True, exist_ok=True)
            label.write_bytes(image.label)
    content: dict[str, object] = {}
    for key, (way, folders) in made.splits.items():
        places = [images.format(FOLDERS[folder]) for folder in folders]
        content[key] = _split(made, root / "data", home, key, way, places)
    content["names"] = made.names
    data = root / "data" / "data.yaml"
    data.write_text(yaml.safe_dump({**content, **made.keys}, allow_unicode=True), encoding="utf-8")
    return data


def _split(made: MadeSet, data: Path, home: Path, key: str, way: str, places: list[str]) -> object:
    if made.linked:  # the folders lie elsewhere, and links lead there
        for place in places:
            link = data / f"link {place.replace('/', '_')}"
            if not link.is_symlink():
                os.symlink(home / place, link)  # noqa: PTH211
        places = [f"link {place.replace('/', '_')}" for place in places]
    if way == "folder":
        return places[0]
    if way == "folders":
        return places
    start = {"absolute list": f"{data.as_posix()}/", "bare list": ""}.get(way, "./")
    end = " " if way == "spaced list" else ""
    lines = []
    for place in places:
        for number, file in enumerate(sorted((data / place).iterdir())):
            if file.suffix.lower() == ".png":
                lines += [f"{start}{place}/{file.name}{end}"] * made.repeats[number % len(made.repeats)]
    (data / f"{key}.txt").write_text("\n".join(lines) + "\n# end\n", encoding="utf-8")
    return f"{key}.txt"
