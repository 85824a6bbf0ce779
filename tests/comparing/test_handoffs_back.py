"""A hand-off that comes back is compared with the index it came from: ids and lines exact.

Of the formats that a source can read now; tests/exporting/test_export_handoffs.py reads the others back.
"""

import json
import shutil
import xml.etree.ElementTree as ET
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from healtheat.building.build import build
from healtheat.cli import run
from healtheat.comparing.run import diff
from healtheat.core.boxes import Boxes
from healtheat.core.errors import InputError
from healtheat.core.text import shown
from healtheat.exporting.handoff import HandBox, bounds_its_box
from healtheat.exporting.run import export
from healtheat.findings.filters import Filters
from healtheat.index import Index
from healtheat.signals.geometry import Geometry
from healtheat.sources import LabelledImage, open_source
from healtheat.sources.outside import outside_allowed
from tests.index.small_set import FakeEncoder, write_set

EVERYTHING = Filters(flagged_only=False)
BIT = 1e-12  # pixels and back: the last bit of a float may differ


@pytest.fixture
def index(tmp_path: Path) -> Index:
    build(
        open_source(write_set(tmp_path / "set")),
        tmp_path / "index",
        encoder=FakeEncoder(),
        signals=(Geometry(),),
    )
    return Index.open(tmp_path / "index")


def test_coco_back_unchanged(index: Index, tmp_path: Path) -> None:
    export(index, tmp_path / "all.json", "coco", filters=EVERYTHING)
    found = diff(index, tmp_path / "all.json", tolerance=BIT)
    assert found.changes.num_rows == 0 and found.same == len(index.boxes()) == 36
    assert (found.matched_by, found.notes, found.only_old, found.only_new) == ("id", (), (), ())
    content = json.loads((tmp_path / "all.json").read_text(encoding="utf-8"))
    back = {
        (one["attributes"]["box_id"], one["attributes"]["line"], one["category_id"])
        for one in content["annotations"]
    }
    boxes = index.boxes()
    assert back == {*zip(boxes.box_id.tolist(), boxes.line.tolist(), boxes.class_id.tolist(), strict=True)}


def test_coco_back_with_work_done(index: Index, tmp_path: Path) -> None:
    """What a person did in the tool is told by the lines of the label files that the index knows."""
    export(index, tmp_path / "all.json", "coco", filters=EVERYTHING)
    content = json.loads((tmp_path / "all.json").read_text(encoding="utf-8"))
    first, second, third, *_ = content["annotations"]
    first["category_id"] = 12
    content["annotations"].remove(second)
    third["bbox"][0] += 4
    content["annotations"].append({**first, "id": 999, "bbox": [1, 1, 4, 4]})
    (tmp_path / "back.json").write_text(json.dumps(content), encoding="utf-8")
    found = diff(index, tmp_path / "back.json", tolerance=BIT)
    assert found.counts == {"added": 1, "removed": 1, "moved": 1, "relabelled": 1}
    at = {row["kind"]: row["line"] for row in found.changes.to_pylist()}
    assert at == {"relabelled": 0, "removed": 1, "moved": 2, "added": None}
    by_kind = {row["kind"]: row for row in found.changes.to_pylist()}
    assert by_kind["relabelled"]["class_id"] == first["attributes"]["class_id"]
    assert by_kind["relabelled"]["new_class_id"] == 12


def test_coco_back_with_other_ids(index: Index, tmp_path: Path) -> None:
    """Tools number classes anew, in the order of their names: names tell, and it is said."""
    export(index, tmp_path / "all.json", "coco", filters=EVERYTHING)
    content = json.loads((tmp_path / "all.json").read_text(encoding="utf-8"))
    names = {one["id"]: one["name"] for one in content["categories"]}
    new = {ident: n for n, ident in enumerate(sorted(names, key=lambda i: names[i]), 1)}
    for category in content["categories"]:
        category["id"] = new[category["id"]]
    for one in content["annotations"]:
        one["category_id"] = new[one["category_id"]]
    (tmp_path / "back.json").write_text(json.dumps(content), encoding="utf-8")
    found = diff(index, tmp_path / "back.json", tolerance=BIT)
    assert (found.matched_by, found.changes.num_rows, len(found.notes)) == ("name", 0, 1)
    assert shown(names[0]) in found.notes[0]


def test_coco_of_some_images_is_compared_on_those(index: Index, tmp_path: Path) -> None:
    export(index, tmp_path / "some.json", "coco", filters=Filters(flagged_only=False, images="train/*"))
    found = diff(index, tmp_path / "some.json", tolerance=BIT)
    assert found.changes.num_rows == 0 and found.images == 9
    assert all(path.startswith("valid/") for path in found.only_old) and len(found.only_old) == 3


def test_cvat_back_unchanged(index: Index, tmp_path: Path) -> None:
    """Ids come from the labels, where the hand-off keeps them: no file of names is needed."""
    export(index, tmp_path / "all.xml", "cvat", filters=EVERYTHING)
    found = diff(index, tmp_path / "all.xml", tolerance=BIT)
    assert found.changes.num_rows == 0 and found.same == len(index.boxes()) == 36
    assert (found.matched_by, found.notes, found.only_old, found.only_new) == ("id", (), (), ())
    back = {
        tuple(int(box.findtext(f"attribute[@name='{name}']") or -1) for name in ("class_id", "line"))
        for box in ET.parse(tmp_path / "all.xml").iter("box")
    }
    boxes = index.boxes()
    assert back == {*zip(boxes.class_id.tolist(), boxes.line.tolist(), strict=True)}


def test_cvat_back_with_work_done(index: Index, tmp_path: Path) -> None:
    export(index, tmp_path / "all.xml", "cvat", filters=EVERYTHING)
    tree = ET.parse(tmp_path / "all.xml")
    image = next(tree.iter("image"))
    first, second, third = image.findall("box")
    first.set("label", "never used")
    image.remove(second)
    third.set("xtl", str(float(third.get("xtl", "")) + 4))
    image.append(ET.Element("box", {**first.attrib, "xtl": "1", "ytl": "1", "xbr": "5", "ybr": "5"}))
    tree.write(tmp_path / "back.xml", encoding="utf-8")
    found = diff(index, tmp_path / "back.xml", tolerance=BIT)
    assert found.counts == {"added": 1, "removed": 1, "moved": 1, "relabelled": 1}
    relabelled = next(row for row in found.changes.to_pylist() if row["kind"] == "relabelled")
    assert (relabelled["line"], relabelled["new_class_id"]) == (0, 12)


def test_labelstudio_back_unchanged(index: Index, tmp_path: Path) -> None:
    export(index, tmp_path / "all.json", "labelstudio", filters=EVERYTHING)
    found = diff(index, tmp_path / "all.json", tolerance=BIT)
    assert found.changes.num_rows == 0 and found.same == len(index.boxes()) == 36
    assert (found.only_old, found.only_new) == ((), ())
    assert found.matched_by == "name"  # the export lists no classes, so ids are those of sorted names
    content = json.loads((tmp_path / "all.json").read_text(encoding="utf-8"))
    results = [one for task in content for one in task["annotations"][0]["result"]]
    back = {(one["id"], one["meta"]["class_id"], one["meta"]["line"]) for one in results}
    boxes = index.boxes()
    ids = [f"box{ident}" for ident in boxes.box_id.tolist()]
    assert back == {*zip(ids, boxes.class_id.tolist(), boxes.line.tolist(), strict=True)}


@pytest.mark.parametrize(("format", "suffix"), [("cvat", "xml"), ("labelstudio", "json")])
def test_a_hand_off_is_a_data_set(index: Index, tmp_path: Path, format: str, suffix: str) -> None:
    """With the images and names of the set that it came from: same ids, places and images."""
    export(index, tmp_path / f"all.{suffix}", format, filters=EVERYTHING)
    root = Path(index.manifest.source.root)
    source = open_source(tmp_path / f"all.{suffix}", images=root, names=root / "data.yaml")
    images = [record for record in source.read() if isinstance(record, LabelledImage)]
    read = Boxes.join([image.boxes for image in images])
    boxes = index.boxes()
    assert dict(source.names) == dict(index.names)
    assert [image.path.removeprefix("set/") for image in images] == index.sql(
        "select path from images order by path"
    )["path"].to_pylist()
    ids, places = boxes.class_id, boxes.xywhn
    order = index.sql("select b.box_id from boxes b join images using (image_id) order by path, line")
    rows = order["box_id"].to_pylist()
    assert read.class_id.tolist() == ids[rows].tolist()
    assert abs(read.xywhn - places[rows]).max() < BIT


def coco_of_fiftyone(samples: Sequence[tuple[str, list[Any]]], root: Path) -> dict[str, Any]:
    """What FiftyOne's COCODetectionDataset exporter makes of samples (file, detections): classes are numbered
    from 1 in the order of their names, files are named below `rel_dir`, places are pixels.
    """
    names = sorted({one["label"] for _, found in samples for one in found})
    images, annotations = [], []
    for number, (file, found) in enumerate(samples, 1):
        with Image.open(file) as image:
            width, height = image.size
        name = Path(file).relative_to(root).as_posix()
        images.append({"id": number, "file_name": name, "width": width, "height": height, "license": None})
        for one in found:
            x, y, w, h = one["bounding_box"]
            bbox = [x * width, y * height, w * width, h * height]
            annotations.append(
                {
                    **one["attributes"],
                    "id": len(annotations) + 1,
                    "image_id": number,
                    "category_id": names.index(one["label"]) + 1,
                    "bbox": bbox,
                    "area": bbox[2] * bbox[3],
                    "iscrowd": 0,
                }
            )
    categories = [{"id": n, "name": name, "supercategory": None} for n, name in enumerate(names, 1)]
    return {
        "info": {},
        "licenses": [],
        "categories": categories,
        "images": images,
        "annotations": annotations,
    }


def same_by_names(index: Index, back: Path) -> None:
    """Nothing changed but class ids, which FiftyOne does not know; lines and ids are in the attributes."""
    found = diff(index, back, tolerance=1e-9)
    assert found.changes.num_rows == 0 and found.same == len(index.boxes()) == 36
    assert (found.matched_by, found.images, found.renamed) == ("name", 12, 0)
    content = json.loads(back.read_text(encoding="utf-8"))
    boxes = index.boxes()
    assert {(one["box_id"], one["line"], one["class_id"]) for one in content["annotations"]} == {
        *zip(boxes.box_id.tolist(), boxes.line.tolist(), boxes.class_id.tolist(), strict=True)
    }


def test_fiftyone_back_as_coco(index: Index, tmp_path: Path) -> None:
    """Read as its importer reads labels.json and data.json, written as its exporter writes COCO."""
    export(index, tmp_path / "out", "fiftyone", filters=EVERYTHING)
    labels = json.loads((tmp_path / "out/labels.json").read_text(encoding="utf-8"))["labels"]
    files = json.loads((tmp_path / "out/data.json").read_text(encoding="utf-8"))
    samples = [(files[key], labels[key]) for key in sorted(labels)]
    reserved = {"id", "image_id", "category_id", "bbox", "segmentation", "keypoints", "score", "area"}
    assert not any(reserved & one["attributes"].keys() for _, found in samples for one in found)
    content = coco_of_fiftyone(samples, Path(index.manifest.source.root))
    (tmp_path / "labels.json").write_text(json.dumps(content), encoding="utf-8")
    same_by_names(index, tmp_path / "labels.json")


def test_fiftyone_itself_out_and_in_again(index: Index, tmp_path: Path) -> None:
    reason = "fiftyone is not installed (large)"
    importers = pytest.importorskip("fiftyone.utils.data.importers", reason=reason)
    coco = pytest.importorskip("fiftyone.utils.coco", reason=reason)
    metadata = pytest.importorskip("fiftyone.core.metadata", reason=reason)
    export(index, tmp_path / "out", "fiftyone", filters=EVERYTHING)
    reader = importers.FiftyOneImageDetectionDatasetImporter(
        dataset_dir=str(tmp_path / "out"), data_path="data.json", labels_path="labels.json"
    )
    writer = coco.COCODetectionDatasetExporter(
        labels_path=str(tmp_path / "labels.json"), export_media=False, rel_dir=index.manifest.source.root
    )
    with reader, writer:
        for file, _, found in reader:
            writer.export_sample(file, found, metadata=metadata.ImageMetadata.build_for(file))
    same_by_names(index, tmp_path / "labels.json")


def test_fiftyone_s_own_labels_are_named_for_what_they_are(index: Index, tmp_path: Path) -> None:
    export(index, tmp_path / "out", "fiftyone", filters=EVERYTHING)
    with pytest.raises(InputError, match="FiftyOne's own labels; export them from there as COCO"):
        diff(index, tmp_path / "out/labels.json")


def test_lists_to_train_on_hold_the_same_boxes(index: Index, tmp_path: Path) -> None:
    """The copy of `export --format yolo` beside its index: what is left out is all that differs."""
    done = export(index, tmp_path / "cleanup", "yolo", write=True, max_share=1)
    with outside_allowed(True):  # the lists name the images of the set
        found = diff(index, tmp_path / "cleanup/data.yaml", tolerance=0)
    assert done.cleanup is not None
    kept, of = done.cleanup.boxes_kept
    assert found.same == kept and found.counts["added"] == found.counts["moved"] == 0
    assert found.same + found.counts["removed"] <= of  # boxes of whole images are not compared


def test_label_files_alone_with_a_data_set(index: Index, tmp_path: Path) -> None:
    """A tool that gives back nothing but label files, in one folder."""
    flat = tmp_path / "flat"
    flat.mkdir()
    root = Path(index.manifest.source.root)
    for file in root.rglob("labels/*.txt"):
        shutil.copy(file, flat / file.name)
    found = diff(index, flat, tolerance=0)
    assert (found.images, found.renamed, found.changes.num_rows) == (12, 12, 0)
    assert found.matched_by == "id" and "not both have names" in found.notes[0]


def test_the_command_says_that_nobody_knows_what_is_new(
    index: Index, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    old, data = str(tmp_path / "index"), str(tmp_path / "set/data.yaml")
    assert run(["diff", old, data]) == 0
    said = capsys.readouterr()
    assert f"{data}: new findings need an index of it; run `healtheat build`" in said.err
    assert "0 new" not in said.out and " 0 settled" in said.out
    assert run(["diff", old, data, "--fail-on", "new"]) == 2
    assert "new findings need an index" in capsys.readouterr().err
    assert run(["diff", old, old, "--fail-on", "new"]) == 0
    said = capsys.readouterr()
    assert ", 0 new\n" in said.out and "need an index" not in said.err


def outlined(tmp_path: Path) -> Index:
    """An index of polygons, oriented boxes, and an upright box that is written as one."""
    data = write_set(tmp_path / "shapes", images=4)
    lines = ["0 .1 .1 .4 .2 .3 .5", "3 .5 .1 .9 .3 .7 .7 .3 .5", "7 .2 .6 .4 .6 .4 .9 .2 .9"]
    for label in sorted(data.parent.rglob("labels/*.txt")):
        label.write_text("\n".join(lines) + "\n", encoding="utf-8")
    build(open_source(data), tmp_path / "shapes index", encoder=FakeEncoder(), signals=(Geometry(),))
    return Index.open(tmp_path / "shapes index")


@pytest.mark.parametrize(("format", "suffix"), [("coco", "json"), ("cvat", "xml"), ("labelstudio", "json")])
def test_shapes_go_out_and_come_back(tmp_path: Path, format: str, suffix: str) -> None:
    index = outlined(tmp_path)
    file = tmp_path / "shapes" / f"all.{suffix}"
    export(index, tmp_path / f"all.{suffix}", format, filters=EVERYTHING)
    shutil.copy(tmp_path / f"all.{suffix}", file)
    found = diff(index, file, tolerance=BIT)
    assert found.changes.num_rows == 0 and found.same == len(index.boxes()) == 12
    folder = tmp_path / "alone"
    shutil.copytree(tmp_path / "shapes", folder, ignore=shutil.ignore_patterns("*.txt", "*.yaml", "all.*"))
    shutil.copy(file, folder)
    read = [record for record in open_source(folder).read() if isinstance(record, LabelledImage)]
    assert len(read) == 4
    ours = index.boxes()
    for image in read:
        for row in range(3):
            outline = image.boxes.corners[row]
            if row == 2:
                assert outline is None  # four corners of an upright box are no shape
            else:
                assert outline is not None and abs(outline - ours.corners[row]).max() < BIT


def test_the_area_of_a_shape_is_that_inside_it(tmp_path: Path) -> None:
    export(outlined(tmp_path), tmp_path / "all.json", "coco", filters=EVERYTHING)
    content = json.loads((tmp_path / "all.json").read_text(encoding="utf-8"))
    areas = [round(one["area"], 6) for one in content["annotations"][:3]]
    assert areas == [240, 960, 288]  # of images of 80 by 60 pixels; the box around the first has 576


def test_a_box_that_differs_from_its_outline_is_handed_over_as_a_box(tmp_path: Path) -> None:
    """As in COCO files: the box is what is judged, and only COCO has room for both."""
    corners = np.array([[0.1, 0.1], [0.3, 0.1], [0.2, 0.4]])
    box = HandBox(0, 0, 7, (0.2, 0.25, 0.25, 0.3), None, None, (), corners=corners)
    assert not bounds_its_box(box)
    assert bounds_its_box(replace(box, xywhn=(0.2, 0.25, 0.2, 0.3)))
    assert not bounds_its_box(replace(box, corners=None))
