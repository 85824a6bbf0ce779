"""New labels against an index, from files to files."""

import json
import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from healtheat.building.build import build
from healtheat.building.open_data import open_data
from healtheat.core.atomic import sha256_file
from healtheat.core.errors import BadIndex, InputError
from healtheat.index import Index
from healtheat.index.manifest import MODEL_NAME
from healtheat.index.verdicts.log import NewVerdict
from healtheat.signals import SIGNALS
from healtheat.vetting.open_batch import open_batch
from healtheat.vetting.report import JUDGED, REFUSED
from healtheat.vetting.run import VetSettings, refused, vet
from tests.index.small_set import NAMES, FakeEncoder, write_set


@pytest.fixture(scope="module")
def trusted(tmp_path_factory):
    """An index of 36 images, and what made it."""
    folder = tmp_path_factory.mktemp("trusted")
    data = write_set(folder / "set", images=36)
    source, _ = open_data(data, index=folder / "index")
    build(source, folder / "index", encoder=FakeEncoder(), signals=())
    return folder / "index"


@pytest.fixture(scope="module")
def learned(trusted, tmp_path_factory):
    """The same, and what a first vetting left in it."""
    folder = tmp_path_factory.mktemp("learned")
    index = Path(shutil.copytree(trusted, folder / "index"))
    run(index, new_set(folder / "new", images=4), folder / "batch")
    return index


@pytest.fixture
def index(learned, tmp_path):
    """A copy to write to that has been vetted by."""
    return Path(shutil.copytree(learned, tmp_path / "index"))


@pytest.fixture
def fresh(trusted, tmp_path):
    """A copy to write to that has not."""
    return Path(shutil.copytree(trusted, tmp_path / "fresh"))


def new_set(folder, *, wrong=(), images=12, seed=77):
    """A batch of other images; the boxes (image number, line) of `wrong` get the next class."""
    data = write_set(folder, images=images, seed=seed)
    classes = (0, 3, 7)
    for number, line in wrong:
        file = next(folder.rglob(f"labels/사진 {number:02d}.txt"))
        lines = file.read_text(encoding="utf-8").splitlines()
        class_id, rest = lines[line].split(" ", 1)
        lines[line] = f"{classes[(classes.index(int(class_id)) + 1) % 3]} {rest}"
        file.write_text("\n".join(lines) + "\n", encoding="utf-8", newline="\n")
    return data


def run(index, data, to, encoder=None, **settings):
    source, folder = open_batch(data, index, to=to)
    return vet(source, index, folder, VetSettings(**settings), encoder=encoder or FakeEncoder())


WRONG = [(1, 0), (4, 2), (9, 1)]


def held(report):
    return {(row["image"], row["line"]) for row in report.decisions.to_pylist() if row["decision"] == "hold"}


def test_wrong_boxes_are_held_and_right_ones_accepted(index, tmp_path):
    data = new_set(tmp_path / "new", wrong=WRONG)
    before = {f: f.read_bytes() for f in (tmp_path / "new").rglob("*") if f.is_file()}
    report = run(index, data, tmp_path / "batch")
    rows = report.decisions.to_pylist()
    assert report.verdict == JUDGED and report.boxes == len(rows) == 36
    planted = {
        (row["image"], row["line"]) for row in rows if (int(row["image"][-6:-4]), row["line"]) in WRONG
    }
    assert len(planted) == 3 and planted <= held(report)
    assert report.accepted >= 27 and report.held == len(held(report))
    assert report.low <= report.wrong <= report.high and 0 <= report.expected <= 0.1
    assert {f: f.read_bytes() for f in (tmp_path / "new").rglob("*") if f.is_file()} == before
    for row in rows:  # class ids go through as they came
        line = next((tmp_path / "new").rglob(f"labels/{Path(row['image']).stem}.txt")).read_text(
            encoding="utf-8"
        )
        assert row["class_id"] == int(line.splitlines()[row["line"]].split()[0])
        assert (row["score"] is None) == (row["p_value"] is None) and row["reason"]
    suggested = [row["suggestion"] for row in rows if (row["image"], row["line"]) in planted]
    assert all(s in NAMES for s in suggested if s is not None)


def test_the_batch_is_an_index_whose_flags_are_what_is_held(index, tmp_path):
    report = run(index, new_set(tmp_path / "new", wrong=WRONG), tmp_path / "batch")
    with Index.open(tmp_path / "batch") as batch:
        flagged = batch.sql(
            "SELECT i.path, f.line FROM findings f JOIN images i USING (image_id) WHERE flagged"
        ).to_pylist()
        assert {(row["path"], row["line"]) for row in flagged} == held(report)
        assert batch.verify() == []
        near = batch.sql("SELECT DISTINCT image FROM compared")["image"].to_pylist()
    with Index.open(index) as own:
        assert set(near) <= set(own.images().path)
        assert own.verify() == []


def test_what_was_learned_is_kept_and_nothing_is_embedded_twice(fresh, tmp_path):
    data = new_set(tmp_path / "new", wrong=WRONG)
    first, encoder = FakeEncoder(), FakeEncoder()
    one = run(fresh, data, tmp_path / "batch", first)
    assert one.fitted and one.kept and (fresh / MODEL_NAME).is_file()
    assert first.crops_seen == one.embedded + one.fitted_crops
    model = sha256_file(fresh / MODEL_NAME)
    again = run(fresh, data, tmp_path / "batch", encoder)
    assert not again.fitted and encoder.crops_seen == 0 and again.embedded == 0
    assert again.decisions.equals(one.decisions)
    other = run(fresh, new_set(tmp_path / "other", images=4, seed=5), tmp_path / "other batch", encoder)
    assert not other.fitted and encoder.crops_seen == 12 and sha256_file(fresh / MODEL_NAME) == model
    build(open_data(data, index=fresh)[0], fresh, encoder=FakeEncoder(), signals=())
    assert not (fresh / MODEL_NAME).exists()  # learned of other boxes


def test_a_verdict_on_the_index_makes_it_learn_again(index, tmp_path):
    data = new_set(tmp_path / "new")
    before = run(index, data, tmp_path / "batch")
    with Index.open(index) as own:
        own.judging.append(NewVerdict("mislabel", "drop", "me", box_id=0))
    after = run(index, data, tmp_path / "batch")
    assert after.fitted and (after.trusted, after.doubted) == (before.trusted - 1, before.doubted + 1)


def test_flags_of_the_index_are_not_trusted(tmp_path):
    data = write_set(tmp_path / "set", images=36)
    broken = next((tmp_path / "set").rglob("labels/사진 01.txt"))
    lines = broken.read_text(encoding="utf-8").splitlines()
    broken.write_text("\n".join(["7" + lines[0][1:], *lines[1:]]) + "\n", encoding="utf-8")
    built = build(
        open_data(data, index=tmp_path / "i")[0], tmp_path / "i", encoder=FakeEncoder(), signals=SIGNALS
    )
    report = run(tmp_path / "i", new_set(tmp_path / "new"), tmp_path / "batch")
    assert report.doubted == built.flags.boxes and report.trusted + report.doubted == built.boxes


def test_people_have_the_last_word_and_what_they_confirm_is_trusted(index, tmp_path):
    data = new_set(tmp_path / "new", wrong=WRONG)
    before = run(index, data, tmp_path / "batch")
    rows = before.decisions.to_pylist()
    box = next(row for row in rows if row["decision"] == "hold")
    good = next(row for row in rows if row["decision"] == "accept")
    with Index.open(tmp_path / "batch") as batch:
        for row, said in ((box, "ok"), (good, "drop")):
            batch.judging.append(NewVerdict("mislabel", said, "me", box_id=row["box_id"]))
    after = {row["box_id"]: row for row in run(index, data, tmp_path / "batch").decisions.to_pylist()}
    assert after[box["box_id"]]["decision"] == "accept"
    assert after[good["box_id"]]["decision"] == "hold" and after[good["box_id"]]["held_for"] == "person"


def test_images_that_the_index_holds_are_told(index, trusted, tmp_path):
    with Index.open(trusted) as own:
        root = Path(own.manifest.source.root)
    report = run(index, root / "data.yaml", tmp_path / "batch")
    assert report.accepted == 0 and report.held_for == {"leak": report.boxes}
    assert all("the index holds this image already" in r for r in report.decisions["reason"].to_pylist())


def test_a_moved_box_on_an_image_that_the_index_holds_is_another_label(index, trusted, tmp_path):
    with Index.open(trusted) as own:
        root = Path(own.manifest.source.root)
    shutil.copytree(root, tmp_path / "copy")
    file = sorted((tmp_path / "copy").rglob("labels/*.txt"))[0]
    first, *others = file.read_text(encoding="utf-8").splitlines()
    c, x, *rest = first.split()
    moved = " ".join([c, f"{float(x) + 0.02:.6f}", *rest])
    file.write_text("\n".join([moved, *others]) + "\n", encoding="utf-8")
    rows = run(index, tmp_path / "copy" / "data.yaml", tmp_path / "batch").decisions.to_pylist()
    other = {Path(row["image"]).stem for row in rows if "under other labels" in row["reason"]}
    assert other == {file.stem}


@pytest.mark.parametrize("max_wrong", [0.0001, 0.02])
def test_a_box_that_looks_as_usual_is_held_for_nothing_else(index, tmp_path, max_wrong):
    report = run(index, new_set(tmp_path / "new", wrong=WRONG), tmp_path / "batch", max_wrong=max_wrong)
    for row in report.decisions.to_pylist():
        if row["decision"] == "hold":
            assert row["reason"].startswith("as usual") == (row["held_for"] == "unsure"), row
            assert (row["held_for"] == "unsure") <= (row["suggestion"] is None and row["p_value"] > 0.1)
    assert ("unsure" in report.held_for) == (max_wrong == 0.0001)


def test_a_class_without_trusted_boxes_is_held_with_that_reason(index, tmp_path):
    data = new_set(tmp_path / "new")
    file = next((tmp_path / "new").rglob("labels/사진 02.txt"))
    lines = file.read_text(encoding="utf-8").splitlines()
    file.write_text("\n".join(["12" + lines[0][1:], *lines[1:]]) + "\n", encoding="utf-8")
    report = run(index, data, tmp_path / "batch")
    (row,) = [row for row in report.decisions.to_pylist() if row["class_id"] == 12]
    assert (row["decision"], row["held_for"], row["score"]) == ("hold", "few", None)
    assert "no trusted box of never used" in row["reason"]


def test_the_same_object_twice(index, tmp_path):
    data = new_set(tmp_path / "new")
    file = next((tmp_path / "new").rglob("labels/사진 03.txt"))
    first = file.read_text(encoding="utf-8").splitlines()[0].split()
    again = f"{first[0]} {float(first[1]) + 0.01:.6f} {' '.join(first[2:])}\n"
    file.write_text(file.read_text(encoding="utf-8") + again, encoding="utf-8", newline="\n")
    report = run(index, data, tmp_path / "batch")
    mine = [row for row in report.decisions.to_pylist() if row["image"].endswith("03.png")]
    assert sorted(row["held_for"] or "" for row in mine).count("double") == 1


def test_a_batch_that_is_mostly_wrong_is_refused(index, tmp_path):
    wrong = [(number, line) for number in range(12) for line in range(3)]
    report = run(index, new_set(tmp_path / "new", wrong=wrong), tmp_path / "batch")
    assert report.verdict == REFUSED and report.accepted == 0 and report.checks[0].name == "wrong"
    told = run(index, tmp_path / "new" / "data.yaml", tmp_path / "batch", guard=False)
    assert told.verdict == JUDGED


def test_an_index_that_cannot_be_written_is_used_all_the_same(fresh, tmp_path, monkeypatch):
    def refuse(*args, **kwargs):
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr("healtheat.vetting.run.commit", refuse)
    report = run(fresh, new_set(tmp_path / "new"), tmp_path / "batch")
    assert report.fitted and not report.kept and not (fresh / MODEL_NAME).exists()
    with Index.open(fresh) as own:
        assert own.verify() == []


def test_a_damaged_model_is_an_error_that_says_what_to_do(index, tmp_path):
    data = new_set(tmp_path / "new")
    run(index, data, tmp_path / "batch")
    (index / MODEL_NAME).write_bytes(b"nonsense")
    with pytest.raises(BadIndex, match=f"{MODEL_NAME}.*remove it"):
        run(index, data, tmp_path / "batch")
    (index / MODEL_NAME).unlink()
    assert run(index, data, tmp_path / "batch").fitted
    with Index.open(index) as own:
        assert own.verify() == []


@pytest.mark.parametrize("images", [2, 3])
def test_too_little_to_learn_from(tmp_path, images):
    data = write_set(tmp_path / "set", images=images)
    build(open_data(data, index=tmp_path / "i")[0], tmp_path / "i", encoder=FakeEncoder(), signals=())
    with pytest.raises(InputError, match="needed to vet"):
        run(tmp_path / "i", new_set(tmp_path / "new"), tmp_path / "batch")


def test_names_that_disagree(index, tmp_path):
    data = new_set(tmp_path / "new")
    data.write_text(data.read_text(encoding="utf-8").replace("plain", "another"), encoding="utf-8")
    with pytest.raises(InputError, match="class 7 is another in the batch and plain in"):
        run(index, data, tmp_path / "batch")


def test_boxes_of_a_detectors_text_files(index, tmp_path):
    data = new_set(tmp_path / "new", wrong=WRONG)
    folder, texts = tmp_path / "photos", tmp_path / "predicted" / "labels"
    folder.mkdir()
    texts.mkdir(parents=True)
    for image in sorted((tmp_path / "new").rglob("*.png")):
        shutil.copy2(image, folder / image.name)
        labels = next((tmp_path / "new").rglob(f"labels/{image.stem}.txt"))
        lines = labels.read_text(encoding="utf-8").splitlines()
        (texts / labels.name).write_text("".join(f"{line} 0.8\n" for line in lines), encoding="utf-8")
    source, to = open_batch(folder, index, to=tmp_path / "batch", predictions=tmp_path / "predicted")
    report = vet(source, index, to, encoder=FakeEncoder())
    plain = run(index, data, tmp_path / "plain")
    assert report.boxes == plain.boxes == 36
    key = lambda row: (Path(row["image"]).name, row["line"], row["class_id"], row["decision"])  # noqa: E731
    assert sorted(map(key, report.decisions.to_pylist())) == sorted(map(key, plain.decisions.to_pylist()))
    assert np.allclose(report.decisions["confidence"].to_numpy(), 0.8)


def test_a_batch_is_not_its_own_judge(index, tmp_path):
    with pytest.raises(InputError, match="is the index to judge by"):
        open_batch(new_set(tmp_path / "new"), index, to=index)


def test_the_bound_is_the_users(index, tmp_path):
    data = new_set(tmp_path / "new", wrong=WRONG)
    strict, loose = (run(index, data, tmp_path / "batch", max_wrong=b) for b in (0.001, 0.3))
    assert strict.accepted <= loose.accepted
    assert replace(VetSettings(), max_wrong=0.3).max_wrong == loose.max_wrong


def test_labels_that_collapsed_are_refused_before_an_image_is_read(learned, tmp_path):
    names = [f"c{i}" for i in range(24)]
    coco = {
        "images": [],
        "annotations": [],
        "categories": [{"id": i, "name": n} for i, n in enumerate(names)],
    }
    for number in range(90):  # none of these images is there
        coco["images"].append({"id": number, "file_name": f"{number}.png", "width": 100, "height": 100})
        for box in range(4):
            category = number % 5 if box == 0 and number % 8 == 0 else 0
            place = {"bbox": [20 * box, 40, 10, 10], "area": 100}
            about = {"id": 4 * number + box, "image_id": number, "category_id": category}
            coco["annotations"].append(about | place)
    file = tmp_path / "pseudo.json"
    file.write_text(json.dumps(coco), encoding="utf-8")
    report = refused(file, learned, tmp_path / "batch", VetSettings())
    assert report is not None and report.verdict == REFUSED and report.decisions is None
    assert report.accepted == 0 and not (tmp_path / "batch").exists()
    assert (report.images, report.boxes) == (90, 360) and report.held == 360
    assert refused(file, learned, tmp_path / "batch", VetSettings(guard=False)) is None


def test_what_another_vet_learned_meanwhile_disturbs_no_reader(fresh, tmp_path):
    with Index.open(fresh) as opened:
        run(fresh, new_set(tmp_path / "new", images=4), tmp_path / "batch")
        assert (fresh / MODEL_NAME).is_file()
        ids = opened.boxes().box_id
        assert len(opened.vectors(ids)) == len(ids)
