"""Keys are the same bytes in every version: verdicts and vectors of older indexes hang on them."""

import numpy as np

from healtheat.crops import CropPolicy
from healtheat.index.keys import box_key, crop_keys, fingerprint, image_key, whole_image_key

SHA256, FINGERPRINT = "ab" * 32, "cd" * 16
PLACE = np.array([0.5, 0.25, 0.125, 0.1])


def test_keys_are_those_of_format_version_1() -> None:
    assert box_key(SHA256, PLACE, 7) == "9122e29b14e5916568708a396a7be987"
    assert whole_image_key(SHA256, "a/b.jpg", 3) == "34f863fe15d55744e9e6f66961da175d"
    assert whole_image_key("", "사진/b.jpg", -1) == "8484302b5a7aca543f689ddf48caeb06"
    assert image_key(SHA256, FINGERPRINT).hex() == "6a3b0811fac36777682978822818e894"
    assert crop_keys(SHA256, PLACE[None], FINGERPRINT)[0].hex() == "09b5f784b967dc4683750c48d9cf5ba0"


def test_a_class_is_part_of_a_verdicts_key_and_not_of_a_vectors() -> None:
    assert box_key(SHA256, PLACE, 7) != box_key(SHA256, PLACE, 8)
    assert whole_image_key(SHA256, "a", 7) != whole_image_key(SHA256, "a", 8)
    assert whole_image_key(SHA256, "a", 7) == whole_image_key(SHA256, "b", 7)


def test_corners_are_part_of_a_key_only_where_crops_follow_them() -> None:
    corners = np.empty(2, object)
    corners[0] = np.array([[0.1, 0.2], [0.3, 0.4], [0.5, 0.1]])
    places = np.stack([PLACE, PLACE])
    along, box = crop_keys(SHA256, places, FINGERPRINT, corners=corners)
    assert along != box == crop_keys(SHA256, PLACE[None], FINGERPRINT)[0]
    corners[0] = corners[0][::-1]
    assert crop_keys(SHA256, places, FINGERPRINT, corners=corners)[0] not in (along, box)


def test_how_crops_are_cut_is_part_of_the_fingerprint_and_the_default_is_the_old_one() -> None:
    assert fingerprint("e", CropPolicy()) == fingerprint("e", CropPolicy(cut="box"))
    assert fingerprint("e", CropPolicy()) == "a4768640741cbe954a64e4ee9560dfbd"
    assert fingerprint("e", CropPolicy(cut="object")) != fingerprint("e", CropPolicy())
