"""The readers that benchmarks.fuzz calls: valid bytes to start from, the call, and how it may refuse them."""

from __future__ import annotations

import hashlib
import io
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

import healtheat.embedding
from benchmarks.pixel_encoder import PixelEncoder
from healtheat.building.build import build
from healtheat.cleanup.run import runs
from healtheat.core.errors import HealtheatError
from healtheat.core.files import Unreadable
from healtheat.crops import open_image
from healtheat.embedding.files import read_spec
from healtheat.embedding.onnx import OnnxEncoder
from healtheat.embedding.questions import read_questions
from healtheat.index import Index, NewVerdict
from healtheat.index.cache import VectorPool
from healtheat.index.catalog import Catalog
from healtheat.index.manifest import Manifest
from healtheat.index.shards import open_shard
from healtheat.index.tables import TABLES
from healtheat.index.verdicts.log import VerdictLog
from healtheat.listing import PatternRule, TableRule, read_classes
from healtheat.signals.detector.predictions import PredictionFolder
from healtheat.sources import open_source
from healtheat.sources.checked import checked
from healtheat.sources.coco.results import load_results
from healtheat.sources.label_set import read_label_set
from healtheat.vetting.store import from_bytes

REFUSED = (HealtheatError, Unreadable)
BOX = "7 0.5 0.5 0.25 0.125"
_IMAGE = ("a.png", 40, 30)


@dataclass(frozen=True, slots=True)
class Reader:
    """`seeds` are valid contents; `call` reads the file at the path it is given, in a folder of its own.

    Whatever it raises besides `refuses` is a fault.
    """

    name: str
    file: str
    seeds: tuple[bytes, ...]
    call: Callable[[Path], object]
    refuses: tuple[type[Exception], ...] = REFUSED


def readers(work: Path) -> list[Reader]:
    """All of them; `work` gets the small index that some start from."""
    home = work / "home"
    index = _index(home)
    return [*_labels(), *_of_index(index), *_others(index)]


def _set(path: Path) -> list[object]:
    """The data set at `path`, with a picture beside it, as a build reads it and as `diff` does."""
    for name in ("a.png", "images/train/a.png"):
        (path.parent / name).parent.mkdir(parents=True, exist_ok=True)
        Image.new("RGB", _IMAGE[1:]).save(path.parent / name)
    found = list(checked(open_source(path)))
    read_label_set(path)
    return found


def _labels() -> list[Reader]:
    coco = _coco()
    voc = (
        "<annotation><filename>a.png</filename><size><width>40</width><height>30</height></size>"
        "<object><name>b</name><bndbox><xmin>1</xmin><ymin>2</ymin><xmax>9</xmax><ymax>8</ymax></bndbox>"
        "</object></annotation>"
    )
    cvat = (
        "<annotations><meta><task><labels><label><name>b</name></label></labels></task></meta>"
        '<image id="0" name="a.png" width="40" height="30"><box label="b" xtl="1" ytl="2" xbr="9" ybr="8"/>'
        '<polygon label="b" points="1,1;9,1;5,7"/></image></annotations>'
    )
    labelme = {
        "imagePath": "a.png",
        "imageWidth": 40,
        "imageHeight": 30,
        "shapes": [{"label": "b", "shape_type": "rectangle", "points": [[1, 2], [9, 8]]}],
    }
    place = {"x": 10, "y": 10, "width": 20, "height": 20, "rotation": 0, "rectanglelabels": ["b"]}
    result = {
        "type": "rectanglelabels",
        "from_name": "l",
        "to_name": "i",
        "original_width": 40,
        "original_height": 30,
        "value": place,
    }
    task = [{"data": {"i": "a.png"}, "annotations": [{"result": [result]}]}]
    yolo = (
        b"train: images/train\nnames:\n  0: a\n  7: b\n",
        b"path: .\ntrain: [images/train]\nnc: 2\nnames: [a, b]\nkpt_shape: [2, 3]\n",
    )
    lines = f"{BOX}\n{BOX} 0.5\n7 .1 .1 .4 .1 .4 .4\n7 .1 .1 .4 .1 .4 .4 .1 .4\n# x\n".encode()

    def label(path: Path) -> object:
        (path.parents[2] / "data.yaml").write_bytes(b"train: images/train\nnames: {0: a, 7: b}\n")
        return _set(path.parents[2] / "data.yaml")

    def listed(path: Path) -> object:
        (path.parent / "data.yaml").write_bytes(b"train: list.txt\nnames: {0: a, 7: b}\n")
        return _set(path.parent / "data.yaml")

    def named(path: Path) -> object:
        (path.parent / "a.xml").write_text(voc, encoding="utf-8")
        Image.new("RGB", (40, 30)).save(path.parent / "a.png")
        return list(checked(open_source(path.parent / "a.xml", names=path)))

    def darknet(path: Path) -> object:
        (path.parent / "obj.names").write_bytes(b"a\nb\n")
        (path.parent / "train.txt").write_bytes(b"a.png\n")
        return _set(path)

    return [
        Reader("data.yaml", "data.yaml", yolo, _set),
        Reader("YOLO labels", "labels/train/a.txt", (lines, BOX.encode()), label),
        Reader("image list", "list.txt", (b"./a.png\nimages/train/a.png\n\xef\xbb\xbfa.png\n",), listed),
        Reader("COCO", "a.json", (coco,), _set),
        Reader("COCO results", "r.json", (_results(),), _read_results),
        Reader("Pascal VOC", "a.xml", (voc.encode(),), _set),
        Reader("CVAT", "a.xml", (cvat.encode(),), _set),
        Reader("LabelMe", "a.json", (json.dumps(labelme).encode(),), _set),
        Reader("Label Studio", "a.json", (json.dumps(task).encode(),), _set),
        Reader("obj.data", "obj.data", (b"classes = 2\ntrain = train.txt\nnames = obj.names\n",), darknet),
        Reader("class names", "names.txt", (b"a\nb\n", "가\n나\n".encode()), named),
    ]


def _coco() -> bytes:
    name, width, height = _IMAGE
    shape = [[1, 1, 9, 1, 5, 7]]
    box = {"id": 1, "image_id": 1, "category_id": 7, "bbox": [1, 2, 9, 8], "segmentation": shape}
    image = {"id": 1, "file_name": name, "width": width, "height": height}
    content = {"images": [image], "annotations": [box], "categories": [{"id": 7, "name": "b"}]}
    return json.dumps(content).encode()


def _results() -> bytes:
    return json.dumps([{"image_id": 1, "category_id": 7, "bbox": [1, 2, 9, 8], "score": 0.5}]).encode()


def _read_results(path: Path) -> object:
    (path.parent / "gt.json").write_bytes(_coco())
    return load_results(path, path.parent / "gt.json")


def _index(home: Path) -> Path:
    """A small index with verdicts, and a chunk of a build."""
    random = np.random.default_rng(0)
    (home / "images/train").mkdir(parents=True)
    (home / "labels/train").mkdir(parents=True)
    for number in range(4):
        pixels = random.integers(0, 256, (30, 40, 3), np.uint8)
        Image.fromarray(pixels).save(home / f"images/train/{number}.png")
        (home / f"labels/train/{number}.txt").write_text(f"{BOX}\n0 .2 .2 .2 .2\n", encoding="utf-8")
    (home / "data.yaml").write_bytes(b"train: images/train\nnames: {0: a, 7: b}\n")
    index = home / "index"
    encoder = PixelEncoder("fuzzed", dim=12, batch_size=4)
    build(open_source(home / "data.yaml"), index, encoder=encoder, signals=())
    with Index.open(index) as opened:
        for box_id in range(3):
            opened.judging.append(NewVerdict(box_id=box_id, issue="mislabel", verdict="ok", who="me"))
        pool = VectorPool(home / "chunks", fingerprint=opened.manifest.fingerprint, dim=12)
        keys = [bytes([number]) * 16 for number in range(3)]
        pool.add(keys, opened.vectors(np.arange(3)), opened.measures(np.arange(3)))
        pool.flush()
        pool.close()
    return index


def _of_index(index: Path) -> list[Reader]:
    manifest = Manifest.read(index / "manifest.json")
    rows, dim = manifest.class_rows()[7], manifest.dim

    def catalog(path: Path) -> None:
        opened = Catalog(path)
        try:
            for table in TABLES:
                opened.sql(f"SELECT * FROM {table}")
        finally:
            opened.close()

    def chunk(path: Path) -> None:
        pool = VectorPool(path.parent, fingerprint=manifest.fingerprint, dim=dim)
        pool.gather([key for key in (bytes([n]) * 16 for n in range(3)) if key in pool])
        pool.close()

    def shard(path: Path) -> object:
        return open_shard(path, rows=rows, dim=dim).at(slice(None))

    def log(path: Path) -> object:
        return VerdictLog(path.parent).verdicts

    def head(path: Path) -> object:
        (path.parent / "verdicts.jsonl").write_bytes((index / "verdicts.jsonl").read_bytes())
        return VerdictLog(path.parent).verdicts

    def signed(path: Path) -> object:
        """The manifest with a checksum that is right again."""
        from healtheat.index.manifest import _checksum, _layout

        body = json.loads(path.read_bytes())
        if isinstance(body, dict):
            body.pop("checksum", None)
            path.write_bytes(_layout({**body, "checksum": _checksum(body)}))
        return Manifest.read(path)

    whole = (index / "manifest.json").read_bytes()
    seed = ((index / "catalog.duckdb").read_bytes(),)
    not_json = (*REFUSED, ValueError, RecursionError)  # of the fuzzer, before the manifest is read
    return [
        Reader("manifest.json", "manifest.json", (whole,), lambda path: Manifest.read(path)),
        Reader("manifest.json, signed", "manifest.json", (whole,), signed, not_json),
        Reader("catalog.duckdb", "catalog.duckdb", seed, catalog),
        Reader("shard", "7.faiss", ((index / "vectors/7.faiss").read_bytes(),), shard),
        Reader("chunk", "000000.chunk", ((index.parent / "chunks/000000.chunk").read_bytes(),), chunk),
        Reader("verdict log", "verdicts.jsonl", ((index / "verdicts.jsonl").read_bytes(),), log),
        Reader("verdict head", "verdicts.head.json", ((index / "verdicts.head.json").read_bytes(),), head),
        Reader("what vet learned", "x", (_arrays(),), lambda p: from_bytes(p.read_bytes(), 12), _VALUE),
    ]


_VALUE = (*REFUSED, ValueError)  # what its caller takes for "learn it anew"


def _arrays() -> bytes:
    from safetensors.numpy import save

    return save({"version": np.array([1]), "axes.mean": np.zeros(12), "crops": np.array([3])})


def _others(index: Path) -> list[Reader]:
    own = Path(healtheat.embedding.__file__).parent
    spec, network = (own / "imagenet/encoder.json").read_bytes(), (own / "imagenet/image.onnx").read_bytes()

    def encoder(path: Path) -> object:
        told: dict[str, Any] = json.loads(spec)
        told["weights_sha256"] = hashlib.sha256(path.read_bytes()).hexdigest()
        (path.parent / "encoder.json").write_text(json.dumps(told), encoding="utf-8")
        return OnnxEncoder.load(path.parent, threads=1)

    def predictions(path: Path) -> object:
        with Index.open(index, verify=False) as opened:
            return PredictionFolder(path.parent).read(opened.images(), opened.names)

    def expression(path: Path) -> object:
        text = path.read_text(encoding="utf-8", errors="replace")[:300]
        return PatternRule.of(text).codes("train/K-001234-005678_0_2_0_2_90_000_200.png")

    def plan(path: Path) -> object:
        return [run.state for run in runs(path.parents[3])]

    steps: Mapping[str, Any] = {
        "path": "a.txt",
        "kind": "lines",
        "drop": [1],
        "before": "0" * 64,
        "after": "1" * 64,
    }
    stored = {"version": 1, "at": "2026-01-01T00:00:00+00:00", "steps": [steps], "label_folders": ["labels"]}
    codes = b"class_id,drug_code,name\n0,001234,a\n7,005678,b\n"
    table = b"image,code,count\na.png,001234,2\nb/c.png,,\n"
    rule = rb"(?P<count>[0-9]+)x(?P<code>[a-z]+)"
    where = ".healtheat/applied/0001/plan.json"
    asked = (own / "pill/questions.json").read_bytes()
    return [
        Reader("encoder.json", "encoder.json", (spec,), read_spec),
        Reader("image.onnx", "image.onnx", (network[: 1 << 16], network), encoder),
        Reader("questions.json", "questions.json", (asked,), read_questions),
        Reader("predictions", "0.txt", (f"{BOX} 0.5\n0 .2 .2 .2 .2 1\n".encode(),), predictions),
        Reader("class map", "a.csv", (codes,), read_classes),
        Reader("rule, CSV", "a.csv", (table,), TableRule.read),
        Reader("rule, expression", "rule", (rule, rb"K-(?P<codes>[0-9]{6}(?:-[0-9]{6})*)"), expression),
        Reader("plan.json", where, (json.dumps(stored).encode(),), plan),
        Reader("image", "a.png", _pictures(), lambda path: open_image(path.read_bytes(), path.name)),
    ]


def _pictures() -> tuple[bytes, ...]:
    image = Image.fromarray(np.random.default_rng(1).integers(0, 256, (30, 40, 3), np.uint8))
    found = []
    for kind in ("PNG", "JPEG", "GIF", "BMP", "TIFF", "WEBP", "MPO"):
        buffer = io.BytesIO()
        image.save(buffer, kind)
        found.append(buffer.getvalue())
    return tuple(found)
