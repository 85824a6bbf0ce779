"""Each hand-off is read back by its own library, or by the rules of its published description.

Whatever the format: class ids and lines are those of the label files, and what was found stands beside them.
"""

import csv
import io
import json
import xml.etree.ElementTree as ET
from dataclasses import replace
from pathlib import Path
from typing import Any
from urllib.parse import unquote

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from healtheat.exporting.coco import write_coco
from healtheat.exporting.cvat import write_cvat
from healtheat.exporting.fiftyone import write_fiftyone
from healtheat.exporting.formats import FORMATS, format_of
from healtheat.exporting.handoff import HandOff, gather
from healtheat.exporting.labelstudio import LOCAL_FILES, write_labelstudio
from healtheat.findings.filters import LISTED, Filters
from healtheat.index import NewVerdict
from healtheat.sources.named.ids import unique_labels
from tests.made_index import MadeIndex

# sparse ids, 0 among them; a name used twice, an empty one, and one that would be markup
NAMES = {0: "타이레놀정 500mg", 3: "<script>alert('x')</script>", 7: "advil", 40: "advil", 41: ""}
LABELS = {
    "images/train/a.jpg": ["0 0.5 0.5 0.25 0.125", "3 0.3 0.333333333 0.1 0.2", "41 0.9 0.9 0.4 0.4"],
    "images/val/a.jpg": ["40 0.123456789 0.5 0.25 0.125", "7 0.5 0.5 0.5 0.5"],
    'images/val/가 나&".jpg': ["7 0.5 0.5 0.25 0.125"],
    "images/val/clean.jpg": ["7 0.5 0.5 0.25 0.125"],
}
FINDINGS = [
    {
        "image": "images/train/a.jpg",
        "line": 1,
        "issue": "mislabel",
        "score": 0.9,
        "suggestion": 7,
        "reason": "looks like <b>advil</b> & \x0b more",
    },
    {"image": "images/train/a.jpg", "line": 1, "issue": "bad_box", "score": 0.6},
    {"image": "images/val/a.jpg", "line": 0, "issue": "outlier", "score": 0.3, "flagged": False},
    {"image": "images/val/a.jpg", "line": -1, "class_id": 3, "issue": "missing_box", "score": 1.0},
    {"image": 'images/val/가 나&".jpg', "line": 0, "issue": "background", "score": 1 / 3},
    # below their thresholds, though with high scores
    {"image": "images/train/a.jpg", "line": 1, "issue": "low_quality", "score": 0.95, "flagged": False},
    {"image": "images/val/a.jpg", "line": 0, "issue": "mislabel", "suggestion": 3, "flagged": False},
    {
        "image": "images/val/clean.jpg",
        "line": -1,
        "class_id": 7,
        "issue": "missing_box",
        "score": 0.4,
        "flagged": False,
    },
]


@pytest.fixture
def index(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> MadeIndex:
    made = MadeIndex(
        tmp_path / "index", names=NAMES, root=tmp_path / "data", labels=LABELS, findings=FINDINGS
    )
    random = np.random.default_rng(3)
    monkeypatch.setattr(made, "vectors", lambda ids: random.normal(size=(len(ids), 8)).astype(np.float32))
    made.judging.append(NewVerdict(box_id=1, issue="mislabel", verdict="relabel", relabel_to=40, who="김"))
    return made


@pytest.fixture
def given(index: MadeIndex) -> HandOff:
    return gather(index, Filters(statuses=LISTED))


HANDOFFS = [format.name for format in FORMATS if format.needs == "images"]


def write(format: str, given: HandOff, to: Path, **options: Any) -> tuple[Path, ...]:
    """Write a hand-off as `export` does; returns its files."""
    chosen = format_of(to, format)
    files = chosen.files(to)
    files[0].parent.mkdir(exist_ok=True)
    chosen.write(given, *files, **options)
    return files


Rows = dict[tuple[str, int], int]


def truth(given: HandOff) -> Rows:
    """(image, line) → class id, from the label files' own text."""
    return {
        (image.path, line): int(text.split()[0])
        for image in given.images
        for line, text in enumerate(LABELS[image.path])
    }


def xywhn_of(path: str, line: int) -> list[float]:
    return [float(value) for value in LABELS[path][line].split()[1:]]


def test_images_with_findings_and_all_their_boxes(index: MadeIndex, given: HandOff) -> None:
    assert [image.path for image in given.images] == [path for path in LABELS if "clean" not in path]
    assert [len(image.boxes) for image in given.images] == [3, 2, 1]
    box = given.images[0].boxes[1]
    assert box.attributes()["issue"] == "mislabel"
    assert (box.attributes()["status"], box.attributes()["relabel_to"]) == ("confirmed", 40)
    assert len(gather(index, Filters(flagged_only=False)).images) == len(LABELS)
    only = gather(index, Filters(statuses=["confirmed"]))
    assert [image.path for image in only.images] == ["images/train/a.jpg"]


def test_a_box_is_handed_over_once_led_by_the_reason_that_leads_its_place(tmp_path: Path) -> None:
    of_one = [
        {"image": "images/val/a.jpg", "line": 0, "issue": "mislabel", "score": 0.9, "suggestion": 7},
        {"image": "images/val/a.jpg", "line": 0, "issue": "background", "score": 0.85},
        {"image": "images/val/a.jpg", "line": 0, "issue": "bad_box", "score": 0.6},
    ]
    made = MadeIndex(tmp_path / "index", names=NAMES, root=tmp_path / "data", labels=LABELS, findings=of_one)
    (image,) = gather(made, Filters()).images
    (found,) = [box.attributes() for box in image.boxes if box.finding]
    assert (found["issue"], found["score"]) == ("background,mislabel,bad_box", 0.85)


def test_only_what_is_flagged_or_confirmed_is_a_finding(index: MadeIndex, tmp_path: Path) -> None:
    index.judging.append(NewVerdict(box_id=5, issue="background", verdict="ok", who="김"))
    every = gather(index, Filters(flagged_only=False))
    boxes = {box.box_id: box.attributes() for image in every.images for box in image.boxes}
    assert {box: found["issue"] for box, found in boxes.items() if found["issue"]} == {1: "mislabel"}
    assert (boxes[1]["score"], boxes[1]["status"]) == (0.9, "confirmed")
    assert (boxes[3]["score"], boxes[3]["status"], boxes[3]["verdict"]) == (0.5, "unflagged", None)
    assert (boxes[5]["score"], boxes[5]["status"], boxes[5]["verdict"]) == (1 / 3, "cleared", "ok")
    assert (boxes[0]["score"], boxes[0]["status"]) == (None, "unflagged"), "not judged at all"
    assert all(boxes[box][name] is None for box in (0, 3, 5) for name in ("reason", "suggestion"))
    assert [[note["issue"] for note in image.notes] for image in every.images] == [
        [],
        ["missing_box"],
        [],
        [],
    ]
    narrow = gather(index, Filters(issues=["missing_box"]))
    assert [box.attributes()["status"] for box in narrow.images[0].boxes] == ["unflagged", "unflagged"]
    narrow = gather(index, Filters(issues=["bad_box"], flagged_only=False))
    assert narrow.images[0].boxes[1].issues == ()  # the verdict on its class settled the box
    hidden = gather(index, Filters(issues=["outlier"], flagged_only=False, images=["*/a.jpg"]))
    assert [box.attributes()["status"] for box in hidden.images[0].boxes] == ["unflagged", "unflagged"]
    tasks = json.loads(write("labelstudio", every, tmp_path / "a.json")[0].read_text(encoding="utf-8"))
    assert [len(p["result"]) for task in tasks for p in task["predictions"]] == [1]
    words = [r["meta"]["text"] for task in tasks for a in task["annotations"] for r in a["result"]]
    assert len([text for text in words if text]) == 1
    tags = ET.parse(write("cvat", every, tmp_path / "a.xml")[0]).getroot().iter("tag")
    assert [tag.attrib["label"] for tag in tags] == [NAMES[3]]


def test_labels_are_never_merged() -> None:
    names = {0: "a", 1: "a", 2: "a (0)", 3: "", 4: " ", 5: "b "}
    labels = unique_labels(names)
    assert len(set(labels.values())) == len(names)
    assert labels[2] == "a (0)"
    assert labels[5] == "b"


def test_pycocotools_reads_coco(given: HandOff, tmp_path: Path) -> None:
    mask = pytest.importorskip("pycocotools.coco", reason="pycocotools is not installed")
    write("coco", given, tmp_path / "found.json")
    coco = mask.COCO(str(tmp_path / "found.json"))
    assert {c["id"]: c["name"] for c in coco.loadCats(coco.getCatIds())} == {
        class_id: name or str(class_id) for class_id, name in NAMES.items()
    }
    found: Rows = {}
    for annotation in coco.loadAnns(coco.getAnnIds()):
        image = coco.loadImgs(annotation["image_id"])[0]
        line = annotation["attributes"]["line"]
        found[image["file_name"], line] = annotation["category_id"]
        assert annotation["attributes"]["class_id"] == annotation["category_id"]
        assert annotation["attributes"]["xywhn"] == xywhn_of(image["file_name"], line)
        x, y, w, h = annotation["bbox"]
        back = [
            (x + w / 2) / image["width"],
            (y + h / 2) / image["height"],
            w / image["width"],
            h / image["height"],
        ]
        assert np.allclose(back, xywhn_of(image["file_name"], line), atol=1e-12, rtol=0)
    assert found == truth(given)
    assert [len(coco.getAnnIds(imgIds=[image.image_id])) for image in given.images] == [3, 2, 1]
    assert coco.imgs[1]["attributes"]["notes"][0]["issue"] == "missing_box"


def test_our_own_reader_reads_coco(given: HandOff, tmp_path: Path) -> None:
    from healtheat.sources.coco.file import load_coco

    write("coco", given, tmp_path / "found.json")
    read = load_coco(tmp_path / "found.json")
    assert read.names == {class_id: name or str(class_id) for class_id, name in NAMES.items()}
    # a box that sticks out of its image is a box in YOLO files, not in COCO's
    assert sorted(read.boxes.class_id.tolist()) == sorted(truth(given).values())


def test_cvat(given: HandOff, tmp_path: Path) -> None:
    """Read by the rules of CVAT's description of "CVAT for images 1.1"."""
    files = write("cvat", given, tmp_path / "found.xml")
    root = ET.parse(files[0]).getroot()
    assert (root.tag, root.findtext("version")) == ("annotations", "1.1")
    assert root.findtext("meta/task/size") == str(len(root.findall("image")))
    declared = {
        label.findtext("name"): [a.findtext("name") for a in label.findall("attributes/attribute")]
        for label in root.findall("meta/task/labels/label")
    }
    assert list(declared) == list(unique_labels(NAMES).values())
    raw = json.loads(files[1].read_text(encoding="utf-8"))
    assert {label["name"]: [a["name"] for a in label["attributes"]] for label in raw} == declared
    found: Rows = {}
    for number, image in enumerate(root.findall("image")):
        assert image.get("id") == str(number)
        path, width, height = (
            image.attrib["name"],
            float(image.attrib["width"]),
            float(image.attrib["height"]),
        )
        for box in image.findall("box"):
            values = {a.attrib["name"]: a.text or "" for a in box.findall("attribute")}
            assert values.keys() <= set(declared[box.attrib["label"]])
            class_id, line = int(values["class_id"]), int(values["line"])
            assert box.attrib["label"] == given.labels[class_id]
            assert box.get("occluded") == "0" and box.get("z_order") == "0"
            x0, y0, x1, y1 = (float(box.attrib[k]) for k in ("xtl", "ytl", "xbr", "ybr"))
            back = [(x0 + x1) / 2 / width, (y0 + y1) / 2 / height, (x1 - x0) / width, (y1 - y0) / height]
            assert np.allclose(back, xywhn_of(path, line), atol=1e-12, rtol=0)
            found[path, line] = class_id
    assert found == truth(given)
    tags = [(tag.attrib["label"], tag.find("attribute[@name='issue']").text) for tag in root.iter("tag")]  # type: ignore[union-attr]
    assert tags == [(NAMES[3], "missing_box")]
    judged = root.findall("image")[0].findall("box")[1]
    assert judged.find("attribute[@name='reason']").text == "looks like <b>advil</b> & \ufffd more"  # type: ignore[union-attr]


def test_label_studio(given: HandOff, tmp_path: Path) -> None:
    """Read by the rules of Label Studio's task format; names must fit the set-up written beside it."""
    files = write("labelstudio", given, tmp_path / "found.json")
    config = ET.parse(files[1]).getroot()
    control, picture = config.find("RectangleLabels"), config.find("Image")
    assert control is not None and picture is not None
    labels = [label.attrib["value"] for label in control.findall("Label")]
    assert labels == list(unique_labels(NAMES).values())
    assert control.get("toName") == picture.get("name") and picture.get("value") == "$image"
    tasks = json.loads(files[0].read_text(encoding="utf-8"))
    assert len({task["id"] for task in tasks}) == len(tasks)
    found: Rows = {}
    for task in tasks:
        path = task["data"]["path"]
        assert unquote(task["data"]["image"].removeprefix(LOCAL_FILES)) == path
        results = [r for a in task["annotations"] for r in a["result"]]
        assert len({r["id"] for r in results}) == len(results)
        for result in results + [r for p in task["predictions"] for r in p["result"]]:
            assert result["type"] == "rectanglelabels"
            assert (result["from_name"], result["to_name"]) == (control.get("name"), control.get("toName"))
            assert set(result["value"]["rectanglelabels"]) <= set(labels)
        for result in results:
            value, line = result["value"], result["meta"]["line"]
            back = [
                (value["x"] + value["width"] / 2) / 100,
                (value["y"] + value["height"] / 2) / 100,
                value["width"] / 100,
                value["height"] / 100,
            ]
            assert np.allclose(back, xywhn_of(path, line), atol=1e-12, rtol=0)
            assert value["rectanglelabels"] == [given.labels[result["meta"]["class_id"]]]
            found[path, line] = result["meta"]["class_id"]
    assert found == truth(given)
    prediction = tasks[0]["predictions"][0]
    assert prediction["score"] == 0.9
    assert [r["value"]["rectanglelabels"] for r in prediction["result"]] == [
        ["advil (40)"]
    ]  # a person said so
    assert tasks[1]["data"]["notes"] == ["missing_box: made up"]


@pytest.mark.parametrize("format", ["labelstudio", "cvat"])
def test_class_names_that_no_xml_may_hold(index: MadeIndex, format: str, tmp_path: Path) -> None:
    names = {0: "a\x1b", 3: "a\x07", 7: "b\n\t\ufffe", 40: "\ud7ff", 41: "c\x0b"}
    given = replace(gather(index, Filters(flagged_only=False)), labels=unique_labels(names))
    to, beside = tmp_path / "x", tmp_path / "beside"
    (write_labelstudio if format == "labelstudio" else write_cvat)(given, to, beside)
    root = ET.parse(beside if format == "labelstudio" else to).getroot()
    told = [e.get("value") for e in root.iter("Label")] or [e.text for e in root.findall(".//label/name")]
    assert told[:2] == ["a\ufffd (0)", "a\ufffd (3)"] and len(set(told)) == len(names)
    used = {e.get("label") for e in root.iter("box")}
    if format == "labelstudio":
        tasks = json.loads(to.read_text(encoding="utf-8"))
        results = [r for task in tasks for part in task["annotations"] for r in part["result"]]
        used = {label for r in results for label in r["value"]["rectanglelabels"]}
    assert used and used <= set(told)


def test_fiftyone(given: HandOff, tmp_path: Path) -> None:
    """Read by the published description of FiftyOneImageDetectionDataset (labels.json and data.json)."""
    write("fiftyone", given, tmp_path / "found")
    content = json.loads((tmp_path / "found/labels.json").read_text(encoding="utf-8"))
    places = json.loads((tmp_path / "found/data.json").read_text(encoding="utf-8"))
    assert set(content) == {"classes", "labels"}
    assert content["labels"].keys() == places.keys()
    path_of = {image.file.absolute().as_posix(): image.path for image in given.images}
    found: Rows = {}
    for key, detections in content["labels"].items():
        assert Path(places[key]).is_file()
        path = path_of[places[key]]
        for detection in detections:
            class_id, line = detection["attributes"]["class_id"], detection["attributes"]["line"]
            assert detection["label"] == given.labels[class_id]
            x, y, w, h = detection["bounding_box"]
            assert np.allclose([x + w / 2, y + h / 2, w, h], xywhn_of(path, line), atol=1e-12, rtol=0)
            found[path, line] = class_id
    assert found == truth(given)


def test_fiftyone_itself(given: HandOff, tmp_path: Path) -> None:
    importers = pytest.importorskip(
        "fiftyone.utils.data.importers", reason="fiftyone is not installed (large)"
    )
    write("fiftyone", given, tmp_path / "found")
    reader = importers.FiftyOneImageDetectionDatasetImporter(
        dataset_dir=str(tmp_path / "found"), data_path="data.json", labels_path="labels.json"
    )
    found: Rows = {}
    path_of = {image.file.absolute().as_posix(): image.path for image in given.images}
    with reader:
        for image, _, label in reader:
            for detection in label.detections:
                found[path_of[Path(image).as_posix()], detection["line"]] = detection["class_id"]
    assert found == truth(given)


def test_atlas(index: MadeIndex, given: HandOff, tmp_path: Path) -> None:
    write("atlas", given, tmp_path / "map.parquet", crops=True)
    table = pq.read_table(tmp_path / "map.parquet")
    rows = table.to_pylist()
    assert {(row["image_path"], row["line"]): row["class_id"] for row in rows} == truth(given)
    assert len({row["id"] for row in rows}) == len(rows)
    assert all(-1 <= row[axis] <= 1 for row in rows for axis in "xy")
    assert rows[1]["text"].startswith(f"{NAMES[3]} · mislabel: looks like")
    assert table.schema.field("image").type == pa.struct([("bytes", pa.binary()), ("path", pa.string())])
    assert [row["image"]["bytes"] for row in rows] == [None] * 6  # these files hold no pixels
    every = gather(index, Filters(flagged_only=False))
    write("atlas", every, tmp_path / "all.parquet")
    issues = pq.read_table(tmp_path / "all.parquet")["issue"].to_pylist()
    assert sorted(issues) == ["", "", "", "", "", "background", "mislabel"]
    write("atlas", given, tmp_path / "plain.parquet")
    assert "image" not in pq.read_table(tmp_path / "plain.parquet").column_names


def test_atlas_crops_are_pictures(built: Path, tmp_path: Path) -> None:
    from PIL import Image

    from healtheat.index import Index

    with Index.open(built / "index/pills") as opened:
        write("atlas", gather(opened, Filters()), tmp_path / "map.parquet", crops=True)
        classes = dict(zip(opened.boxes().box_id.tolist(), opened.boxes().class_id.tolist(), strict=True))
    rows = pq.read_table(tmp_path / "map.parquet").to_pylist()
    assert rows and all(classes[row["id"]] == row["class_id"] for row in rows)
    for row in rows[:5]:
        assert Image.open(io.BytesIO(row["image"]["bytes"])).size == (96, 96)


@pytest.mark.parametrize("format", HANDOFFS)
def test_nothing_to_hand_over(format: str, index: MadeIndex, tmp_path: Path) -> None:
    files = write(format, HandOff(index, [], NAMES, unique_labels(NAMES)), tmp_path / "none.json")
    assert all(file.is_file() for file in files)


def test_images_nobody_can_look_at_are_left_out(index: MadeIndex) -> None:
    original = index.sql

    def without_size(query: str, parameters: Any = ()) -> Any:
        return original(
            query.replace("select * from images", "select * replace (0 as width_px) from images"), parameters
        )

    index.sql = without_size  # type: ignore[method-assign]
    given = gather(index, Filters())
    assert (given.images, len(given.unreadable)) == ([], 3)


@pytest.mark.parametrize(
    ("format", "name"),
    [
        ("cvat", "a.xml"),
        ("labelstudio", "a.json"),
        ("coco", "a.json"),
        ("fiftyone", "a"),
        ("atlas", "a.parquet"),
    ],
)
def test_commands(
    format: str, name: str, in_built: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    from healtheat.cli import run

    command = ["export", "--format", format, "--to", str(tmp_path / name)]
    assert run(command) == 0
    assert "with findings ->" in capsys.readouterr().out
    every = ["export", "--format", format, "--to", str(tmp_path / f"all-{name}"), "--all"]
    assert run(every) == 0
    assert run(["query", "--all", "--format", "csv"]) == 0
    said, text = capsys.readouterr().out.split("\n", 1)
    rows = [row for row in csv.DictReader(io.StringIO(text)) if row["box_id"] != "-1"]
    flagged = {row["box_id"] for row in rows if row["flagged"].lower() == "true"}
    assert flagged and f" {len(flagged)} with findings ->" in said
    assert run(command) == 2
    assert "--overwrite" in capsys.readouterr().err
    assert run([*command, "--overwrite"]) == 0


def test_boxes_that_people_added_or_moved(index: MadeIndex, tmp_path: Path) -> None:
    """Added ones are boxes without a line; a moved one stays where the file has it, and is told."""
    new, there = (0.7, 0.7, 0.2, 0.25), (0.31, 0.3, 0.1, 0.2)
    image = {"image_id": 3, "about": new, "box": new}
    index.judging.append(NewVerdict("missing_box", "added", "김", relabel_to=41, **image))
    index.judging.append(NewVerdict("bad_box", "moved", "김", box_id=5, box=there))
    index.judging.append(NewVerdict("missing_box", "added", "김", relabel_to=99, **{**image, "image_id": 2}))
    given = gather(index, Filters(statuses=LISTED))
    assert [len(one.added) for one in given.images] == [0, 0, 0, 1]
    write_coco(given, tmp_path / "coco.json")
    items = json.loads((tmp_path / "coco.json").read_text(encoding="utf-8"))["annotations"]
    (added,) = [item for item in items if item["attributes"]["verdict"] == "added"]
    assert (added["category_id"], added["image_id"], added["attributes"]["line"]) == (41, 3, -1)
    assert added["bbox"] == pytest.approx([6, 5.75, 2, 2.5]) and added["attributes"]["xywhn"] == [*new]
    assert len({item["id"] for item in items}) == len(items)
    (moved,) = [item for item in items if item["attributes"]["move_to"]]
    assert moved["attributes"]["move_to"] == "0.31 0.3 0.1 0.2"
    assert moved["attributes"]["xywhn"] == [0.5, 0.5, 0.25, 0.125]
    write_labelstudio(given, tmp_path / "ls.json", tmp_path / "ls.xml")
    tasks = json.loads((tmp_path / "ls.json").read_text(encoding="utf-8"))
    assert len(tasks[3]["annotations"][0]["result"]) == 1, "labels are as the file has them"
    (result,) = tasks[3]["predictions"][0]["result"]
    assert result["value"]["x"] == pytest.approx(60) and result["value"]["rectanglelabels"] == ["(41)"]
    (result,) = tasks[2]["predictions"][0]["result"]
    assert result["value"]["x"] == pytest.approx(26), "at the place that a person wants"
    write_cvat(given, tmp_path / "cvat.xml", tmp_path / "labels.json")
    boxes = ET.parse(tmp_path / "cvat.xml").getroot().findall("image/box")
    (box,) = [box for box in boxes if box.get("source") == "manual"]
    assert float(box.get("xtl") or 0) == pytest.approx(6)
    write_fiftyone(given, tmp_path / "labels5.json", tmp_path / "data5.json")
    labels = json.loads((tmp_path / "labels5.json").read_text(encoding="utf-8"))["labels"]
    assert [d["attributes"].get("verdict") for d in labels["00000003"]] == [None, "added"]
