from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from PIL import Image, ImageFilter

from healtheat.crops import CROP_MEASURES, CropPolicy, background_xywhn, cut, image_dhash, measure
from healtheat.crops.measure import _sharpness, content, luma


def pill_on_plain(blur_px: float = 0.0, side_px: int = 96, contrast: int = 60) -> NDArray[np.uint8]:
    """A plain round pill on a plain ground: nothing to see but one outline."""
    big = np.full((side_px * 4, side_px * 4), 180 - contrast, np.uint8)
    y, x = np.mgrid[: side_px * 4, : side_px * 4] - side_px * 2
    big[x**2 + y**2 < (side_px * 1.7) ** 2] = 180
    image = Image.fromarray(big).resize((side_px, side_px), Image.Resampling.BOX)
    return np.asarray(image.filter(ImageFilter.GaussianBlur(blur_px)).convert("RGB"))


def slow_dhash(crop: NDArray[np.uint8]) -> int:
    grey = np.asarray(Image.fromarray(crop).convert("L")).astype(int)
    side = len(grey)
    fine = grey.repeat(72, 0).repeat(
        72, 1
    )  # every pixel in 72 × 72 parts, so that 8 and 9 cells divide evenly
    cells = [
        [fine[r * side * 9 : (r + 1) * side * 9, c * side * 8 : (c + 1) * side * 8].sum() for c in range(9)]
        for r in range(8)
    ]
    bits = "".join("1" if row[c + 1] > row[c] else "0" for row in cells for c in range(8))
    return int(bits, 2)


def test_dhash_equals_the_slow_way() -> None:
    random = np.random.default_rng(0)
    for side in (8, 17, 32):
        crop = random.integers(0, 256, (side, side, 3), dtype=np.uint8)
        assert int(measure(crop[None])["dhash"][0]) == slow_dhash(crop)


def test_luma_is_the_weighted_sum() -> None:
    crop = np.random.default_rng(0).integers(0, 256, (20, 20, 3), dtype=np.uint8)
    expected = crop @ np.array([0.299, 0.587, 0.114])
    assert np.abs(luma(crop) - expected).max() <= 0.51


def test_copies_differ_in_few_bits_and_others_in_many() -> None:
    random = np.random.default_rng(4)
    small = [random.integers(0, 256, (7, 7, 3), dtype=np.uint8) for _ in range(2)]
    one, other = (Image.fromarray(s).resize((300, 220), Image.Resampling.BICUBIC) for s in small)
    brighter = Image.fromarray((np.asarray(one) * 0.8 + 30).astype(np.uint8)).resize((150, 110))
    assert (image_dhash(one) ^ image_dhash(brighter)).bit_count() <= 3
    assert (image_dhash(one) ^ image_dhash(other)).bit_count() >= 16


def test_sharpness_falls_with_blur_and_not_with_a_plain_ground() -> None:
    sharp, soft, blurred = (float(measure(pill_on_plain(blur)[None])["sharpness"][0]) for blur in (0, 1.5, 4))
    assert sharp > 0.8 > soft > blurred
    assert blurred < 0.3
    low_contrast = float(measure(pill_on_plain(0, contrast=20)[None])["sharpness"][0])
    assert low_contrast == pytest.approx(sharp, abs=0.1)


def test_a_single_colour_is_not_sharp() -> None:
    flat = np.full((1, 40, 40, 3), 200, np.uint8)
    found = measure(flat)[0]
    assert found["sharpness"] == 0 and found["contrast"] == 0
    assert found["brightness"] == pytest.approx(200 / 255)


def test_letterbox_bars_do_not_count() -> None:
    """A long pill measures the same wherever its bars are; bars would add sharp edges and contrast."""
    wide = np.asarray(Image.fromarray(pill_on_plain(3, contrast=150)).resize((96, 48)))
    fill = CropPolicy().fill
    crop = np.empty((96, 96, 3), np.uint8)
    crop[:] = fill
    crop[24:72] = wide
    assert content(crop) == (24, 72, 0, 96)
    assert content(crop.transpose(1, 0, 2)) == (0, 96, 24, 72)
    assert content(np.full((9, 9, 3), fill, np.uint8)) == (0, 9, 0, 9)
    found, turned = measure(np.stack([crop, crop.transpose(1, 0, 2)]))
    assert found["sharpness"] == pytest.approx(_sharpness(luma(wide)))
    assert found["sharpness"] < _sharpness(luma(crop)) - 0.1  # what the bars would add
    for name in ("sharpness", "brightness", "contrast"):
        assert found[name] == pytest.approx(turned[name], abs=0.02)


@settings(deadline=None, max_examples=50)
@given(st.integers(1, 40), st.integers(0, 255), st.integers(0, 2**32 - 1))
def test_every_crop_is_measured_in_range(side: int, level: int, seed: int) -> None:
    random = np.random.default_rng(seed)
    crops = np.stack(
        [
            random.integers(0, 256, (side, side, 3), dtype=np.uint8),
            np.full((side, side, 3), level, np.uint8),
            np.full((side, side, 3), CropPolicy().fill, np.uint8),
        ]
    )
    found = measure(crops)
    assert found.dtype == CROP_MEASURES and len(found) == 3
    for name in ("sharpness", "brightness", "contrast"):
        assert ((found[name] >= 0) & (found[name] <= 1)).all()


def test_measure_refuses_other_shapes() -> None:
    for wrong in (np.zeros((2, 8, 9, 3), np.uint8), np.zeros((8, 8, 3), np.uint8), np.zeros((1, 8, 8, 3))):
        with pytest.raises(ValueError, match="expected uint8"):
            measure(wrong)  # type: ignore[arg-type]
    assert len(measure(np.zeros((0, 8, 8, 3), np.uint8))) == 0


def overlaps(a: Any, b: Any) -> bool:
    return bool(abs(a[0] - b[0]) < (a[2] + b[2]) / 2 - 1e-12 and abs(a[1] - b[1]) < (a[3] + b[3]) / 2 - 1e-12)


@settings(deadline=None)
@given(
    st.lists(st.tuples(*[st.floats(0, 1)] * 2, *[st.floats(1e-3, 1)] * 2), max_size=8),
    st.integers(0, 12),
    st.integers(0, 2**32 - 1),
)
def test_background_touches_no_box(boxes: list[tuple[float, ...]], count: int, seed: int) -> None:
    xywhn = np.array(boxes).reshape(-1, 4)
    tiles = background_xywhn(xywhn, (640, 480), count, seed)
    assert tiles.shape[1] == 4 and len(tiles) <= count
    for tile in tiles:
        assert not any(overlaps(tile, box) for box in xywhn)
        assert any((tile[2:] == box[2:]).all() for box in xywhn)
        assert (tile[:2] - tile[2:] / 2 >= -1e-12).all() and (tile[:2] + tile[2:] / 2 <= 1 + 1e-12).all()
    assert (tiles == background_xywhn(xywhn, (640, 480), count, seed)).all()


def test_background_finds_room_and_knows_when_there_is_none() -> None:
    one = np.array([[0.2, 0.2, 0.2, 0.2]])
    assert len(background_xywhn(one, (640, 480), 8, 0)) == 8
    assert len(background_xywhn(np.array([[0.5, 0.5, 1.0, 1.0]]), (640, 480), 8, 0)) == 0
    assert len(background_xywhn(np.empty((0, 4)), (640, 480), 8, 0)) == 0
    seeds = {background_xywhn(one, (640, 480), 1, seed).tobytes() for seed in range(5)}
    assert len(seeds) == 5


def test_crops_of_real_images_do_not_depend_on_the_other_boxes(shared: Any) -> None:
    from healtheat.crops import open_image

    path = sorted((shared / "data" / "pushin-pill" / "images" / "test").glob("*.jpg"))[0]
    image = open_image(path.read_bytes(), path.name)
    boxes = np.array([[0.3, 0.3, 0.2, 0.1], [0.6, 0.5, 0.1, 0.3], [0.5, 0.9, 0.3, 0.3]])
    together = cut(image, boxes, CropPolicy(), 64)
    for box, crop in zip(boxes, together, strict=True):
        assert (cut(image, [box], CropPolicy(), 64)[0] == crop).all()
