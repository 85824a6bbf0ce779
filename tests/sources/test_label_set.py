"""Labels without images: what a folder holds, and which lines gave no box."""

from __future__ import annotations

from pathlib import Path

import pytest

from healtheat.core.boxes import NO_CLASS, Problem, ProblemCode
from healtheat.core.errors import InputError
from healtheat.core.paths import IMAGE_SUFFIXES, OTHER_IMAGE_SUFFIXES
from healtheat.sources.label_set import broken_classes, read_label_set
from tests.sources.reading import Tree

BOX = "0 .5 .5 .1 .1\n"


@pytest.mark.parametrize("suffix", sorted(IMAGE_SUFFIXES | OTHER_IMAGE_SUFFIXES))
def test_a_folder_with_an_image_of_any_kind_is_not_labels_alone(tree: Tree, suffix: str) -> None:
    tree.put("a.txt", BOX)
    assert read_label_set(tree.root).images == ("a.txt",)
    tree.put(f"a{suffix.upper()}")
    with pytest.raises(InputError, match="images and text files, but neither"):
        read_label_set(tree.root)


def test_images_beside_a_folder_of_labels_are_found_by_the_rule(tree: Tree) -> None:
    for name in ("images/train/a.heic", "images/b.gif", "elsewhere/c.jpg"):
        tree.put(f"set/{name}")
    for name in ("train/a.txt", "b.txt", "c.txt"):
        tree.put(f"set/labels/{name}", BOX)
    assert read_label_set(tree.root / "set" / "labels").images == (
        "images/b.gif",
        "c.txt",
        "images/train/a.heic",
    )


def test_only_a_line_without_a_box_is_a_broken_line(tmp_path: Path) -> None:
    file = tmp_path / "a.txt"
    file.write_text("3 1 1 1 1\n4 .5 .5 0 0\n5 .5 .5 .1 .1\n5 .5 .5 .1 .1\n", encoding="utf-8")
    codes = {0: ProblemCode.UNKNOWN_CLASS, 1: ProblemCode.BAD_LINE, 3: ProblemCode.REPEATED_LINE}
    problems = [Problem(code, "a.txt", line, "whatever the words") for line, code in codes.items()]
    leak = Problem(ProblemCode.LEAK, "train.txt", 1, "exact duplicate of line 1")  # of a list
    whole = Problem(ProblemCode.BAD_LABEL_FILE, "a.txt", None, "not read")
    assert broken_classes([*problems, leak, whole], file) == (3, 4)
    assert broken_classes([*problems, leak, whole]) == (NO_CLASS, NO_CLASS)


def test_an_image_in_two_lists_has_no_broken_line(tree: Tree) -> None:
    for name in ("a", "b"):
        tree.put(f"images/{name}.jpg")
        tree.put(f"labels/{name}.txt", BOX)
    tree.put("train.txt", "./images/a.jpg\n")
    tree.put("val.txt", "./images/a.jpg\n./images/b.jpg\n")  # a split of its own, and a leak
    data = tree.put("data.yaml", "names: [a]\ntrain: train.txt\nval: val.txt\n")
    labels = read_label_set(data)
    assert [p.code for p in labels.problems] == [ProblemCode.LEAK] and labels.problems[0].line == 0
    assert labels.broken.get(0, ()) == ()
