"""Hostile data sets, images, encoder folders, predictions and lists: makers of what a command is given."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Callable
from pathlib import Path

from tests.crops.hostile_images import gif_with_big_frame, jpeg_of_scans, png_claiming
from tests.index.small_set import write_set

Maker = Callable[[Path], Path]  # gets an empty folder, returns what is named on the command line
DEEP = b"[" * 200_000
BOX = "0 .5 .5 .2 .2\n"


def _yolo(change: Callable[[Path], object]) -> Maker:
    """A small YOLO set, spoiled by `change`, which gets its folder."""

    def make(folder: Path) -> Path:
        data = write_set(folder / "set", images=4)
        change(folder / "set")
        return data

    return make


def _put(name: str, data: bytes) -> Callable[[Path], object]:
    def put(root: Path) -> None:
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_bytes(data)

    return put


def _instead(pattern: str, make: Callable[[Path], object]) -> Callable[[Path], object]:
    """Every file that matches is replaced."""

    def change(root: Path) -> None:
        for file in sorted(root.rglob(pattern)):
            file.unlink()
            make(file)

    return change


def _zero(file: Path) -> None:
    file.symlink_to("/dev/zero")


def _round(file: Path) -> None:
    file.symlink_to(file.name)


def _sparse(file: Path) -> None:
    with file.open("wb") as out:
        out.truncate(1 << 40)


def _links_up(root: Path) -> None:
    for name, to in (("all", "/"), ("up", ".."), ("self", "self"), ("proc", "/proc")):
        (root / "train" / "images" / name).symlink_to(to)


def _as_file(name: str, data: bytes) -> Maker:
    def make(folder: Path) -> Path:
        (folder / name).write_bytes(data)
        return folder / name

    return make


def _as(name: str, what: Callable[[Path], object]) -> Maker:
    def make(folder: Path) -> Path:
        what(folder / name)
        return folder / name

    return make


def _names(text: str) -> bytes:
    return f"train: train/images\nval: valid/images\nnames: {text}\n".encode()


_BILLION = "a: &a [x,x,x]\nb: &b [*a,*a,*a]\nnames: *b\ntrain: train/images\n"
_XML_BOMB = b"""<?xml version="1.0"?><!DOCTYPE a [<!ENTITY a "aaaa"><!ENTITY b "&a;&a;&a;">
<!ENTITY x SYSTEM "/dev/zero">]><annotation><filename>&b;&x;</filename></annotation>"""


def _coco(**parts: object) -> bytes:
    image = {"id": 1, "file_name": "a.png", "width": 40, "height": 30}
    box = {"id": 1, "image_id": 1, "category_id": 1, "bbox": [1, 1, 9, 9]}
    whole = {"images": [image], "annotations": [box], "categories": [{"id": 1, "name": "a"}]}
    return json.dumps({**whole, **parts}).encode()


SETS: dict[str, Maker] = {
    "names the disk": _yolo(_put("data.yaml", b"train: /\nnames: [a]\n")),
    "names proc": _yolo(_put("data.yaml", b"path: /proc\ntrain: .\nnames: [a]\n")),
    "names dev": _yolo(_put("data.yaml", b"train: /dev\nnames: [a]\n")),
    "names a device": _yolo(_put("data.yaml", b"train: /dev/zero\nnames: [a]\n")),
    "yaml bomb": _yolo(_put("data.yaml", _BILLION.encode())),
    "yaml deep": _yolo(_put("data.yaml", DEEP)),
    "yaml object": _yolo(_put("data.yaml", b"names: !!python/object/apply:os.system [id]\ntrain: x\n")),
    "yaml a pipe": _yolo(_instead("data.yaml", os.mkfifo)),
    "yaml a device": _yolo(_instead("data.yaml", _zero)),
    "class name of 1 MB": _yolo(_put("data.yaml", _names("[" + "x" * 1_000_000 + ",b,c,d,e,f,g,h]"))),
    "class names odd": _yolo(
        _put("data.yaml", _names('["\\e[2J", "a\\u2028b", "=1+1", "\\uD800", e, f, g, h]'))
    ),
    "a folder thirty thousand times": _yolo(
        _put("data.yaml", f"train: [{'train/images,' * 30_000}]\nnames: [a]\n".encode())
    ),
    "a million classes": _yolo(_put("data.yaml", b"nc: 1048576\ntrain: train/images\nval: valid/images\n")),
    "links": _yolo(_links_up),
    "labels are pipes": _yolo(_instead("*.txt", os.mkfifo)),
    "labels are devices": _yolo(_instead("*.txt", _zero)),
    "labels are huge": _yolo(_instead("*.txt", _sparse)),
    "labels are folders": _yolo(_instead("*.txt", Path.mkdir)),
    "labels are links to themselves": _yolo(_instead("*.txt", _round)),
    "labels of odd numbers": _yolo(
        _instead(
            "*.txt",
            lambda file: file.write_bytes(
                b"1e999 nan inf -inf 0\n" + b"9" * 5000 + b" .5 .5 .1 .1\n0 .5 .5 1e308 1e308\n\xff\xfe\x00\n"
                b"7 .5 .5 .2 .2\n" + b"0 " + b".1 " * 300_000 + b"\n"
            ),
        )
    ),
    "labels of many lines": _yolo(
        _instead("*.txt", lambda file: file.write_text(BOX * 20_000, encoding="utf-8"))
    ),
    "images are pipes": _yolo(_instead("*.png", os.mkfifo)),
    "images are devices": _yolo(_instead("*.png", _zero)),
    "images are huge": _yolo(_instead("*.png", _sparse)),
    "images are bombs": _yolo(_instead("*.png", lambda file: file.write_bytes(png_claiming(60_000, 60_000)))),
    "images are big GIFs": _yolo(
        _instead("*.png", lambda file: file.write_bytes(gif_with_big_frame(60_000, 60_000)))
    ),
    "images are JPEGs of many scans": _yolo(
        _instead("*.png", lambda file: file.write_bytes(jpeg_of_scans(3000, (4000, 4000))))
    ),
    "images are text": _yolo(_instead("*.png", lambda file: file.write_bytes(b"<html>"))),
    "images are cut": _yolo(
        _instead("*.png", lambda file: file.write_bytes(b"\x89PNG\r\n\x1a\n" + b"\0" * 99))
    ),
    "image names": _yolo(
        lambda root: [
            (root / "train" / "images" / name).write_bytes(b"x")
            for name in ("a\x1b[2J.png", "b\n.png", "c" * 200 + ".png", "=1+1.png", "-rf.png")
        ]
    ),
    "list of odd lines": _yolo(
        lambda root: (
            _put("data.yaml", b"train: list.txt\nval: valid/images\nnames: [a,b,c,d,e,f,g,h]\n")(root),
            _put("list.txt", b"/etc/passwd\n\xff.png\n" + b"x" * 9000 + b".png\n../../../../x.png\n")(root),
        )
    ),
    "list a pipe": _yolo(
        lambda root: (_put("data.yaml", b"train: list.txt\nnames: [a]\n")(root), os.mkfifo(root / "list.txt"))
    ),
    "cache": _yolo(lambda root: os.mkfifo(root / "train" / "labels.cache")),
    "a pipe": _as("data.yaml", os.mkfifo),
    "a device": lambda folder: Path("/dev/zero"),
    "proc": lambda folder: Path("/proc/self"),
    "coco deep": _as_file("a.json", b'{"images": ' + DEEP),
    "coco of odd numbers": _as_file("a.json", _coco(images=[{"id": 10**400, "file_name": "a.png"}])),
    "coco ids": _as_file("a.json", _coco(annotations=[{"id": 1, "image_id": 1, "category_id": 10**30}])),
    "coco names": _as_file("a.json", _coco(categories=[{"id": 1, "name": "\x1b[2J\ud800"}])),
    "coco paths": _as_file("a.json", _coco(images=[{"id": 1, "file_name": "/dev/zero", "width": 9}])),
    "coco cut": _as_file("a.json", _coco()[:90]),
    "coco of nothing": _as_file("a.json", b"{}"),
    "coco a pipe": _as("a.json", os.mkfifo),
    "coco a link": _as("a.json", _zero),
    "xml bomb": _as_file("a.xml", _XML_BOMB),
    "xml deep": _as_file("a.xml", b"<a>" * 200_000),
    "xml a pipe": _as("a.xml", os.mkfifo),
    "obj.data": _as_file("obj.data", b"names = /dev/zero\ntrain = /dev/zero\n"),
    "labelme": _as_file("a.json", b'{"shapes": [{"points": "x"}], "imagePath": "../../../dev/zero"}'),
    "label studio": _as_file("a.json", b'[{"data": {"image": "x"}, "annotations": [{"result": [7]}]}]'),
    "empty": _as("set", Path.mkdir),
}  # fmt: skip


def _encoder(**files: Callable[[Path], object] | bytes) -> Maker:
    """A copy of an embedded encoder's folder with some of its files replaced; `x_json` is x.json."""

    def make(folder: Path) -> Path:
        import healtheat.embedding

        own = folder / "encoder"
        shutil.copytree(Path(healtheat.embedding.__file__).parent / "imagenet", own)
        for name, what in files.items():
            file = own / name.replace("_", ".")
            file.unlink(missing_ok=True)
            if isinstance(what, bytes):
                file.write_bytes(what)
            else:
                what(file)
        return own

    return make


def _spec(folder: Path) -> Path:
    """An encoder of a million numbers."""
    own = _encoder()(folder)
    spec = json.loads((own / "encoder.json").read_bytes())
    (own / "encoder.json").write_text(
        json.dumps({**spec, "dim": 10**9, "tower_dim": 10**9}), encoding="utf-8"
    )
    return own


ENCODERS: dict[str, Maker] = {
    "spec a pipe": _encoder(encoder_json=os.mkfifo),
    "spec a device": _encoder(encoder_json=_zero),
    "spec huge": _encoder(encoder_json=_sparse),
    "spec deep": _encoder(encoder_json=DEEP),
    "spec odd": _encoder(encoder_json=b'{"name": "\\u001b[2J", "dim": 1e400}'),
    "spec of a billion": _spec,
    "network a pipe": _encoder(image_onnx=os.mkfifo),
    "network a device": _encoder(image_onnx=_zero),
    "network huge": _encoder(image_onnx=_sparse),
    "network of garbage": _encoder(image_onnx=b"\xff" * 9999),
    "network a link": _encoder(image_onnx=lambda file: file.symlink_to("/etc/passwd")),
    "questions": _encoder(questions_json=b'{"logit_scale": 1e999, "questions": {"pill": 7}}'),
    "questions a pipe": _encoder(questions_json=os.mkfifo),
    "a device": lambda folder: Path("/dev"),
    "proc": lambda folder: Path("/proc/self"),
    "a file": _as_file("encoder", b"x"),
}


def _predicted(make: Callable[[Path], object]) -> Maker:
    """A file for each image of the small set."""

    def folder_of(folder: Path) -> Path:
        own = folder / "predictions"
        own.mkdir()
        for number in range(6):
            make(own / f"사진 {number:02d}.txt")
        return own

    return folder_of


PREDICTIONS: dict[str, Maker] = {
    "pipes": _predicted(os.mkfifo),
    "devices": _predicted(_zero),
    "huge": _predicted(_sparse),
    "links to themselves": _predicted(_round),
    "folders": _predicted(Path.mkdir),
    "odd numbers": _predicted(
        lambda file: file.write_bytes(b"0 nan inf .1 .1 7\n9" + b"9" * 4000 + b" .5 .5 .1 .1 .5\n")
    ),
    "no confidence": _predicted(lambda file: file.write_text(BOX, encoding="utf-8")),
    "many": _predicted(lambda file: file.write_text("0 .5 .5 .2 .2 .5\n" * 5000, encoding="utf-8")),
    "the disk": lambda folder: Path("/proc"),
    "results deep": _as_file("p.json", DEEP),
    "results odd": _as_file("p.json", b'[{"image_id": 1e999, "category_id": [], "bbox": null, "score": ""}]'),
    "results a pipe": _as("p.json", os.mkfifo),
    "results a device": _as("p.json", _zero),
}  # fmt: skip

# For --classes, --rule, --contents-rule and --names.
LISTS: dict[str, Maker] = {
    "a pipe": _as("a.csv", os.mkfifo),
    "a device": _as("a.csv", _zero),
    "huge": _as("a.csv", _sparse),
    "a folder": _as("a.csv", Path.mkdir),
    "binary": _as_file("a.csv", b"\xff\xfe\x00" * 1000),
    "one field": _as_file("a.csv", b'class_id,drug_code,image,code\n"' + b"x" * 1_000_000),
    "odd numbers": _as_file("a.csv", b"class_id,drug_code,image,code\n" + b"9" * 5000 + b",x,y,z\n"),
    "odd names": _as_file("a.csv", "class_id,drug_code,name\n0,\x1b[2J,\u2028\n".encode()),
    "empty": _as_file("a.csv", b""),
    "NUL": _as_file("a.csv", b"class_id,drug_code\n0,\0\n"),
}


def _plan(what: Callable[[Path], object]) -> Maker:
    def make(folder: Path) -> Path:
        write_set(folder / "set", images=2)
        (folder / "set/.healtheat/applied/0001").mkdir(parents=True)
        what(folder / "set/.healtheat/applied/0001/plan.json")
        return folder / "set"

    return make


def _journal(folder: Path) -> Path:
    root = _plan(
        lambda file: file.write_bytes(b'{"version": 1, "at": "x", "steps": [], "label_folders": ["/"]}')
    )(folder)
    os.mkfifo(root / ".healtheat/applied/0001/journal.jsonl")
    return root


# Data sets with the plan of a cleanup in place.
PLANS: dict[str, Maker] = {
    "a pipe": _plan(os.mkfifo),
    "a device": _plan(_zero),
    "huge": _plan(_sparse),
    "deep": _plan(lambda file: file.write_bytes(DEEP)),
    "up": _plan(
        lambda file: file.write_bytes(
            b'{"version": 1, "at": "x", "label_folders": [], "steps": [{"path": "../../../etc/passwd", '
            b'"kind": "lines", "drop": [], "before": "", "after": ""}]}'
        )
    ),
    "label folders": _plan(
        lambda file: file.write_bytes(b'{"version": 1, "at": "x", "steps": [], "label_folders": ["/proc"]}')
    ),
    "journal a pipe": _journal,
    "missing": _plan(lambda file: None),
    "missing, with more": _plan(lambda file: file.with_name("notes.txt").touch()),
    "journal a folder": _plan(
        lambda file: (
            file.write_bytes(b'{"version": 1, "at": "x", "steps": [], "label_folders": []}'),
            file.with_name("journal.jsonl").mkdir(),
        )
    ),
    "a number too long": _plan(lambda file: (file.parents[1] / ("9" * 20)).mkdir()),
    "lock a pipe": _plan(lambda file: os.mkfifo(file.parents[2] / "lock")),
}  # fmt: skip
