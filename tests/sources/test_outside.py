"""What a data.yaml names outside of its folder is read only if the user says so."""

from pathlib import Path

import pytest

from healtheat import api
from healtheat.cli import run
from healtheat.core.errors import InputError
from healtheat.sources import open_source
from healtheat.sources.base import LabelledImage
from healtheat.sources.files import walk
from healtheat.sources.outside import Bounds, outside_allowed

NAMES = "names: [a]\n"


def images(data: Path, *, outside: bool = False) -> list[str]:
    with outside_allowed(outside):
        source = open_source(data)
    return [record.path for record in source.read() if isinstance(record, LabelledImage)]


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """A set in `set` with images `train`, and another one beside it, `other`."""
    for folder in ("set/train/images", "other/images"):
        (tmp_path / folder).mkdir(parents=True)
        (tmp_path / folder / "a.jpg").write_bytes(b"x")
    return tmp_path


def data_yaml(root: Path, text: str) -> Path:
    (root / "set" / "data.yaml").write_text(text + "\n" + NAMES, encoding="utf-8")
    return root / "set" / "data.yaml"


@pytest.mark.parametrize(
    "text",
    [
        "train: train/images",
        "train: ../train/images",  # Roboflow's, which is found inside
        "path: .\ntrain: train/images",
        "train: ./train/../train/images",
        "path: {root}/set\ntrain: train/images",
        "train: {root}/set/train",
    ],
)
def test_what_lies_inside_needs_no_word(root: Path, text: str) -> None:
    assert images(data_yaml(root, text.format(root=root))) == ["train/images/a.jpg"]


@pytest.mark.parametrize(
    "text",
    [
        "train: ../other/images",
        "path: ../other\ntrain: images",
        "path: {root}/other\ntrain: images",
        "path: /\ntrain: {root}/other/images",
        "train: train/images\nval: ../other/images",
    ],
)
def test_what_lies_outside_is_asked_for(root: Path, text: str) -> None:
    data = data_yaml(root, text.format(root=root))
    with pytest.raises(InputError, match=r"data\.yaml: names .*outside of its folder .*add outside=True"):
        open_source(data)
    assert any("other/images/a.jpg" in f"other/{name}" for name in images(data, outside=True))


def test_a_list_of_images(root: Path) -> None:
    data = data_yaml(root, "train: train.txt")
    (root / "set" / "train.txt").write_text("./train/images/a.jpg\n", encoding="utf-8")
    assert images(data) == ["train/images/a.jpg"]
    (root / "set" / "train.txt").write_text("./train/images/a.jpg\n../other/images/a.jpg\n", encoding="utf-8")
    with pytest.raises(InputError, match="other/images"):
        images(data)
    assert len(images(data, outside=True)) == 2


def test_links(root: Path) -> None:
    data = data_yaml(root, "train: train/images")
    (root / "set/train/images/b.jpg").symlink_to(root / "other/images/a.jpg")  # a linked file is read
    assert len(images(data)) == 2
    (root / "set/train/images/more").symlink_to(root / "other/images")
    with pytest.raises(InputError, match="images/more"):
        images(data)
    assert len(images(data, outside=True)) == 3


def test_data_yaml_may_be_a_link_itself(root: Path) -> None:
    data = data_yaml(root, f"path: {root}/set\ntrain: train/images")
    (root / "link").mkdir()
    (root / "link" / "data.yaml").symlink_to(data)
    assert images(root / "link" / "data.yaml") == ["train/images/a.jpg"]


def test_folders_of_the_system_are_never_walked(root: Path) -> None:
    bad: dict[str, str] = {}
    places = ("/proc", "/sys", "/dev", "/proc/self/fd")
    for place in places:
        assert list(walk(Path(place), lambda path, reason: bad.update({str(path): reason}))) == []
    assert bad == dict.fromkeys(places, "a folder of the system, which holds no data set; not followed")
    data = data_yaml(root, "train: /proc")
    for outside in (False, True):
        with pytest.raises(InputError):
            images(data, outside=outside)


def test_bounds_follow_links_of_the_home(root: Path) -> None:
    (root / "home").symlink_to(root / "set")
    data_yaml(root, "train: train/images")
    bounds = Bounds(root / "home" / "data.yaml")
    assert bounds.holds(root / "set" / "train") and bounds.holds(root / "home" / "x.txt")
    assert not bounds.holds(root / "other") and not bounds.holds(root / "settle.txt")


def test_commands_have_the_option(root: Path, capsys: pytest.CaptureFixture[str]) -> None:
    data = str(data_yaml(root, "train: ../other/images"))
    for command in (
        ["build", data, "--index", str(root / "index")],
        ["contents", data],
        ["diff", data, data],
    ):
        assert run(command) == 2
        assert "outside of its folder" in (said := capsys.readouterr().err) and "--outside" in said
    assert run(["diff", data, data, "--outside"]) == 0
    assert api.diff(data, data, outside=True).problems is not None
