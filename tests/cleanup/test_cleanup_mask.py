"""`--drop mask` takes the line and the pixels, in a copy; the input is only read. How much may go unasked."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml
from numpy.typing import NDArray

from healtheat.cleanup import Figures, apply, apply_in_place, plan_labels, plan_training, write_copy
from healtheat.cleanup import write_training as write_lists_to_train_on
from healtheat.cleanup.rows import drop_for
from healtheat.cli import run
from healtheat.core.drop import DEFAULT_DROP
from healtheat.core.errors import InputError, with_options
from healtheat.crops import open_image
from healtheat.crops.mask import GREY
from healtheat.exporting.run import export
from healtheat.findings.filters import Filters
from healtheat.index import NewVerdict
from tests.cleanup.small_yolo import tree
from tests.crops.hostile_images import noise, saved, with_orientation
from tests.made_index import MadeIndex

A, TURNED, CLEAN, EMPTY = (f"images/train/{name}.png" for name in ("a", "turned", "clean", "empty"))
BOX = "0.25 0.25 0.25 0.25"  # upright: columns 6 to 17, rows 4 to 11 of 48 × 32
LABELS = {
    A: [f"3 {BOX}", "7 0.375 0.25 0.25 0.25", "7 0.75 0.75 0.2 0.2"],  # the second overlaps the first
    TURNED: [f"3 {BOX}", "7 0.75 0.75 0.2 0.2"],
    CLEAN: [f"3 {BOX}"],
    EMPTY: [],
}
SPOT = {"cx": 0.25, "cy": 0.25, "w": 0.25, "h": 0.25}


@pytest.fixture
def index(tmp_path: Path) -> MadeIndex:
    index = MadeIndex(
        tmp_path / "index",
        names={3: "a", 7: "b"},
        root=tmp_path / "data",
        labels=LABELS,
        pixels={
            **dict.fromkeys(LABELS, saved(noise(), "PNG")),
            TURNED: with_orientation(6, "PNG"),
        },
        findings=[
            {"image": A, "line": 0, "issue": "mislabel", "score": 0.9},
            {"image": A, "line": 0, "issue": "bad_box", "score": 0.8},
            {"image": TURNED, "line": 0, "issue": "background", "score": 0.9},
            {"image": EMPTY, "line": -1, "class_id": 3, "issue": "missing_box", "score": 0.9, **SPOT},
            {"image": CLEAN, "line": -1, "class_id": 3, "issue": "missing_box", "score": 0.9},
        ],
    )
    (index.root / "data.yaml").write_text("train: images/train\nnames: {3: a, 7: b}\n", encoding="utf-8")
    return index


def pixels(file: Path) -> NDArray[Any]:
    return np.asarray(open_image(file.read_bytes()))


def expected(data: Path, image: str) -> NDArray[Any]:
    before = pixels(data / image).copy()
    before[4:12, 6 : 12 if image == A else 18] = GREY  # of A up to the box that stays
    return before


def test_lists_to_train_on(index: MadeIndex, tmp_path: Path) -> None:
    before = tree(index.root)
    to = tmp_path / "out"
    plan = plan_training(index, drop="mask")
    write_lists_to_train_on(plan, to)
    assert tree(index.root) == before
    for image in (A, TURNED, EMPTY):
        assert (pixels(to / "edited" / image) == expected(index.root, image)).all(), image
    labels = to / "edited/labels/train"
    assert (labels / "a.txt").read_text(encoding="utf-8").splitlines() == LABELS[A][1:]
    assert (labels / "turned.txt").read_text(encoding="utf-8").splitlines() == LABELS[TURNED][1:]
    assert (labels / "empty.txt").read_bytes() == b""
    listed = (to / "train.txt").read_text(encoding="utf-8").splitlines()
    assert listed == [(to / "edited" / image).as_posix() for image in (A, EMPTY, TURNED)]
    rows = {(row.image, row.line, row.left_out, row.issue, row.also) for row in plan.left_out}
    assert rows == {
        (A, 0, "box", "bad_box", "mislabel"),  # led as in `query`
        (TURNED, 0, "box", "background", ""),
        (EMPTY, -1, "place", "missing_box", ""),
        (CLEAN, -1, "image", "missing_box", ""),  # nobody knows where: the image goes, as without masks
    }
    figures = Figures.of(plan)
    assert (figures.images_greyed, figures.lines_removed, figures.images_removed) == (3, 2, 1)


def test_a_cleaned_copy(index: MadeIndex, tmp_path: Path) -> None:
    for box, issue in ((0, "mislabel"), (3, "background")):
        index.judging.append(NewVerdict(box_id=box, issue=issue, verdict="drop", who="a"))
    before = tree(index.root)
    to = tmp_path / "copy"
    write_copy(plan_labels(index, drop="mask"), to)
    assert tree(index.root) == before
    for image in (A, TURNED):
        assert (pixels(to / image) == expected(index.root, image)).all()
    for image in (CLEAN, EMPTY):
        assert (to / image).read_bytes() == (index.root / image).read_bytes()
    assert (to / "labels/train/a.txt").read_text(encoding="utf-8").splitlines() == LABELS[A][1:]


def test_a_flagged_place_is_greyed_out_and_never_costs_the_image(index: MadeIndex) -> None:
    plan = plan_labels(index, flagged=True, drop="mask")
    grey = {image.path: len(image.grey) for image in plan.images}
    assert grey == {A: 1, TURNED: 1, CLEAN: 0, EMPTY: 1}
    assert not any(image.left_out for image in plan.images)
    whole = {image.path for image in plan_labels(index, flagged=True).images if image.left_out}
    assert not whole, "without masks it stays too"


def test_where_nothing_can_be_greyed_out(index: MadeIndex, tmp_path: Path) -> None:
    before = tree(index.root)
    index.judging.append(NewVerdict(box_id=0, issue="mislabel", verdict="drop", who="a"))
    with pytest.raises(InputError, match=r"in_place changes label files and never an image.*with to='DIR',"):
        apply(index, in_place=True, drop="mask", max_share=1)
    with pytest.raises(InputError, match="with to='DIR',"):
        apply_in_place(plan_labels(index, drop="mask"))
    assert tree(index.root) == before
    (index.root / A).write_bytes(b"another image")
    with pytest.raises(InputError, match=r"a\.png: the image changed since the build"):
        write_copy(plan_labels(index, drop="mask"), tmp_path / "copy")
    assert not (tmp_path / "copy").exists()


def test_the_default_falls_back_where_it_cannot_be_done(monkeypatch: pytest.MonkeyPatch) -> None:
    assert drop_for(None, "lines") == DEFAULT_DROP
    for mode in ("mask", "images"):
        monkeypatch.setattr("healtheat.cleanup.rows.DEFAULT_DROP", mode)
        assert drop_for(None, "lines") == mode
        assert drop_for(None, "annotations") == "boxes"
        assert drop_for(None, "lines", in_place=True) == ("boxes" if mode == "mask" else "images")
        with pytest.raises(InputError, match="YOLO data sets only; take drop='boxes'"):
            drop_for(mode, "annotations")
    with pytest.raises(InputError, match="choose from boxes, images, mask"):
        drop_for("foo", "lines")  # type: ignore[arg-type]


def test_too_much_is_not_written_unasked(index: MadeIndex, tmp_path: Path) -> None:
    before = tree(tmp_path)
    one = Filters(issues=["background"])  # 1 of 6 boxes
    figures = Figures.of(plan_training(index, one))
    assert figures.gone == {"boxes": (1, 6), "images": (0, 4)}
    assert figures.too_much(1 / 6) == figures.too_much(1) == ()
    assert with_options(figures.too_much()).startswith(
        "1 of 6 boxes (17%) would go, more than --max-share 0.1 allows"
    )
    assert "".join(map(str, figures.too_much(0.16))).endswith("or add max_share=0.17")
    images = Figures.of(plan_training(index, one, drop="images"))
    assert with_options(images.too_much()).startswith("2 of 6 boxes (33%)")
    for bad in (-0.1, 1.1, True, "much"):
        with pytest.raises(InputError, match="a share lies in"):
            figures.too_much(bad)  # type: ignore[arg-type]
    to = tmp_path / "out"
    assert not export(index, to, "yolo", filters=one).written  # a dry run says it and fails nothing
    assert apply(index, filters=one, flagged=True).done == "planned"
    for write in (
        lambda: export(index, to, "yolo", filters=one, write=True),
        lambda: apply(index, to, filters=one, flagged=True),
        lambda: apply(index, in_place=True, filters=one, flagged=True),
        lambda: apply(index, to, filters=one, flagged=True, max_share=0.16),
    ):
        with pytest.raises(InputError, match="1 of 6 boxes"):
            write()
    assert tree(tmp_path) == before
    assert apply(index, to, filters=one, flagged=True, max_share=0.17).done == "copied"
    assert export(index, tmp_path / "lists", "yolo", filters=one, write=True, max_share=0.17).written


def test_images_that_go_whole_count_too(index: MadeIndex) -> None:
    figures = Figures.of(plan_training(index, Filters(issues=["missing_box"])))
    assert figures.gone == {"boxes": (1, 6), "images": (2, 4)}
    assert with_options(figures.too_much(0.4)).startswith("2 of 4 images (50%)")


def test_commands(built: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    option = ["--index", str(built / "index/pills")]
    to = tmp_path / "lists"
    yolo = ["export", *option, "--format", "yolo", "--drop", "mask", "--to", str(to)]
    assert run(yolo) == 0
    said = capsys.readouterr()
    assert "greyed out" in said.out and "goes " in said.out and "%)" in said.out
    assert run([*yolo, "--write", "--max-share", "0"]) == 2
    assert "would go, more than --max-share 0 allows" in capsys.readouterr().err
    assert not to.exists()
    assert run([*yolo, "--max-share", "0"]) == 0
    assert "warning: it will not be written" in capsys.readouterr().err
    assert run([*yolo, "--write", "--max-share", "1"]) == 0
    assert yaml.safe_load((to / "data.yaml").read_text(encoding="utf-8"))["names"]
    assert list((to / "edited").rglob("*.jpg"))
    assert run(["export", *option, "--to", str(tmp_path / "a.csv"), "--max-share", "0.2"]) == 2
    assert "--max-share is for --format yolo" in capsys.readouterr().err
    assert run(["apply", *option, "--drop", "mask", "--in-place"]) == 2
    assert "write a copy with --to DIR" in capsys.readouterr().err
