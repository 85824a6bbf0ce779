"""`healtheat build` on labels that know classes by name: the summary says where their ids come from."""

import json
from pathlib import Path

import pytest
from PIL import Image

from healtheat.cli import run

NAMES = ("가", "b")


@pytest.fixture
def voc(tmp_path: Path) -> Path:
    for number in range(4):
        Image.new("RGB", (100, 50), ("red", "blue")[number % 2]).save(tmp_path / f"{number}.png")
        box = "<bndbox><xmin>10</xmin><ymin>10</ymin><xmax>40</xmax><ymax>40</ymax></bndbox>"
        content = (
            f"<annotation><filename>{number}.png</filename><size><width>100</width><height>50</height></size>"
            f"<object><name>{NAMES[number % 2]}</name>{box}</object></annotation>"
        )
        (tmp_path / f"{number}.xml").write_text(content, encoding="utf-8")
    return tmp_path


def test_the_summary_says_where_ids_come_from(voc: Path, capsys: pytest.CaptureFixture[str]) -> None:
    index = ["--index", str(voc / "out/index")]
    assert run(["build", str(voc), *index]) == 0
    assert "class ids from the class names in sorted order\n" in capsys.readouterr().out
    names = voc / "out/classes.txt"
    names.write_text("가\nb\n", encoding="utf-8")
    assert run(["build", str(voc), *index, "--names", str(names), "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["ids_from"] == "the names of classes.txt"
    assert run(["query", *index, "--all", "--format", "json"]) == 0
    rows = json.loads(capsys.readouterr().out)
    assert {row["class_id"]: row["class_name"] for row in rows if row["class_name"]} == {0: "가", 1: "b"}

    before = {path: path.read_bytes() for path in voc.glob("*.xml")}
    assert run(["apply", *index, "--in-place"]) == 2  # such files are only read
    assert "voc has no label files" in capsys.readouterr().err
    assert {path: path.read_bytes() for path in voc.glob("*.xml")} == before


def test_diff_and_guard_take_names_too(voc: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    home = voc / "out"
    (home / "labels").mkdir(parents=True)
    names = home / "classes.txt"
    names.write_text("가\nb\n", encoding="utf-8")
    for number in range(4):  # the same boxes as numbers, one of them with the other class
        line = f"{int(number in (1, 2, 3))} 0.25 0.5 0.3 0.6\n"
        (home / f"labels/{number}.txt").write_text(line, encoding="utf-8")
    both = [str(voc), str(home / "labels")]
    assert run(["diff", *both, "--classes", "by-id", "--names", str(names), "--format", "json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert found["boxes"]["relabelled"] == 1 and found["boxes"]["same"] == 3
    assert [(row["class_id"], row["new_class_id"]) for row in found["changes"]] == [(0, 1)]
    guard = ["guard", both[1], "--against", both[0], "--rule", "none", "--format", "json"]
    run([*guard, "--names", str(names)])
    assert json.loads(capsys.readouterr().out)["comparison"]["changed"] == 1
    data = tmp_path / "yolo/data.yaml"
    data.parent.mkdir()
    data.write_text("names: [a]\ntrain: .\n", encoding="utf-8")
    for command in (["diff", str(data), str(data)], ["guard", str(data)]):
        assert run([*command, "--names", str(names)]) == 2
        assert "--names" in capsys.readouterr().err


def test_names_are_for_labels_that_know_classes_by_name(
    voc: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    data = voc / "data.yaml"
    data.write_text("names: [a]\ntrain: .\n", encoding="utf-8")
    assert run(["build", str(data), "--names", str(data), "--index", str(voc / "out/index")]) == 2
    assert "--names is only for the kind " in capsys.readouterr().err
