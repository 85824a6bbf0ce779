"""`healtheat vet`, as it is typed."""

from __future__ import annotations

import csv
import io
import json
import shutil
from pathlib import Path

import numpy as np
import pytest

from healtheat.cli import run
from healtheat.core.atomic import sha256_file
from healtheat.core.boxes import ProblemCode
from healtheat.index import Index, NewVerdict
from healtheat.vetting.batch import HELD_AS
from healtheat.vetting.report import HELD_WORDS
from tests.vetted_set import OTHER, WRONG, without_encoders, write_sets

Capture = pytest.CaptureFixture[str]
AGAINST = ("--against", "index/trusted", "--max-wrong", "0.05")


@pytest.fixture(scope="module")
def sets(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A trusted index that was learned already, the batch `new` and its index `vetted/new`."""
    folder = tmp_path_factory.mktemp("vet")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        without_encoders(patch)
        write_sets(folder)
        assert run(["vet", "new/data.yaml", *AGAINST]) == 0
    return folder


@pytest.fixture
def here(sets: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder; only read `index` and `vetted/new`."""
    monkeypatch.chdir(sets)
    without_encoders(monkeypatch)
    return sets


def said(capfd: Capture, *command: str, code: int = 0) -> tuple[str, str]:
    assert run(command) == code
    return capfd.readouterr()


def test_the_table_says_what_became_of_the_batch(here: Path, tmp_path: Path, capfd: Capture) -> None:
    out, err = said(capfd, "vet", "new/data.yaml", *AGAINST, "--to", str(tmp_path / "v"))
    assert "33 of 36 boxes accepted, 3 held; estimated wrong: " in out
    assert "of the accepted (at most 5% asked)" in out
    assert "9 images have every box accepted, of 12 images" in out
    assert "2 looks like another class" in out
    rows = {tuple(line.split()[-4:-1]) for line in out.splitlines() if "타이레놀정500mg" in line}
    assert rows == {("14", "12", "2")}
    assert f"healtheat review --index {tmp_path.as_posix()}/v " in out
    assert "--to index/trusted --accepted-only" in out
    assert "learned" not in err, "it was learned already"


def test_csv_begins_with_the_contract(here: Path, tmp_path: Path, capfd: Capture) -> None:
    out, _ = said(capfd, "vet", "new/data.yaml", *AGAINST, "--format", "csv", "--to", str(tmp_path / "v"))
    assert out.startswith("image,line,class_id,decision,score,class_name,split,")
    rows = list(csv.DictReader(io.StringIO(out, newline=""), strict=True))
    held = {(row["image"], int(row["line"])) for row in rows if row["decision"] == "hold"}
    assert held == {(n.replace("labels/", "images/").replace(".txt", ".png"), k) for n, k in WRONG.items()}
    for row in rows:
        lines = (here / "new" / row["image"].replace("images/", "labels/")).with_suffix(".txt")
        line = lines.read_text(encoding="utf-8").splitlines()[int(row["line"])]
        assert line.split()[0] == row["class_id"], "as it came"
        image, _, place = row["nearest_1"].rpartition(":")
        assert (here / "trusted" / image).is_file() and place.isdigit()


def test_json_is_typed(here: Path, tmp_path: Path, capfd: Capture) -> None:
    out, _ = said(capfd, "vet", "new/data.yaml", *AGAINST, "--format", "json", "--to", str(tmp_path / "v"))
    content = json.loads(out)
    report, decisions = content["report"], content["decisions"]
    assert (report["verdict"], report["boxes"], report["accepted"], report["held"]) == ("judged", 36, 33, 3)
    assert report["batch"] == f"{tmp_path.as_posix()}/v" and report["drift"]["strong"] is False
    assert [one["class_id"] for one in report["classes"]] == [0, 3, 7]
    assert len(decisions) == 36 and decisions[0]["nearest"][0]["similarity"] > 0.5
    assert {type(row["score"]) for row in decisions} == {float}


@pytest.mark.parametrize("format", ["table", "csv", "json"])
def test_a_batch_that_looks_wrong_is_refused(here: Path, tmp_path: Path, capfd: Capture, format: str) -> None:
    shutil.copytree("new", tmp_path / "sunk")
    for file in (tmp_path / "sunk").rglob("labels/*.txt"):
        lines = [line.split(b" ", 1) for line in file.read_bytes().splitlines()]
        turned = [OTHER[class_id] + b" " + rest for class_id, rest in lines]
        file.write_bytes(b"\n".join(turned) + b"\n")
    batch = str(tmp_path / "sunk/data.yaml")
    options = ("--format", format, "--to", str(tmp_path / "v"))
    out, err = said(capfd, "vet", batch, *AGAINST, *options, code=1)
    assert "refused as a whole" in err
    assert "another camera, light or cut" in err
    assert ("FAILED  " in err) == (format == "csv"), "with the reasons beside the rows"
    if format == "table":
        assert "FAILED  " in out and "next:" not in out
    elif format == "csv":
        assert out.startswith("image,line,class_id,decision,score,") and ",accept," not in out
    else:
        report = json.loads(out)["report"]
        assert report["verdict"] == "refused" and report["checks"][0]["failed"] is True


@pytest.mark.parametrize(
    ("more", "why"),
    [
        (["--format", "xml"], "xml"),
        (["--max-wrong", "0"], "--max-wrong 0: give a share between 0 and 1"),
        (["--max-wrong", "1.5"], "--max-wrong 1.5: give a share"),
        (["--max-wrong", "nan"], "--max-wrong nan: give a share"),
        (["--against", "absent"], "absent"),
        (["--to", "index/trusted"], "is the index to judge by; give another folder with --to"),
        (["--to", "index/../index/trusted"], "is the index to judge by; give another folder with --to"),
        (["--to", "index/trusted/below/it"], "lies in the index"),
        (["--conf", "0.5"], "--conf is of a detector's boxes; give it with --weights"),
        (["--conf", "0.5", "--predictions", "p"], "--conf is of a detector's boxes; give it with --weights"),
    ],
)
def test_bad_input_is_told_in_a_line(here: Path, capfd: Capture, more: list[str], why: str) -> None:
    _, err = said(capfd, "vet", "new/data.yaml", *AGAINST, *more, code=2)
    assert why in err and len(err.strip().splitlines()) == 1


def test_the_index_is_known_through_a_link(here: Path, tmp_path: Path, capfd: Capture) -> None:
    """The batch is the data of the index itself: nothing else keeps it from being replaced."""
    (tmp_path / "link").symlink_to(here / "index/trusted", target_is_directory=True)
    before = sha256_file(here / "index/trusted/catalog.duckdb")
    _, err = said(capfd, "vet", "trusted/data.yaml", *AGAINST, "--to", str(tmp_path / "link"), code=2)
    assert "is the index to judge by" in err
    assert sha256_file(here / "index/trusted/catalog.duckdb") == before


def test_an_index_is_no_batch(here: Path, tmp_path: Path, capfd: Capture) -> None:
    _, err = said(capfd, "vet", "vetted/new", *AGAINST, "--to", str(tmp_path / "v"), code=2)
    assert err == "healtheat: vetted/new: is an index; give the labels that it was built from\n"
    assert not (tmp_path / "v").exists()


def test_what_was_not_judged_is_not_counted_as_right(here: Path, tmp_path: Path, capfd: Capture) -> None:
    """Images of the index, one of them without its boxes now, beside the new ones."""
    shutil.copytree("new", tmp_path / "mixed")
    for image in sorted(Path("trusted/train/images").iterdir())[:2]:
        shutil.copy2(image, tmp_path / "mixed/train/images" / f"known {image.name}")
        labels = Path("trusted/train/labels") / f"{image.stem}.txt"
        shutil.copy2(labels, tmp_path / "mixed/train/labels" / f"known {labels.name}")
    (tmp_path / "mixed/train/labels" / f"known {labels.name}").write_bytes(b"")
    options = ("--to", str(tmp_path / "v"))
    out, _ = said(capfd, "vet", str(tmp_path / "mixed/data.yaml"), *AGAINST, *options)
    assert "of the 36 judged by their looks" in out
    assert "of 14 images" in out and "has no box" not in out, "the index knows it, with its boxes"
    assert "drift between batch and index: 0." in out
    with Index.open(tmp_path / "v") as batch:
        [problem] = batch.problems()
    assert problem.code == ProblemCode.HELD_IMAGE and "the index holds this image already" in problem.reason
    assert problem.image == f"train/images/known {image.name}"
    shutil.rmtree(tmp_path / "v")
    out, _ = said(capfd, "vet", "trusted/data.yaml", *AGAINST, *options)
    rows = [line.split() for line in out.splitlines() if "타이레놀정500mg" in line]
    assert rows and all(row[-1] == "-" for row in rows)


def test_an_index_that_was_built_is_not_replaced(here: Path, tmp_path: Path, capfd: Capture) -> None:
    other = tmp_path / "other"
    shutil.copytree(here / "index/trusted", other)
    _, err = said(capfd, "vet", "new/data.yaml", *AGAINST, "--to", str(other), code=2)
    assert "not a vetted batch" in err and len(err.strip().splitlines()) == 1
    assert sha256_file(other / "catalog.duckdb") == sha256_file(here / "index/trusted/catalog.duckdb")


@pytest.mark.parametrize(
    "command",
    [
        ["score", "--index", "vetted/new"],
        ["flag", "--index", "vetted/new"],
        ["add", "trusted/data.yaml", "--to", "vetted/new"],
    ],
)
def test_decisions_are_not_replaced_by_a_scoring(here: Path, capfd: Capture, command: list[str]) -> None:
    before = sha256_file(here / "vetted/new/catalog.duckdb")
    _, err = said(capfd, *command, code=2)
    assert "holds a vetted batch" in err and "run healtheat vet again" in err
    assert sha256_file(here / "vetted/new/catalog.duckdb") == before


def test_held_boxes_are_the_flagged_findings(here: Path, tmp_path: Path, capfd: Capture) -> None:
    out, _ = said(capfd, "query", "--index", "vetted/new", "--format", "csv")
    rows = list(csv.DictReader(io.StringIO(out, newline="")))
    assert {(row["label_file"], int(row["line"])) for row in rows} == {*WRONG.items()}
    said(capfd, "report", "vetted/new", "--out", str(tmp_path / "report.html"))
    assert (tmp_path / "report.html").stat().st_size > 1000
    for format in ("cvat", "labelstudio", "coco", "fiftyone"):
        out, _ = said(
            capfd, "export", "--index", "vetted/new", "--to", str(tmp_path / format), "--format", format
        )
        assert "3 images, 9 boxes, 3 with findings" in out


def test_files_to_train_on(here: Path, tmp_path: Path, capfd: Capture) -> None:
    command = ("vet", "new/data.yaml", *AGAINST, "--to", str(tmp_path / "v"), "--format", "yolo")
    out, _ = said(capfd, *command, "--out", str(tmp_path / "out"))
    assert "33 of 36 boxes accepted" in out
    names = "data.yaml, decisions.csv, held, held.txt, partly, partly.txt, train.txt, val.txt, vetted.json"
    assert f"written to {tmp_path.as_posix()}/out: {names}" in out
    for name, line in WRONG.items():
        lines = (here / "new" / name).read_bytes().splitlines(keepends=True)
        assert (tmp_path / "out/held" / name).read_bytes() == lines[line]
        assert (tmp_path / "out/partly" / name).read_bytes() == lines[0] + lines[2]
    _, err = said(capfd, *command, "--out", str(tmp_path / "out"), code=2)
    assert "holds what was vetted earlier; give a new folder or add --overwrite" in err
    said(capfd, *command, "--out", str(tmp_path / "out"), "--overwrite")
    later = ("export", "--index", "vetted/new", "--format", "vetted-coco", "--to", str(tmp_path / "coco"))
    out, _ = said(capfd, *later)
    assert "images: 9 accepted whole, 3 in part, 3 with a held box" in out


@pytest.mark.parametrize(
    ("more", "why"),
    [
        (["--format", "yolo"], "--format yolo writes a folder; add --out DIR"),
        (["--out", "x"], "--out: files are written with --format yolo or --format coco"),
        (["--format", "csv", "--out", "x"], "--out: files are written with"),
        (["--overwrite"], "--overwrite is for --out; leave it out"),
        (["--format", "yolo", "--out", "index/trusted/x"], "lies in the index"),
        (["--format", "coco", "--out", "trusted/train/images"], "which holds the data set"),
        (["--format", "yolo", "--out", "new"], "is not empty; give a new folder"),
    ],
)
def test_where_to_write_is_looked_at_first(
    here: Path, tmp_path: Path, capfd: Capture, more: list[str], why: str
) -> None:
    _, err = said(capfd, "vet", "new/data.yaml", *AGAINST, "--to", str(tmp_path / "v"), *more, code=2)
    assert why in err
    assert not (tmp_path / "v").exists(), "nothing was judged"


def test_a_verdict_decides(here: Path, tmp_path: Path, capfd: Capture) -> None:
    shutil.copytree("vetted/new", tmp_path / "v")
    with Index.open(tmp_path / "v") as index:
        held = index.sql("SELECT box_id FROM decisions WHERE decision = 'hold'")["box_id"].to_pylist()
        index.judging.append(NewVerdict(box_id=held[0], issue="mislabel", verdict="ok", who="김"))
        taken = np.setdiff1d(index.boxes().box_id, held)
        index.judging.append(NewVerdict(box_id=int(taken[0]), issue="mislabel", verdict="drop", who="김"))
    out, _ = said(capfd, "add", str(tmp_path / "v"), "--to", "index/trusted", "--accepted-only", "--dry-run")
    assert "33 boxes on 12 images would be added" in out
    out, _ = said(capfd, "vet", "new/data.yaml", *AGAINST, "--format", "csv", "--to", str(tmp_path / "v"))
    rows = list(csv.DictReader(io.StringIO(out, newline="")))
    decided = {int(row["box_id"]): (row["decision"], row["held_for"]) for row in rows}
    assert decided[held[0]] == ("accept", "")
    assert decided[int(taken[0])] == ("hold", "person")


def test_what_another_version_learned_is_learned_anew(here: Path, tmp_path: Path) -> None:
    from healtheat.vetting.store import read

    with Index.open("index/trusted") as index:
        assert read(index.path, index.manifest.dim) is not None
    (tmp_path / "vetting.safetensors").write_bytes(b"another layout")
    assert read(tmp_path, 12) is None and read(tmp_path / "absent", 12) is None


def test_every_reason_to_hold_has_words() -> None:
    assert HELD_WORDS.keys() == HELD_AS.keys()
