"""How the pages use the screen: large pictures, numbers beside boxes, the enlarged image, the legend."""

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from healtheat.view.badges import HEIGHT, WIDTH, badges
from tests.reviewing.test_review_browser import Server, expect, open_page, server, settled

__all__ = ["server"]  # a fixture


def inner(left: float, top: float, right: float, bottom: float, other: tuple[float, ...]) -> bool:
    """Whether two rectangles share some area, written out."""
    return left < other[2] and right > other[0] and top < other[3] and bottom > other[1]


def drawn(at: tuple[float, float], label: str, size: tuple[int, int]) -> tuple[float, float, float, float]:
    height = HEIGHT * max(size) / 100
    return at[0], at[1] - height, at[0] + len(label) * WIDTH * height, at[1]


box = st.tuples(st.integers(0, 95), st.integers(0, 95), st.integers(1, 40), st.integers(1, 40))


@given(st.lists(box, max_size=12), st.sampled_from([(100, 100), (100, 60), (45, 100)]))
def test_badges_stay_inside_the_image(boxes: list[tuple[int, ...]], size: tuple[int, int]) -> None:
    xyxy = np.array([(x, y, x + w, y + h) for x, y, w, h in boxes], np.float64).reshape(-1, 4)
    labels = [str(n * 37) for n in range(len(boxes))]
    for at, label in zip(badges(xyxy, labels, size), labels, strict=True):
        left, top, right, bottom = drawn(at, label, size)
        assert left >= 0 and top >= -1e-9 and right <= size[0] + 1e-9 and bottom <= size[1] + 1e-9


def test_badges_cover_no_box_where_there_is_room() -> None:
    corners = [(10, 20, 30, 40), (0, 0, 20, 12), (80, 0, 100, 15), (10, 44, 30, 60), (97, 50, 100, 60)]
    labels = ["1", "2", "3", "4", "15"]
    places = badges(np.array(corners, np.float64), labels, (100, 100))
    for at, label in zip(places, labels, strict=True):
        assert not [c for c in corners if inner(*drawn(at, label, (100, 100)), c)], (label, at)
    assert places[0] == (10, pytest.approx(19.6)), "above the box if nothing speaks against it"


@pytest.mark.parametrize(
    ("width", "height", "crop", "image"), [(1280, 800, 480, 600), (1920, 1080, 640, 750)]
)
def test_pictures_use_the_screen(
    browser: Any, server: Server, width: int, height: int, crop: int, image: int
) -> None:
    page, wrong = open_page(browser, server, viewport={"width": width, "height": height})
    page.goto(f"{server.base}/queue/mislabel/start")
    settled(page)
    left, right = page.locator(".crop img").bounding_box(), page.locator(".image .layers img").bounding_box()
    assert left["width"] >= crop and left["height"] >= crop and right["width"] >= image
    assert left["x"] + left["width"] <= right["x"] and right["x"] + right["width"] <= width
    for picture in (left, right):
        assert picture["y"] + picture["height"] <= height, "both are seen without scrolling"
    shown = page.evaluate(
        """() => [...document.querySelectorAll('.image g')].map((g) => [g.querySelector('text'),
        g.querySelector('rect')].map((e) => { const b = e.getBoundingClientRect();
        return [b.left, b.top, b.right, b.bottom]; }))"""
    )
    assert len(shown) == 3
    for text, rect in shown:
        assert text[0] >= right["x"] - 1 and text[2] <= right["x"] + right["width"] + 1, "no number is cut"
        assert rect[0] >= right["x"] - 1 and rect[3] <= right["y"] + right["height"] + 1, (
            "boxes lie on the image"
        )
    assert not wrong


def test_the_image_is_enlarged_by_key_click_and_button(browser: Any, server: Server) -> None:
    page, wrong = open_page(browser, server, viewport={"width": 1280, "height": 800})
    page.goto(f"{server.base}/queue/mislabel/start")
    settled(page)
    large = page.locator("#large")
    page.keyboard.press("f")
    expect(large).to_be_visible()
    found = page.locator("#large img").bounding_box()
    assert found["width"] >= 0.9 * 1280 and found["height"] >= 0.85 * 800
    assert page.locator("#large svg g").count() == 3
    assert page.get_by_role("dialog", name="The whole image").count() == 1
    page.keyboard.press("d")  # decides nothing while the dialog is open
    page.keyboard.press("Escape")
    expect(large).to_be_hidden()
    assert page.inner_text("#queue .meter .done") == "0"
    page.click("#sample .layers")
    expect(large).to_be_visible()
    page.keyboard.press("f")
    expect(large).to_be_hidden()
    page.focus("[data-enlarge]")
    page.keyboard.press("Enter")
    expect(large).to_be_visible()
    page.click("#large button")
    expect(large).to_be_hidden()
    page.keyboard.press("?")
    expect(page.locator("#help")).to_contain_text("the image as large as the screen")
    assert not wrong


def test_the_map_has_a_legend(browser: Any, server: Server) -> None:
    page, wrong = open_page(browser, server)
    page.goto(f"{server.base}/map")
    page.wait_for_selector("#map[data-points]")
    buttons = page.locator(".map-legend button")
    names = [text.split() for text in buttons.all_inner_texts()]
    assert [name[:2] for name in names] == [["타이레놀정500mg", "0"], ["<script>", "3"], ["plain", "7"]]
    assert sum(int(name[2]) for name in names) == 60
    fills = page.eval_on_selector_all(".map-legend circle", "all => all.map(e => e.getAttribute('fill'))")
    assert len(set(fills)) == 3

    def seen() -> dict[str, int]:
        """Pixels of each class's colour on the canvas."""
        return dict(
            page.evaluate(
                """(fills) => { const c = document.getElementById('map');
                const d = c.getContext('2d').getImageData(0, 0, c.width, c.height).data;
                const count = Object.fromEntries(fills.map((f) => [f, 0]));
                for (let i = 0; i < d.length; i += 4) {
                  const hex = '#' + [0, 1, 2].map((k) => d[i + k].toString(16).padStart(2, '0')).join('');
                  if (hex in count) count[hex]++;
                } return count; }""",
                fills,
            )
        )

    assert all(count > 0 for count in seen().values())
    buttons.nth(1).focus()
    page.keyboard.press("Enter")
    expect(buttons.nth(1)).to_have_attribute("aria-pressed", "true")
    page.wait_for_url("**/map?class=3")
    assert [count > 0 for count in seen().values()] == [False, True, False]
    buttons.nth(2).click()
    expect(buttons.nth(1)).to_have_attribute("aria-pressed", "false")
    assert page.input_value("#map-class") == "7"
    assert [count > 0 for count in seen().values()] == [False, False, True]
    buttons.nth(2).click()
    page.wait_for_url("**/map")
    assert all(count > 0 for count in seen().values())
    assert not wrong
