"""Whatever a user names: nothing is written over or among the files of a data set, nor into an index."""

import hashlib
import json
import os
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
from PIL import Image

from healtheat.building.build import build
from healtheat.cli import run
from healtheat.core.errors import InputError
from healtheat.index import Index, NewVerdict
from healtheat.index.target import Places
from healtheat.signals.geometry import Geometry
from healtheat.sources import open_source
from healtheat.sources.outside import outside_allowed
from tests.index.small_set import FakeEncoder
from tests.reviewing.review_set import build_planned

LABEL, IMAGE = "자료/train/labels/사진 01.txt", "자료/train/images/사진 01.png"
TABLES = [["--format", name] for name in ("csv", "json", "jsonl", "parquet")]
HANDOFFS = [["--format", name] for name in ("cvat", "labelstudio", "coco", "atlas")]
BAD_FILES = [
    LABEL,
    IMAGE,
    "자료/data.yaml",
    "자료/train/images/new.csv",
    "자료/train/labels/new.txt",
    "자료/train/new.csv",
    "자료/valid/new/deep.csv",
    "자료/.healtheat/applied/0001/plan.json",
    "색인/verdicts.jsonl",
    "색인/catalog.duckdb",
    "색인/manifest.json",
    "색인/new.csv",
    "색인/vectors/new.csv",
    "another/verdicts.jsonl",
    "another/new/new.csv",
    "by-link/사진 01.txt",
    "photo-link.csv",
]


def contents(folder: Path) -> dict[str, str]:
    return {
        path.relative_to(folder).as_posix(): hashlib.sha256(path.read_bytes()).hexdigest()
        if path.is_file()
        else "folder"
        for path in sorted(folder.rglob("*"))
    }


def link(at: Path, to: Path) -> None:
    try:
        at.symlink_to(to, target_is_directory=to.is_dir())
    except OSError as error:
        pytest.skip(f"no links here: {error}")


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A data set, its index with a verdict, and a copy of that index as somebody else's."""
    folder = tmp_path_factory.mktemp("target")
    with Index.open(build_planned(folder)) as index:
        index.judging.append(NewVerdict(box_id=0, issue="mislabel", verdict="drop", who="김"))
    shutil.copytree(folder / "색인", folder / "another")
    link(folder / "by-link", folder / "자료/train/labels")
    link(folder / "photo-link.csv", folder / IMAGE)
    return folder


@pytest.fixture
def unharmed(home: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """The same as the working directory; a test must leave it as it was."""
    monkeypatch.chdir(home)
    before = contents(home)
    yield home
    assert contents(home) == before


def refused(command: list[str], capsys: pytest.CaptureFixture[str]) -> str:
    capsys.readouterr()
    assert run(command) == 2, command
    message = capsys.readouterr().err
    assert message.count("\n") == 1, message
    return message


@pytest.mark.parametrize("target", BAD_FILES)
def test_files_that_are_never_written(
    target: str, unharmed: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    formats = TABLES + HANDOFFS if target == LABEL else TABLES[:1] + HANDOFFS[:1]
    commands = [["export", "--index", "색인", "--to", target, *form] for form in formats]
    commands.append(["report", "색인", "--out", target])
    for command in commands:
        for more in ([], ["--overwrite"]):
            message = refused(command + more, capsys)
            assert "--overwrite" not in message, "it would not help"
            assert "elsewhere" in message or "choose another name" in message


@pytest.mark.parametrize(
    "target",
    ["자료/train/images", "자료/valid/x", "자료/train", "색인", "색인/x", "another", "by-link/x", "."],
)
def test_folders_that_are_never_written(
    target: str, unharmed: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    refused(["apply", "--index", "색인", "--to", target], capsys)
    for more in ([], ["--write"], ["--write", "--overwrite"]):
        refused(["export", "--index", "색인", "--to", target, "--format", "yolo", *more], capsys)
    if target != ".":
        refused(["export", "--index", "색인", "--to", target, "--format", "fiftyone", "--overwrite"], capsys)


def test_what_is_no_part_of_either_is_replaced(home: Path, tmp_path: Path) -> None:
    option = ["--index", str(home / "색인")]
    for file in (tmp_path / "list.csv", home / "자료/list.csv"):
        file.write_text("mine", encoding="utf-8")
        assert run(["export", *option, "--to", str(file)]) == 2
        assert file.read_text(encoding="utf-8") == "mine"
        assert run(["export", *option, "--to", str(file), "--overwrite"]) == 0
        assert file.read_text(encoding="utf-8").startswith("image,")
        file.unlink()


@pytest.mark.parametrize(
    ("format", "name", "beside"),
    [
        ("cvat", "a.xml", "a.labels.json"),
        ("labelstudio", "a.json", "a.config.xml"),
        ("fiftyone", "a", "a/labels.json"),
        ("fiftyone", "a", "a/data.json"),
    ],
)
def test_files_beside_are_not_replaced_unasked(
    format: str, name: str, beside: str, home: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    own = tmp_path / beside
    own.parent.mkdir(exist_ok=True)
    own.write_text("mine", encoding="utf-8")
    command = ["export", "--index", str(home / "색인"), "--format", format, "--to", str(tmp_path / name)]
    assert "--overwrite" in refused(command, capsys)
    assert [f for f in tmp_path.rglob("*") if f.is_file()] == [own]
    assert own.read_text(encoding="utf-8") == "mine"
    assert run([*command, "--overwrite"]) == 0
    assert own.read_text(encoding="utf-8") != "mine"


def coco_set(root: Path, name: str, images: str = "photos") -> Path:
    (root / images).mkdir(parents=True)
    Image.effect_noise((64, 48), 60).convert("RGB").save(root / images / "p.png")
    content = {
        "images": [{"id": 1, "file_name": f"{images}/p.png", "width": 64, "height": 48}],
        "categories": [{"id": 0, "name": "정"}],
        "annotations": [{"id": 1, "image_id": 1, "category_id": 0, "bbox": [1, 2, 20, 20]}],
    }
    (root / name).write_text(json.dumps(content), encoding="utf-8")
    return root / name


def places_of(data: Path, index: Path) -> Places:
    with outside_allowed(True):  # some of the sets name a folder beside their own
        build(open_source(data), index, encoder=FakeEncoder(), signals=(Geometry(),))
    with Index.open(index) as opened:
        return Places.of(opened)


def test_a_coco_file_that_is_called_like_a_companion(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    data = coco_set(tmp_path / "own", "a.labels.json")
    places_of(data, tmp_path / "index")
    before = contents(tmp_path)
    command = ["export", "--index", str(tmp_path / "index"), "--all", "--overwrite"]
    assert "is a file of the data set" in refused([*command, "--to", str(data)], capsys)
    beside = ["--format", "cvat", "--to", str(tmp_path / "own/a.xml")]
    assert "a.labels.json: is a file of the data set" in refused([*command, *beside], capsys)
    assert contents(tmp_path) == before
    list_beside = tmp_path / "own/list.csv"  # one JSON is read, not its folder
    assert run([*command, "--to", str(list_beside)]) == 0
    with pytest.raises(InputError, match="lies inside"):
        places_of(data, tmp_path / "index").check_file(tmp_path / "own/photos/list.csv")


def test_a_folder_of_coco_files_is_read_whole(tmp_path: Path) -> None:
    places = places_of(coco_set(tmp_path / "own", "a.json").parent, tmp_path / "index")
    with pytest.raises(InputError, match="lies inside"):
        places.check_file(tmp_path / "own/found.json")


def test_a_folder_of_another_tool_is_read_whole_too(tmp_path: Path) -> None:
    """A CVAT export or list written into it would be read by the next build."""
    corners = "<xmin>2</xmin><ymin>2</ymin><xmax>30</xmax><ymax>20</ymax>"
    box = f"<object><name>a</name><bndbox>{corners}</bndbox></object>"
    size = "<size><width>40</width><height>30</height></size>"
    (tmp_path / "voc/images").mkdir(parents=True)
    Image.new("RGB", (40, 30)).save(tmp_path / "voc/images/a.png")
    text = f"<annotation><filename>a.png</filename>{size}{box}</annotation>"
    (tmp_path / "voc/labels.xml").write_text(text, encoding="utf-8")
    build(open_source(tmp_path / "voc"), tmp_path / "index", encoder=FakeEncoder(), signals=[])
    before = contents(tmp_path / "voc")
    for to in ("voc/new.csv", "voc/deep/new.xml", "voc"):
        for kind in ("cvat", "csv", "fiftyone"):
            assert (
                run(["export", "--index", str(tmp_path / "index"), "--to", str(tmp_path / to), "-f", kind])
                == 2
            )
    assert contents(tmp_path / "voc") == before
    assert run(["export", "--index", str(tmp_path / "index"), "--to", str(tmp_path / "new.csv")]) == 0


def test_what_links_of_a_data_set_lead_to(home: Path, tmp_path: Path) -> None:
    """Labels in a store of their own, reached by a link; and one image that is a link."""
    shutil.copytree(home / "자료", tmp_path / "own")
    store = tmp_path / "store"
    shutil.move(tmp_path / "own/train/labels", store)
    link(tmp_path / "own/train/labels", store)
    image = tmp_path / "own" / IMAGE.partition("/")[2]
    shutil.move(image, tmp_path / "alone.png")
    link(image, tmp_path / "alone.png")
    places = places_of(tmp_path / "own/data.yaml", tmp_path / "index")
    for file in (store / "사진 01.txt", store / "new.csv", tmp_path / "alone.png"):
        with pytest.raises(InputError, match="data set"):
            places.check_file(file, overwrite=True)
    places.check_file(tmp_path / "beside.png")
    with pytest.raises(InputError, match="holds the data set"):
        places.check_folder(tmp_path / "own")


def test_images_beside_the_root(home: Path, tmp_path: Path) -> None:
    """`train: ../more/images/train`: as far up as the folder `images`."""
    more = tmp_path / "more"
    for kind in ("images", "labels"):
        shutil.copytree(home / "자료/train" / kind, more / kind / "train")
    (tmp_path / "own").mkdir()
    text = "train: ../more/images/train\nnames: {0: a, 3: b, 7: c}\n"
    (tmp_path / "own/data.yaml").write_text(text, encoding="utf-8")
    places = places_of(tmp_path / "own/data.yaml", tmp_path / "index")
    for folder in (more / "images/new", more / "labels/new", more / "labels"):
        with pytest.raises(InputError, match="lies inside"):
            places.check_folder(folder)
    places.check_folder(more / "new")
    for around in (more, tmp_path):
        with pytest.raises(InputError, match="holds the data set"):
            places.check_folder(around)


def test_an_earlier_cleanup_that_has_become_a_data_set(home: Path, tmp_path: Path) -> None:
    """Lists of a cleanup were trained on and indexed: replacing the cleanup would take them away."""
    option = ["--format", "yolo", "--write", "--max-share", "1", "--to", str(tmp_path / "cleanup")]
    assert run(["export", "--index", str(home / "색인"), *option, "--issue", "missing_box"]) == 0
    data, index = tmp_path / "cleanup/data.yaml", tmp_path / "index"
    with outside_allowed(True):  # the lists name the images of the set
        build(open_source(data), index, encoder=FakeEncoder(), signals=(Geometry(),))
    before = contents(tmp_path)
    assert run(["export", "--index", str(index), *option, "--overwrite"]) == 2
    assert contents(tmp_path) == before


def test_a_cleanup_that_holds_an_index_is_not_replaced(
    home: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    option = ["--index", str(home / "색인"), "--format", "yolo", "--write", "--to", str(tmp_path / "cleanup")]
    assert run(["export", *option, "--issue", "missing_box", "--max-share", "1"]) == 0
    shutil.copytree(home / "색인", tmp_path / "cleanup/index")
    assert "holds the index" in refused(["export", *option, "--overwrite"], capsys)
    assert (tmp_path / "cleanup/index/verdicts.jsonl").is_file()


def test_what_is_no_file_at_all(home: Path, tmp_path: Path) -> None:
    with Index.open(home / "색인") as index:
        places = Places.of(index)
    link(tmp_path / "loop", tmp_path / "loop")
    wrong = [tmp_path, tmp_path / "loop", Path("nul\0.csv"), Path(os.devnull)]
    for path in wrong:
        with pytest.raises(InputError):
            places.check_file(path, overwrite=True)


@pytest.mark.parametrize(
    ("option", "name"),
    [
        (["--crops"], "q.csv"),
        (["--crops", "--format", "coco"], "q.json"),
        (["--write"], "q5.csv"),
        (["--write", "--format", "cvat"], "q.xml"),
        (["--force"], "q.csv"),
        (["--drop", "images"], "q.csv"),
        (["--max-share", "0.5"], "q.csv"),
        (["--spreadsheet"], "q.json"),
    ],
)
def test_options_that_mean_nothing_here(
    option: list[str], name: str, home: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    command = ["export", "--index", str(home / "색인"), "--to", str(tmp_path / name), *option]
    assert option[0] in refused(command, capsys)
    assert not list(tmp_path.iterdir())
