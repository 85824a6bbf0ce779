"""Boxes that a person adds, moves and draws on the page: by plain forms, by keys and with the mouse."""

import json
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from fastapi.testclient import TestClient

from healtheat.building.build import build
from healtheat.core.boxes import NO_CLASS
from healtheat.reviewing.session import Review
from healtheat.signals.base import Scores, Signal
from healtheat.signals.samples import Samples
from healtheat.sources.yolo.source import YoloSource
from tests.browser import serious
from tests.index.small_set import FakeEncoder, write_set
from tests.reviewing.conftest import WHO

LIKELY, UNSURE, BETTER = (0.5, 0.9, 0.2, 0.15), (0.2, 0.1, 0.2, 0.15), (0.2, 0.5, 0.25, 0.3)


class Placed(Signal):
    """Two missing boxes on one image, one with a likely class; one without a place; a box that is loose."""

    name = "placed"
    issues = ("missing_box", "bad_box")

    def measure(self, queries: Samples, store: Samples) -> Sequence[Scores]:
        n = len(queries)
        score = np.where(np.arange(n) == 0, 0.7, 0.0)
        place = np.where(np.arange(n)[:, None] == 0, BETTER, np.nan)
        return [
            Scores.of_images(
                self,
                "missing_box",
                image_id=[0, 0, 1],
                score=[0.9, 0.8, 0.75],
                class_id=[7, NO_CLASS, 12],
                place=[LIKELY, UNSURE, (np.nan,) * 4],
                reason=["an object and no box"] * 3,
            ),
            Scores.of(self, "bad_box", queries, raw=score, score=score, place=place, reason=["loose"] * n),
        ]


@pytest.fixture(scope="module")
def index_path(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An index of its own."""
    folder = tmp_path_factory.mktemp("drawn")
    data = write_set(folder / "data", images=6)
    build(YoloSource(data), folder / "index", encoder=FakeEncoder(), signals=(Placed(),))
    return folder / "index"


def found(review: Review) -> dict[str, int]:
    """Finding ids by what they are."""
    rows = review.index.sql("SELECT finding_id, issue, class_id, cx FROM findings WHERE flagged").to_pylist()
    name = {7: "likely", NO_CLASS: "unsure", 12: "nowhere"}
    return {"loose" if r["issue"] == "bad_box" else name[r["class_id"]]: r["finding_id"] for r in rows}


def fields(place: Sequence[float]) -> dict[str, str]:
    return {name: str(value) for name, value in zip(("cx", "cy", "w", "h"), place, strict=True)}


def post(client: TestClient, path: str, **form: Any) -> dict[str, Any]:
    answer: dict[str, Any] = client.post(path, data=form, headers={"Accept": "application/json"}).json()
    return answer


def test_by_plain_forms(client: TestClient, undecided: Review) -> None:
    ids = found(undecided)
    for name, verdict, button in (
        ("likely", "added", "Add this box"),
        ("loose", "moved", "Move the box here"),
    ):
        page = client.get(f"/queue/all/{ids[name]}").text
        assert f'name="verdict" value="{verdict}"' in page and f"<button>{button}</button>" in page
        assert 'class="spot"' in page
    page = client.get(f"/queue/all/{ids['likely']}").text
    assert 'value="7 plain"' in page and 'name="cy" min="0" max="1" step="any" value="0.9"' in page
    box = fields((0.5, 0.88, 0.2, 0.14))
    answer = client.post(
        "/verdict", data={"finding_id": ids["likely"], "verdict": "added", "relabel_to": "3", **box}
    )
    assert answer.status_code == 303
    word = undecided.work.decision(ids["likely"])
    assert word is not None and (word.verdict, word.relabel_to) == ("added", 3)
    assert (word.about, word.box) == (LIKELY, (0.5, 0.88, 0.2, 0.14))
    page = client.get(f"/queue/all/{ids['unsure']}").text
    assert "added: 3 &lt;script&gt;" in page and "1 added by people" in page, "it is drawn beside the other"
    said = post(client, "/verdict", finding_id=ids["loose"], verdict="moved", **fields(BETTER))
    assert said["saved"] and undecided.index.verdicts()["box"].to_pylist()[-1] == [*BETTER]
    assert "2 of" not in said


def test_a_box_is_drawn_on_any_image(client: TestClient, undecided: Review) -> None:
    ids = found(undecided)
    assert "Add a missing box" in client.get(f"/queue/all/{ids['loose']}").text
    form = {"finding_id": ids["loose"], "image_id": 2, "relabel_to": "plain", **fields(UNSURE)}
    said = post(client, "/draw", **form)
    assert said["saved"] and (said["verdict"], said["name"]) == ("added", "plain")
    assert post(client, "/draw", **form, again="1")["seq"] == said["seq"]
    taken = post(client, "/undo")
    assert taken["saved"] and taken["finding_id"] == -1 and not undecided.work.decisions


@pytest.mark.parametrize(
    ("path", "more", "message"),
    [
        ("/draw", {"relabel_to": "99"}, "no class"),
        ("/draw", {"cx": ""}, "four numbers"),
        ("/draw", {"cx": "nan"}, "four numbers"),
        ("/draw", {"cx": "0.05"}, "beyond"),
        ("/draw", {"w": "0"}, "no area"),
        ("/verdict", {"verdict": "added", "h": "2"}, "beyond"),
        ("/verdict", {"verdict": "moved"}, "is there is moved"),
        ("/draw", {"build": "another"}, "not the one"),
    ],
)
def test_what_is_no_box_is_never_saved(
    client: TestClient, undecided: Review, path: str, more: dict[str, str], message: str
) -> None:
    form = {
        "finding_id": found(undecided)["likely"],
        "image_id": 0,
        "relabel_to": "7",
        **fields(LIKELY),
        **more,
    }
    answer = client.post(path, data=form, headers={"Accept": "application/json"})
    assert answer.status_code in (409, 422) and message in answer.json()["error"]
    assert not undecided.work.decisions


def test_no_image_of_that_number_is_no_page(client: TestClient) -> None:
    for image_id in ("99", "-1", "x"):
        form = {"finding_id": 0, "image_id": image_id, "relabel_to": "7", **fields(LIKELY)}
        assert client.post("/draw", data=form).status_code == 404


# ---- in a browser

browser_tests = pytest.importorskip("tests.reviewing.test_review_browser")
Server, expect = browser_tests.Server, browser_tests.expect
open_page, press, settled = browser_tests.open_page, browser_tests.press, browser_tests.settled
server = browser_tests.server


def log(index_path: Path) -> list[dict[str, Any]]:
    text = (index_path / "verdicts.jsonl").read_text(encoding="utf-8")
    return [json.loads(line) for line in text.splitlines()]


def sent(page: Any) -> None:
    for _ in range(600):
        if page.evaluate("sessionStorage.getItem('healtheat-outbox') === null"):
            return
        page.wait_for_timeout(50)
    raise AssertionError("never sent")


@pytest.fixture
def page(browser: Any, server: Any) -> Iterator[Any]:
    tab, wrong = open_page(browser, server, viewport={"width": 1300, "height": 900})
    tab.goto(f"{server.base}/queue/all/start?sort=score")
    settled(tab)
    yield tab
    assert not [line for line in wrong if "favicon" not in line]
    tab.context.close()


def test_by_keys(page: Any, index_path: Path) -> None:
    press(page, "a", "saved: added to plain")  # the likely class, where it was found
    page.keyboard.press("a")  # no likely class: it is asked for
    expect(page.locator("#relabel-do")).to_have_text("Add")
    page.fill("#relabel-to", "3")
    press(page, "Enter", "saved: added to <script>")
    page.keyboard.press("a")  # nobody knows where: a box is drawn in the middle
    expect(page.locator("#placing")).to_be_visible()
    for key in ("ArrowRight", "ArrowDown", "Shift+ArrowLeft"):
        page.keyboard.press(key)
    expect(page.locator("#status")).to_contain_text("arrows shift the box")
    page.keyboard.press("o")
    expect(page.locator("#status")).to_contain_text("first save the place")
    press(page, "Enter", "saved: added to never used")
    page.keyboard.press("e")
    page.keyboard.press("ArrowUp")
    page.keyboard.press("a")
    page.wait_for_selector("text=Nothing left in this view")  # it was the last one
    assert {line["who"] for line in log(index_path)} == {WHO}
    lines = [line["verdict"] for line in log(index_path)]
    assert [line["verdict"] for line in lines] == ["added", "added", "added", "moved"]
    assert [line["about"] for line in lines] == [[*LIKELY], [*UNSURE], None, None]
    assert lines[0]["box"] == [*LIKELY] and lines[1]["box"] == [*UNSURE]
    assert lines[2]["box"] == pytest.approx([(40.5) / 80, 31 / 60, 15 / 80, 12 / 60], abs=1e-6)
    assert lines[3]["box"] == pytest.approx([0.2, 29 / 60, 0.25, 0.3], abs=1e-6)
    page.goto(f"{page.url.partition('/queue')[0]}/queue/all/start?sort=score&state=any")
    settled(page)
    for verdict in ("moved", "added", "added", "added"):
        page.keyboard.press("z")
        sent(page)
        expect(page.locator("#status")).to_have_text(f"taken back: {verdict}")
        settled(page)
    assert [line["undoes"] for line in log(index_path)][4:] == [4, 3, 2, 1]


def drag(page: Any, start: tuple[float, float], end: tuple[float, float]) -> None:
    """Drag from one point to another, in pixels of the image."""
    matrix = page.evaluate(
        "(({a, d, e, f}) => [a, d, e, f])(document.querySelector('#sample .layers svg').getScreenCTM())"
    )
    a, d, e, f = matrix
    page.mouse.move(a * start[0] + e, d * start[1] + f)
    page.mouse.down()
    page.mouse.move(a * end[0] + e, d * end[1] + f)
    page.mouse.up()


def test_with_the_mouse(page: Any, index_path: Path) -> None:
    drag(page, (40, 54), (32, 47.8))  # the proposed place, taken hold of, is shifted at once
    expect(page.locator("#placing output")).to_contain_text("left 24, top 43")
    drag(page, (40, 52.3), (44, 55.3))  # a corner
    assert not page.locator("#large[open]").count(), "it is no click on the image"
    page.click("[data-place-class]")
    page.fill("#relabel-to", "3 <script>")
    press(page, "Enter", "saved: added to <script>")
    page.keyboard.press("n")  # and one that nobody found
    drag(page, (4, 40), (20, 52))
    page.click("[data-place-save]")
    page.fill("#relabel-to", "plain")
    page.keyboard.press("Enter")
    expect(page.locator("#status")).to_have_text("saved: a box of plain is missing")
    expect(page.locator("#sample .drawn")).to_have_count(2)
    sent(page)
    one, two = log(index_path)
    assert one["verdict"]["box"] == pytest.approx([34 / 80, 49.3 / 60, 20 / 80, 12 / 60], abs=0.01)
    assert two["verdict"]["box"] == pytest.approx([12 / 80, 46 / 60, 16 / 80, 12 / 60], abs=0.01)
    settled(page)
    page.keyboard.press("z")
    expect(page.locator("#status")).to_have_text("taken back: added")
    expect(page.locator("#sample .drawn")).to_have_count(1)


def test_a_place_that_is_left_is_nowhere_saved(page: Any, index_path: Path) -> None:
    page.keyboard.press("e")
    page.keyboard.press("ArrowLeft")
    page.keyboard.press("z")  # leaves it, and takes nothing back
    expect(page.locator(".editing")).to_have_count(0)
    expect(page.locator("#sample-title")).to_be_focused()
    page.keyboard.press("e")
    page.click(".decide .v-ok")  # nothing is missing: what was shifted does not count
    expect(page.locator("#status")).to_have_text("saved: ok")
    settled(page)
    page.keyboard.press("ArrowLeft")
    settled(page)
    expect(page.locator("#placing")).to_be_hidden()
    sent(page)
    assert [(e["verdict"]["verdict"], e["verdict"]["box"]) for e in log(index_path)] == [("ok", None)]


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_axe_finds_nothing_serious(browser: Any, server: Any, scheme: str) -> None:
    tab, _ = open_page(browser, server, color_scheme=scheme)
    tab.goto(f"{server.base}/queue/all/start?sort=score")
    settled(tab)
    assert serious(tab) == []
    tab.keyboard.press("e")
    expect(tab.locator(".editing")).to_be_focused()
    assert serious(tab) == []
    tab.keyboard.press("Escape")
    expect(tab.locator(".editing")).to_have_count(0)
    tab.context.close()
