"""docs/formats.md says what the code does."""

import re
from pathlib import Path

from healtheat.core.paths import IMAGE_SUFFIXES
from healtheat.sources.coco import file as coco_file
from healtheat.sources.yolo import data_yaml
from healtheat.sources.yolo import labels as yolo_labels

TEXT = (Path(__file__).parents[2] / "docs" / "formats.md").read_text(encoding="utf-8")


def test_the_example_is_read(tree):
    example = re.search(r"```yaml\n(.*?)```", TEXT, re.DOTALL)[1]
    for folder in ("images/train", "images/val", "more/images"):
        (tree.root / folder).mkdir(parents=True)
    tree.put("test.txt")
    data = data_yaml.load_data_yaml(tree.put("data.yaml", example))
    assert data.names == {1899: "보령부스파정 5mg", 33877: "타이레놀정 500mg"}
    assert [split.name for split in data.splits] == ["train", "val", "val", "test"]


def test_extensions_and_limits():
    assert " ".join(sorted(IMAGE_SUFFIXES)) in TEXT
    assert f"more than {data_yaml.MAX_YAML_BYTES // 2**20} MiB." in TEXT
    assert f"more than {yolo_labels.MAX_LABEL_BYTES // 2**20} MiB, a pipe" in TEXT
    assert f"up to {coco_file.MAX_JSON_BYTES // 2**30} GiB" in TEXT
    assert f"More than {yolo_labels.MAX_PROBLEMS:,} problems" in TEXT
    assert yolo_labels.MAX_PROBLEMS == coco_file.MAX_PROBLEMS
