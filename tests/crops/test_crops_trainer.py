"""A crop shows what the trainer sees in the box, however the image is stored."""

from pathlib import Path

import numpy as np
import pytest

from healtheat.building.images import CropPlan, read_image
from healtheat.crops import CropPolicy
from healtheat.index.cache import VectorPool
from healtheat.sources import LabelledImage, open_source
from tests.crops.hostile_images import HEIGHT, WIDTH, with_orientation, with_other_orientation
from tests.trainer import trainer_crop

SIDE = 16
BOX = "0 .25 .75 .333333333 .5"  # 16 x 16 pixels in the blue quarter
OTHERS = ("JPEG", "PNG", "WEBP", "TIFF", "PNG profile")


def write(root: Path, name: str, image: bytes) -> Path:
    """A data set of one image."""
    (root / "images").mkdir()
    (root / "labels").mkdir()
    (root / "images" / name).write_bytes(image)
    (root / "labels/a.txt").write_text(BOX, encoding="utf-8")
    data = root / "data.yaml"
    data.write_text("train: images\nval: images\nnames: [a]\n", encoding="utf-8")
    return data


@pytest.mark.parametrize("fmt", ["JPEG", "PNG", "WEBP", "TIFF"])
@pytest.mark.parametrize("orientation", range(1, 9))
def test_a_crop_of_every_orientation(tmp_path: Path, orientation: int, fmt: str) -> None:
    check(write(tmp_path, f"a.{fmt.lower()}", with_orientation(orientation, fmt)), tmp_path)


@pytest.mark.parametrize("where", OTHERS)
@pytest.mark.parametrize("orientation", [3, 6])
def test_a_crop_of_an_orientation_that_the_trainer_does_not_read(
    tmp_path: Path, orientation: int, where: str
) -> None:
    suffix = where.split()[0].lower()
    check(write(tmp_path, f"a.{suffix}", with_other_orientation(orientation, where)), tmp_path)


def check(data: Path, folder: Path) -> None:
    (image,) = (record for record in open_source(data).read() if isinstance(record, LabelledImage))
    plan = CropPlan(CropPolicy(padding=0), SIDE, "00" * 32, 0)
    read = read_image(image, plan, VectorPool(folder / "cache", fingerprint="00" * 32, dim=4))
    assert (read.facts.width_px, read.facts.height_px) == (WIDTH, HEIGHT)
    (part,) = read.new
    theirs = trainer_crop(data, WIDTH)
    assert theirs.shape == (SIDE, SIDE, 3)
    assert np.abs(part.crops[0].astype(int) - theirs).max() <= 2
    assert theirs[SIDE // 2, SIDE // 2, 2] > 150  # it is blue
