"""A JPEG of thousands of scans is a bomb of time; real ones are read whatever else they carry."""

import numpy as np
import pytest
from PIL import Image

from healtheat.core.errors import ImageError
from healtheat.crops import open_image
from healtheat.crops.scans import MAX_SCANS, too_many_scans
from tests.crops.hostile_images import jpeg_of_scans, noise, picture, saved


def test_a_bomb_of_scans_is_refused_before_it_is_decoded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("healtheat.crops.decode._load_whole", lambda image: pytest.fail("decoded"))
    with pytest.raises(ImageError, match="more than 100 scans"):
        open_image(jpeg_of_scans(MAX_SCANS + 1))


def test_as_many_scans_as_allowed_are_read() -> None:
    assert open_image(jpeg_of_scans(MAX_SCANS)).size == (48, 32)


@pytest.mark.parametrize("where", ["in front", "behind", "in a comment"])
def test_bytes_that_only_look_like_scans_do_not_count(where: str) -> None:
    like = b"\xff\xda" * 3000
    data = saved(noise((200, 150)), "JPEG", progressive=True)
    if where == "behind":
        data += like
    elif where == "in front":
        data = data[:2] + b"\xff\xe5" + (len(like) + 2).to_bytes(2, "big") + like + data[2:]
    else:
        data = saved(noise((200, 150)), "JPEG", progressive=True, comment=like)
    assert not too_many_scans(data) and open_image(data).size == (200, 150)


def test_real_jpegs_have_few_scans() -> None:
    random = np.random.default_rng(1)
    for image in (picture(), noise(), Image.fromarray(random.integers(0, 256, (900, 1200, 3), np.uint8))):
        for progressive in (True, False):
            data = saved(image, "JPEG", progressive=progressive, subsampling=0)
            assert data.count(b"\xff\xda") <= 20 and not too_many_scans(data)
