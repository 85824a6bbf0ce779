"""Every format of export: exact, whole or not at all, never over what is there, whatever the names are."""

import csv
import json
import xml.etree.ElementTree as ET
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import yaml

from healtheat.cleanup import training
from healtheat.core.errors import InputError
from healtheat.core.paths import yolo_label_path
from healtheat.exporting import formats
from healtheat.exporting.formats import FORMATS, Format, format_of
from healtheat.exporting.run import Exported, export
from healtheat.exporting.vetted import yolo as vetted
from healtheat.findings.filters import Filters
from healtheat.index import NewVerdict
from tests.made_index import MadeIndex

NAMES = {0: "타이레놀정 500mg", 3: "advil", 40: "<b>게보린</b>"}
LABELS = {
    "images/train/가 나.jpg": ["0 0.5 0.5 0.25 0.125", "3 0.3 0.333333333 0.1 0.2", "40 0.9 0.9 0.1 0.1"],
    "images/train/deep/가 나.jpg": ["40 0.123456789 0.5 0.25 0.125"],
    "images/val/b.jpg": ["3 0.5 0.5 0.5 0.5", "3 0.25 0.5 0.125 0.5"],
}
FINDINGS = [
    {"image": "images/train/가 나.jpg", "line": 1, "issue": "mislabel", "score": 0.9, "suggestion": 0},
    {"image": "images/val/b.jpg", "line": 1, "issue": "background", "score": 1 / 3},
]
BOXES = {
    (image, line): int(text.split()[0]) for image, lines in LABELS.items() for line, text in enumerate(lines)
}
FOUND = {("images/train/가 나.jpg", 1): 3, ("images/val/b.jpg", 1): 3}
by_name = pytest.mark.parametrize("format", FORMATS, ids=lambda format: format.name)


@pytest.fixture
def index(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> MadeIndex:
    made = MadeIndex(
        tmp_path / "index", names=NAMES, root=tmp_path / "data", labels=LABELS, findings=FINDINGS, held=FOUND
    )
    random = np.random.default_rng(3)
    monkeypatch.setattr(made, "vectors", lambda ids: random.normal(size=(len(ids), 8)).astype(np.float32))
    return made


def written(index: MadeIndex, format: Format, to: Path, **options: Any) -> Exported:
    """Everything there is, in this format; of a plan what it keeps."""
    everything = Filters(flagged_only=format.needs in ("plan", "decisions"))
    if format.needs == "plan":
        options = {"write": True, "max_share": 1, **options}
    if format.needs == "changes" and not index.judging.lines:  # without a verdict there is nothing to patch
        index.judging.append(NewVerdict(box_id=1, issue="mislabel", verdict="drop", who="a"))
    return export(index, to, format.name, filters=everything, **options)


Read = tuple[dict[tuple[str, int], int], set[str]]  # (image, line) → class id; texts of labels


def read_csv(index: MadeIndex, to: Path) -> Read:
    with to.open(encoding="utf-8", newline="") as file:
        return of_rows([{**row, "line": int(row["line"])} for row in csv.DictReader(file)])


def read_json(index: MadeIndex, to: Path) -> Read:
    return of_rows(json.loads(to.read_text(encoding="utf-8")))


def read_jsonl(index: MadeIndex, to: Path) -> Read:
    return of_rows([json.loads(line) for line in to.read_text(encoding="utf-8").splitlines()])


def read_parquet(index: MadeIndex, to: Path) -> Read:
    return of_rows(pq.read_table(to).to_pylist())


def of_rows(rows: list[dict[str, Any]]) -> Read:
    found = {(row["image"], row["line"]): int(row["class_id"]) for row in rows}
    return found, {row["class_name"] for row in rows}


def read_yolo(index: MadeIndex, to: Path) -> Read:
    """Lines that are left, under the numbers that they have in the data set."""
    content = yaml.safe_load((to / "data.yaml").read_text(encoding="utf-8"))
    assert content["names"] == NAMES
    found = {}
    for split in ("train", "val"):
        for image in map(Path, (to / content[split]).read_text(encoding="utf-8").splitlines()):
            name = image.relative_to(to / "edited" if to in image.parents else index.root).as_posix()
            for line in yolo_label_path(image).read_text(encoding="utf-8").splitlines():
                found[name, LABELS[name].index(line)] = int(line.split()[0])
    return found, set(content["names"].values())


def read_cvat(index: MadeIndex, to: Path) -> Read:
    found, labels = {}, set()
    for image in ET.parse(to).getroot().iter("image"):
        for box in image.iter("box"):
            values = {a.attrib["name"]: a.text or "" for a in box.iter("attribute")}
            found[image.attrib["name"], int(values["line"])] = int(values["class_id"])
            labels.add(box.attrib["label"])
    return found, labels


def read_labelstudio(index: MadeIndex, to: Path) -> Read:
    found, labels = {}, set()
    for task in json.loads(to.read_text(encoding="utf-8")):
        for result in (r for a in task["annotations"] for r in a["result"]):
            found[task["data"]["path"], result["meta"]["line"]] = result["meta"]["class_id"]
            labels.update(result["value"]["rectanglelabels"])
    return found, labels


def read_coco(index: MadeIndex, to: Path) -> Read:
    content = json.loads(to.read_text(encoding="utf-8"))
    images = {image["id"]: image["file_name"] for image in content["images"]}
    found = {
        (images[one["image_id"]], one["attributes"]["line"]): one["category_id"]
        for one in content["annotations"]
    }
    return found, {category["name"] for category in content["categories"]}


def read_fiftyone(index: MadeIndex, to: Path) -> Read:
    places = json.loads((to / "data.json").read_text(encoding="utf-8"))
    found, labels = {}, set()
    for key, detections in json.loads((to / "labels.json").read_text(encoding="utf-8"))["labels"].items():
        image = Path(places[key]).relative_to(index.root).as_posix()
        for one in detections:
            found[image, one["attributes"]["line"]] = one["attributes"]["class_id"]
            labels.add(one["label"])
    return found, labels


def read_atlas(index: MadeIndex, to: Path) -> Read:
    rows = pq.read_table(to).to_pylist()
    found = {(row["image_path"], row["line"]): row["class_id"] for row in rows}
    return found, {row["class_name"] for row in rows}


READERS: dict[str, Callable[[MadeIndex, Path], Read]] = {
    "csv": read_csv,
    "json": read_json,
    "jsonl": read_jsonl,
    "parquet": read_parquet,
    "yolo": read_yolo,
    "cvat": read_cvat,
    "labelstudio": read_labelstudio,
    "coco": read_coco,
    "fiftyone": read_fiftyone,
    "atlas": read_atlas,
}


@by_name
def test_class_ids_lines_and_names_are_exact(format: Format, index: MadeIndex, tmp_path: Path) -> None:
    if format.name not in READERS:
        pytest.skip("a test of its own must read it back")
    to = tmp_path / "목록" / f"found{(*format.suffixes, '.x')[0]}"
    done = written(index, format, to)
    found, labels = READERS[format.name](index, to)
    expected = {
        "rows": FOUND,
        "images": BOXES,
        "plan": {key: class_id for key, class_id in BOXES.items() if key not in FOUND},
    }
    assert found == expected[format.needs]
    assert labels <= set(NAMES.values())
    assert labels == {NAMES[class_id] for class_id in found.values()} or labels == set(NAMES.values())
    assert done.written and done.format == format.name
    assert all(file.exists() for file in done.files)
    assert not format.writes_folder or set(done.files) == set(to.iterdir())


@by_name
def test_what_is_there_is_replaced_only_where_asked(format: Format, index: MadeIndex, tmp_path: Path) -> None:
    to = tmp_path / "out" / "found"
    written(index, format, to)
    before = contents(to.parent)
    with pytest.raises(InputError, match="add overwrite=True"):
        written(index, format, to)
    assert contents(to.parent) == before
    done = written(index, format, to, overwrite=True)
    assert contents(to.parent).keys() == before.keys()
    assert {f for f in done.files if f.is_file()} <= {to.parent / name for name in before}


@by_name
def test_a_failed_write_leaves_what_was_there(
    format: Format, index: MadeIndex, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full_disk(*content: Any, **options: Any) -> None:
        if not format.writes_folder:
            format.write(*content, **options)  # everything is written but not yet put into place
        raise OSError("disk full")

    def fails(**options: Any) -> None:
        with monkeypatch.context() as broken, pytest.raises(OSError, match="disk full"):
            if format.writes_folder:
                broken.setattr(training, "write_figures", full_disk)
                broken.setattr(vetted, "_write_mark", full_disk)
            else:
                changed = tuple(replace(f, write=full_disk) if f is format else f for f in FORMATS)
                broken.setattr(formats, "FORMATS", changed)
            written(index, format, to, **options)

    to = tmp_path / "out" / "found"
    fails()
    assert contents(tmp_path / "out") == {}
    written(index, format, to)
    before = contents(tmp_path / "out")
    fails(overwrite=True)
    assert contents(tmp_path / "out") == before


def contents(folder: Path) -> dict[str, bytes]:
    """Every file below the folder, hidden and temporary ones too."""
    return {
        path.relative_to(folder).as_posix(): path.read_bytes()
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }


@by_name
def test_options_that_mean_nothing_are_refused(format: Format, index: MadeIndex, tmp_path: Path) -> None:
    options: dict[str, Any] = {
        "spreadsheet": True,
        "crops": True,
        "drop": "images",
        "write": True,
        "force": True,
    }
    for name, value in options.items():
        if name not in format.takes:
            with pytest.raises(InputError, match=f"{name} is for format=".replace("-", "_")):
                export(index, tmp_path / "out", format.name, **{name: value})
    assert not (tmp_path / "out").exists()


def test_names_and_suffixes_choose_one_format_each() -> None:
    names = [format.name for format in FORMATS]
    suffixes = [suffix for format in FORMATS for suffix in format.suffixes]
    assert len({*names}) == len(names) and len({*suffixes}) == len(suffixes)
    for format in FORMATS:
        assert format_of(Path("anything"), format.name) is format
        for suffix in format.suffixes:
            assert format_of(Path(f"A{suffix.upper()}")) is format
    with pytest.raises(InputError, match="choose from csv, json"):
        format_of(Path("a.csv"), "excel")
    with pytest.raises(InputError, match="add format, such as format="):
        format_of(Path("a.xlsx"))
    with pytest.raises(InputError, match="is a folder"):
        format_of(Path(), "csv").files(Path())


def test_one_writer_and_one_line_make_a_format(
    index: MadeIndex, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What CONTRIBUTING promises: nothing else knows of formats."""

    def write_lines(rows: pa.Table, to: Path, legend: Path) -> None:
        places = zip(rows["image"].to_pylist(), rows["line"].to_pylist(), strict=True)
        to.write_text("".join(f"{image}:{line}\n" for image, line in places), encoding="utf-8")
        legend.write_text("image:line\n", encoding="utf-8")

    new = Format("lines", write_lines, "rows", suffixes=(".lines",), beside=(".legend.txt",))
    monkeypatch.setattr(formats, "FORMATS", (*FORMATS, new))
    done = export(index, tmp_path / "a.lines")
    assert done.files == (tmp_path / "a.lines", tmp_path / "a.legend.txt")
    assert (done.format, done.findings) == ("lines", 2)
    assert done.files[0].read_text(encoding="utf-8") == "images/train/가 나.jpg:1\nimages/val/b.jpg:1\n"
    with pytest.raises(InputError, match=r"a\.lines: exists already"):
        export(index, tmp_path / "a.lines")


def test_help_and_docs_name_every_format(capsys: pytest.CaptureFixture[str]) -> None:
    from healtheat.cli import run

    assert run(["export", "--help"]) == 0
    shown = capsys.readouterr().out.replace("\n", " ")
    table = (Path(__file__).parents[2] / "docs/handoffs.md").read_text(encoding="utf-8")
    for format in FORMATS:
        assert format.name in shown
        if format.needs == "images":
            assert f"| `{format.name}` |" in table, f"{format.name}: say in docs/handoffs.md how to open it"
            assert all(ending in table for ending in (*format.beside, *format.inside))


def test_figures_of_a_dry_run(index: MadeIndex, tmp_path: Path) -> None:
    done = export(index, tmp_path / "cleanup", "yolo")
    assert not done.written and done.files == () and not (tmp_path / "cleanup").exists()
    assert done.cleanup is not None
    assert (done.cleanup.boxes_kept, done.cleanup.images_kept) == ((4, 6), (3, 3))
    (tmp_path / "cleanup").mkdir()
    (tmp_path / "cleanup/notes.txt").write_text("mine", encoding="utf-8")
    blocked = export(index, tmp_path / "cleanup", "yolo")
    assert blocked.blocked is not None and "not empty" in str(blocked.blocked)
    with pytest.raises(InputError, match="not empty"):
        export(index, tmp_path / "cleanup", "yolo", max_share=1, write=True)


def test_figures_of_tables_and_hand_offs(index: MadeIndex, tmp_path: Path) -> None:
    rows = export(index, str(tmp_path / "a.csv"))
    assert (rows.findings, rows.statuses, rows.images) == (2, {"flagged": 2}, None)
    assert rows.changed == () and rows.formula_cells == 0
    handed = export(index, tmp_path / "a.xml", "cvat")
    assert (handed.images, handed.boxes, handed.findings) == (2, 5, 2)
    (index.root / "labels/val/b.txt").write_text("3 0.5 0.5 0.5 0.5\n", encoding="utf-8")
    assert export(index, tmp_path / "b.csv").changed == ("labels/val/b.txt",)


def test_excel_needs_a_byte_order_mark(index: MadeIndex, tmp_path: Path) -> None:
    export(index, tmp_path / "a.csv", spreadsheet=True)
    export(index, tmp_path / "b.csv")
    assert (tmp_path / "a.csv").read_bytes().startswith(b"\xef\xbb\xbfimage,")
    assert (tmp_path / "b.csv").read_bytes().startswith(b"image,")


def test_evidence_is_nested_in_json_and_text_elsewhere(index: MadeIndex, tmp_path: Path) -> None:
    for name in ("a.json", "a.parquet"):
        export(index, tmp_path / name)
    assert json.loads((tmp_path / "a.json").read_text(encoding="utf-8"))[0]["evidence"] == {}
    assert pq.read_table(tmp_path / "a.parquet")["evidence"].to_pylist() == ["{}", "{}"]
