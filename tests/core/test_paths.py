"""Image → label path and back, which files are images, and names that may not leave their folder."""

import os
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from healtheat.core.paths import is_any_image, is_image, yolo_image_folder, yolo_label_path

LABEL_PATHS = [
    ("/d/images/train/a.jpg", "/d/labels/train/a.txt"),
    ("/images/images/a.b.jpg", "/images/labels/a.b.txt"),
    ("/d/train/images/a.jpg", "/d/train/labels/a.txt"),
    ("/d/photos/a.jpg", "/d/photos/a.txt"),
    ("/d/images.old/a.jpg", "/d/images.old/a.txt"),
    ("/d/x/images.jpg", "/d/x/images.txt"),
    ("/d/images/a", "/d/labels/a.txt"),
]


@pytest.mark.parametrize(("image", "label"), LABEL_PATHS)
def test_label_paths(image, label):
    assert yolo_label_path(Path(image)).as_posix() == label


@pytest.mark.torch
@pytest.mark.skipif(os.sep != "/", reason="these paths are written with /")
@pytest.mark.parametrize(("image", "label"), LABEL_PATHS)
def test_label_paths_are_those_of_ultralytics(image, label):
    utils = pytest.importorskip("ultralytics.data.utils", reason="ultralytics is not installed")
    assert utils.img2label_paths([image]) == [label]


@pytest.mark.parametrize(
    ("label", "folder"),
    [
        ("/d/labels/train/a.txt", "/d/images/train"),
        ("/labels/labels/a.b.txt", "/labels/images"),
        ("/d/notes/a.txt", None),
        ("/d/labels/images/a.txt", None),  # no image's path leads there: its last `images` becomes `labels`
    ],
)
def test_the_folder_of_the_image_of_a_label_file(label, folder):
    found = yolo_image_folder(Path(label))
    assert found == (None if folder is None else Path(folder))


@given(
    st.lists(st.sampled_from(["d", "images", "labels", "train"]), min_size=1, max_size=6),
    st.sampled_from(["a.jpg", "a.b.PNG"]),
)
def test_there_and_back(folders, name):
    image = Path("/", *folders, name)
    label = yolo_label_path(image)
    back = yolo_image_folder(label)
    if "images" not in folders:
        assert label.parent == image.parent
    elif "labels" in folders[len(folders) - folders[::-1].index("images") :]:
        assert back != image.parent  # a folder `labels` below: the rule cannot be turned round
    elif "images" in folders[: len(folders) - 1 - folders[::-1].index("images")] or back is not None:
        assert back == image.parent


def test_every_list_of_suffixes_is_this_one():
    assert is_image("a.HEIC") and is_image("b.x.jpg") and not is_image("a.gif") and not is_image("jpg")
    assert is_any_image("a.gif") and is_any_image("a.heic") and not is_any_image("a.txt")
