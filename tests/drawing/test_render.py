"""The renderer: masks, boxes, light and layout."""

from dataclasses import replace

import numpy as np
import pytest

from healtheat.drawing.draw import Light, draw_pill
from healtheat.drawing.plan import HEIGHT_PX, WIDTH_PX, Pill, plan_scenes
from healtheat.drawing.products import PRODUCTS, Product
from healtheat.drawing.render import take_image
from healtheat.drawing.shapes import inside_px

LIGHT = Light((0.5, -0.3, 0.81), (-0.5, 0.3, 0.81), 0.6, 0.14, 0.3)


def sprite(product: Product, angle: float = 0.3, elevation: float = np.pi / 2, back: bool = False):  # type: ignore[no-untyped-def]
    return draw_pill(product, back, angle, 21.0, LIGHT, elevation, np.random.default_rng(0))


@pytest.mark.parametrize("product", PRODUCTS, ids=lambda p: str(p.code))
def test_a_pill_fills_its_canvas_and_no_more(product: Product) -> None:
    for angle, elevation in ((0.9, np.radians(70)), (2.4, np.pi / 2)):
        drawn = sprite(product, angle, elevation)
        assert drawn.rgb.shape == (*drawn.alpha.shape, 3)
        assert np.isfinite(drawn.rgb).all() and drawn.rgb.min() >= 0
        rim = np.concatenate([drawn.alpha[0], drawn.alpha[-1], drawn.alpha[:, 0], drawn.alpha[:, -1]])
        assert rim.max() == 0, "cut at the canvas"
        assert drawn.alpha.max() == pytest.approx(1)
        assert (drawn.rgb[drawn.alpha == 0] == 0).all()


@pytest.mark.parametrize("product", PRODUCTS, ids=lambda p: str(p.code))
def test_size_is_the_products_size(product: Product) -> None:
    covered = sprite(product, 0.0).alpha >= 0.5
    width = np.ptp(np.flatnonzero(covered.any(0))) + 1
    height = np.ptp(np.flatnonzero(covered.any(1))) + 1
    if product.shape in ("triangle", "hexagon"):
        assert width / 21 == pytest.approx(product.length_mm, rel=0.2)
        return
    assert width / 21 == pytest.approx(product.length_mm, rel=0.05)
    assert height / 21 == pytest.approx(product.width_mm, rel=0.05)


def test_distances_agree_with_a_slow_search() -> None:
    y, x = np.mgrid[-40:41, -60:61].astype(np.float32)
    for shape, a, b in (("round", 30.0, 30.0), ("oblong", 50.0, 20.0), ("square", 30.0, 30.0)):
        d = inside_px(shape, x, y, a, b)
        rim_y, rim_x = np.nonzero(np.abs(d) < 0.7)
        for py, px in ((40, 60), (30, 70), (45, 35), (25, 60)):
            if d[py, px] > 2:
                nearest = np.hypot(rim_y - py, rim_x - px).min()
                assert d[py, px] == pytest.approx(nearest, abs=1.2), (shape, py, px)


@pytest.mark.slow
def test_look_alikes_differ_in_pixels() -> None:
    groups: dict[str, list[Product]] = {}
    for p in PRODUCTS:
        groups.setdefault(p.group or p.name, []).append(p)
    for group in groups.values():
        for i, one in enumerate(group):
            for two in group[i + 1 :]:
                a, b = sprite(one), sprite(two)
                assert a.rgb.shape != b.rgb.shape or np.abs(a.rgb - b.rgb).max() > 0.02, (one.name, two.name)


def test_sides_differ_where_the_catalogue_says_so() -> None:
    for product in PRODUCTS:
        apart = np.abs(sprite(product).rgb - sprite(product, back=True).rgb).max()
        assert (apart > 0.02) == (product.front != product.back), product.name


def test_boxes_hold_the_pill_and_pills_do_not_touch() -> None:
    for scene in plan_scenes(4, 30, PRODUCTS)[::4]:
        _, boxes = take_image(scene)
        assert (
            (boxes[:, :2] >= 0).all() and (boxes[:, 2] <= WIDTH_PX).all() and (boxes[:, 3] <= HEIGHT_PX).all()
        )
        for i, a in enumerate(boxes):
            for b in boxes[i + 1 :]:
                apart = a[0] >= b[2] or b[0] >= a[2] or a[1] >= b[3] or b[1] >= a[3]
                assert apart, scene.stem


def test_box_is_where_the_pixels_change() -> None:
    # The same image without its pills: only inside a box (and in its shadow) may it differ much.
    scene = replace(plan_scenes(4, 12, PRODUCTS)[0], ground="mat", palette=2)
    pill = Pill(PRODUCTS[0], False, 480.0, 640.0, 0.4)
    one = replace(scene, pills=(pill,), elevation_deg=90)
    image, boxes = take_image(one)
    x0, y0, x1, y1 = boxes[0].tolist()
    bright = np.asarray(image.convert("L"), np.int16) > 150  # white on dark grey
    rows, columns = np.flatnonzero(bright.sum(1) > 5), np.flatnonzero(bright.sum(0) > 5)
    found = (columns[0], rows[0], columns[-1] + 1, rows[-1] + 1)
    assert np.abs(np.array(found) - (x0, y0, x1, y1)).max() <= 5


def test_blur_takes_the_edges_from_one_pill_only() -> None:
    scene = next(s for s in plan_scenes(4, 30, PRODUCTS) if len(s.pills) >= 3)
    blurred = replace(scene, pills=(replace(scene.pills[0], blurred=True), *scene.pills[1:]))
    (sharp, boxes), (soft, same) = take_image(scene), take_image(blurred)
    assert (boxes == same).all()

    def edges(image, box) -> float:  # type: ignore[no-untyped-def]
        part = np.asarray(image.convert("L").crop(tuple(box)), np.float32)
        return float(np.abs(np.diff(part, axis=1)).mean())

    assert edges(soft, boxes[0]) < 0.6 * edges(sharp, boxes[0])
    assert edges(soft, boxes[1]) == edges(sharp, boxes[1])
