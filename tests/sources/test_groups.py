"""Which images share a source."""

from __future__ import annotations

import pytest

from healtheat.core.errors import InputError
from healtheat.sources.groups import group_codes, group_key


def test_roboflow_copies_share_a_key_across_splits() -> None:
    a, b = "images/train/IMG_1_jpg.rf.0a1b.jpg", "images/val/IMG_1_jpg.rf.ffff.jpg"
    assert group_key(a) == group_key(b) == "IMG_1_jpg"
    assert group_key("images/train/IMG_2_jpg.rf.0a1b.jpg") != group_key(a)


def test_camera_positions_of_one_tray_share_a_key() -> None:
    tray = "K-001900-010224-016551-031705"
    assert (
        group_key(f"x/{tray}_0_2_0_2_70_000_200.png") == group_key(f"{tray}_0_2_0_2_90_000_200.png") == tray
    )
    assert group_key("K-001900-010224-016551_0_2_0_2_70_000_200.png") != tray


def test_other_images_stand_alone_even_with_equal_names() -> None:
    assert group_key("site-a/001.jpg") != group_key("site-b/001.jpg")
    assert group_key("a/x.rf.1.jpg", "none") == "a/x.rf.1.jpg"


def test_own_rule() -> None:
    rule = r"(patient\d+)_"
    assert group_key("a/patient7_front.jpg", rule) == group_key("b/patient7_back.jpg", rule)
    assert group_key("a/알약.jpg", rule) == "a/알약.jpg"


@pytest.mark.parametrize("rule", ["(", "no-group"])
def test_bad_rules_are_told(rule: str) -> None:
    with pytest.raises(InputError, match="group rule"):
        group_key("a.jpg", rule)


def test_the_same_file_under_two_names_is_one_source() -> None:
    codes = group_codes(["a", "b", "c", "a", "d"], ["1", "2", "1", "3", ""])
    assert codes.tolist() == [0, 1, 0, 0, 2]
    assert group_codes([]).tolist() == []
