"""Predictions beside the labels in a whole build: given once, remembered with the index, taken away again."""

import json
from pathlib import Path

import pytest

from healtheat.building.build import build
from healtheat.cli import run
from healtheat.exporting.run import export
from healtheat.findings.choose import choose_inputs, score_again
from healtheat.findings.filters import Filters
from healtheat.findings.inputs import predictions_of
from healtheat.index import Index
from healtheat.sources import open_source
from tests.index.small_set import FakeEncoder, write_set


@pytest.fixture
def data(tmp_path: Path) -> Path:
    """A small set, and predictions: as labelled, a little off; one other class and one box more."""
    yaml = write_set(tmp_path / "set")
    for number, file in enumerate(sorted((tmp_path / "set").rglob("labels/*.txt"))):
        lines = [line.split() for line in file.read_text(encoding="utf-8").splitlines()]
        rows = [[c, str(float(x) + 0.004), y, w, h, "0.93"] for c, x, y, w, h in lines]
        if number == 1:
            rows[2][0] = "3" if rows[2][0] != "3" else "7"
        if number == 2:
            rows.append(["7", "0.5", "0.05", "0.05", "0.05", "0.93"])
        out = tmp_path / "predictions" / file.parent.parent.name / file.name
        out.parent.mkdir(parents=True, exist_ok=True)
        out.write_text("".join(" ".join(row) + "\n" for row in rows), encoding="utf-8")
    return yaml


def findings(index: Path) -> list[dict[str, object]]:
    with Index.open(index) as opened:
        return opened.sql(
            "SELECT f.* EXCLUDE (finding_id, run_id), i.path "
            "FROM findings f LEFT JOIN images i USING (image_id) "
            "ORDER BY ALL"
        ).to_pylist()


def remembered(index: Path) -> Path | None:
    with Index.open(index) as opened:
        return predictions_of(opened)


@pytest.mark.slow
def test_predictions_are_given_remembered_and_taken_away(
    data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    index, folder = tmp_path / "index", tmp_path / "predictions"
    build(open_source(data), index, encoder=FakeEncoder())
    before = findings(index)
    assert remembered(index) is None and run(["score", "--index", str(index)]) == 0
    assert findings(index) == before

    monkeypatch.chdir(tmp_path)
    assert run(["score", "--index", str(index), "--predictions", "predictions"]) == 0
    assert "predictions for 12 of 12 images" in capsys.readouterr().err
    monkeypatch.chdir(data.parent)
    assert run(["score", "--index", str(index)]) == 2  # nothing that an index names is opened unasked
    assert f"'{folder}'" in (said := capsys.readouterr().err) and "--predictions none" in said
    assert run(["score", "--index", str(index), "--predictions", str(folder)]) == 0
    assert remembered(index) == folder
    by_agreement = [row for row in findings(index) if row["signal"] == "agreement"]
    swapped = max((r for r in by_agreement if r["issue"] == "mislabel"), key=lambda r: r["score"])  # type: ignore[arg-type,return-value]
    assert swapped["line"] == 2 and swapped["suggestion"] in (3, 7)
    missing = [row for row in by_agreement if row["issue"] == "missing_box"]
    assert [(row["line"], row["class_id"], row["box_id"]) for row in missing] == [(-1, 7, -1)]
    assert [missing[0][name] for name in ("kind", "cx", "cy", "w", "h")] == ["place", 0.5, 0.05, 0.05, 0.05]

    assert run(["score", "--index", str(index), "--predictions", "none"]) == 0
    assert remembered(index) is None and findings(index) == before


@pytest.mark.slow
def test_a_build_takes_predictions_as_scoring_does(data: Path, tmp_path: Path) -> None:
    inputs = choose_inputs(predictions=tmp_path / "predictions")
    report = build(open_source(data), tmp_path / "a", encoder=FakeEncoder(), inputs=inputs)
    assert report.failures == ()
    build(open_source(data), tmp_path / "b", encoder=FakeEncoder())
    assert run(["score", "--index", str(tmp_path / "b"), "--predictions", str(tmp_path / "predictions")]) == 0
    assert findings(tmp_path / "a") == findings(tmp_path / "b")


def test_predictions_of_other_images_are_bad_input(
    data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    index = tmp_path / "index"
    build(open_source(data), index, encoder=FakeEncoder())
    (tmp_path / "other").mkdir()
    (tmp_path / "other" / "cat.txt").write_text("0 0.5 0.5 0.1 0.1 0.5\n", encoding="utf-8")
    before = findings(index)
    assert run(["score", "--index", str(index), "--predictions", str(tmp_path / "other")]) == 2
    said = capsys.readouterr().err
    assert "cat.txt" in said and "사진" in said
    assert run(["score", "--index", str(index), "--predictions", str(tmp_path / "nowhere")]) == 2
    assert run(["build", str(data), "--index", str(index), "--predictions", str(tmp_path / "nowhere")]) == 2
    assert findings(index) == before


def test_results_in_one_json_say_what_text_files_say(data: Path, tmp_path: Path) -> None:
    """The same predictions in both forms, over the same COCO labels."""
    with_yaml = tmp_path / "yolo"
    build(open_source(data), with_yaml, encoder=FakeEncoder())
    with Index.open(with_yaml) as index:
        export(index, tmp_path / "set/gt.json", "coco", filters=Filters(flagged_only=False))
    coco = json.loads((tmp_path / "set/gt.json").read_text(encoding="utf-8"))
    results = []
    for image in coco["images"]:
        name = Path(image["file_name"])
        for line in (
            (tmp_path / "predictions" / name.parts[0] / f"{name.stem}.txt")
            .read_text(encoding="utf-8")
            .splitlines()
        ):
            ident, x, y, w, h, score = map(float, line.split())
            place = [(x - w / 2) * 80, (y - h / 2) * 60, w * 80, h * 60]
            results.append(
                {"image_id": image["id"], "category_id": int(ident), "bbox": place, "score": score}
            )
    (tmp_path / "preds.json").write_text(json.dumps(results), encoding="utf-8")
    found = []
    for number, given in enumerate((tmp_path / "predictions", tmp_path / "preds.json")):
        index_dir = tmp_path / f"index {number}"
        labels = tmp_path / "set/gt.json"
        inputs = choose_inputs(predictions=given, data=labels)
        build(open_source(labels), index_dir, encoder=FakeEncoder(), inputs=inputs)
        assert remembered(index_dir) == given
        found.append(
            [(row["path"], row["issue"], row["box_id"], row["flagged"]) for row in findings(index_dir)]
        )
    assert found[0] == found[1] and any(issue == "missing_box" for _, issue, _, _ in found[0])
    again = score_again(tmp_path / "index 1", predictions=tmp_path / "preds.json")
    assert again.findings == len(found[1])  # it is read again
