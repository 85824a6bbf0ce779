"""The map: places, areas in the address, and the queue of an area."""

import struct
import time
from dataclasses import replace
from pathlib import Path
from typing import Any, cast

import duckdb
import numpy as np
import pytest
from fastapi.testclient import TestClient
from hypothesis import given
from hypothesis import strategies as st

from healtheat.core.boxes import Boxes
from healtheat.core.errors import InputError
from healtheat.index import Index
from healtheat.index.cache import CACHE_FOLDER
from healtheat.reviewing.session import Review
from healtheat.view.areas import Area, area_text, inside_sql, read_area
from healtheat.view.map import MapPoints
from healtheat.view.places import GRID, places
from healtheat.view.views import View
from tests.reviewing.conftest import served

corner = st.tuples(st.integers(0, 40), st.integers(0, 40))


def crossings(area: Area, x: int, y: int) -> bool:
    """The even-odd rule written out, with fractions as decimals far finer than the grid."""
    inside = False
    for (x0, y0), (x1, y1) in zip(area, area[1:] + area[:1], strict=True):
        if (y0 > y) != (y1 > y) and x < x0 + (y - y0) * (x1 - x0) / (y1 - y0) - 1e-9:
            inside = not inside
    return inside


@given(st.lists(corner, min_size=3, max_size=9), st.lists(corner, min_size=1, max_size=20))
def test_an_area_holds_what_the_even_odd_rule_says(
    corners: list[tuple[int, int]], at: list[tuple[int, int]]
) -> None:
    area = tuple(corners)
    assert read_area(area_text(area)) == area
    values = ", ".join(f"({x}, {y})" for x, y in at)
    rows = duckdb.sql(
        f"SELECT map_x, map_y, {inside_sql(area)} FROM (VALUES {values}) t(map_x, map_y)"
    ).fetchall()
    for x, y, found in rows:
        assert found == crossings(area, x, y), (area, x, y)


@pytest.mark.parametrize(
    "text", ["1.2-3.4", "1.2-3.4-x", "1.2-3.4-5.6'", "1.1-2.2-3.1001", "1.2-" * 65 + "1.2", "a"]
)
def test_odd_areas_are_refused(text: str) -> None:
    with pytest.raises(InputError, match="area"):
        read_area(text)


class Points:
    """What /map/points sends, read back."""

    def __init__(self, data: bytes) -> None:
        n, k = struct.unpack_from("<II", data)
        at = 8

        def column(kind: str, count: int) -> np.ndarray[Any, Any]:
            nonlocal at
            assert at % np.dtype(kind).itemsize == 0, "JavaScript's arrays start at multiples of their size"
            found = np.frombuffer(data, kind, count, at)
            at += found.nbytes
            return found

        self.box_id, self.classes = column("<i8", n), column("<i8", k)
        self.colours, self.code = column("<u4", k), column("<u4", n)
        self.x, self.y, self.is_open = column("<u2", n), column("<u2", n), column("u1", n)
        assert at == len(data)
        self.class_id = self.classes[self.code]


def ready(client: TestClient) -> None:
    until = time.monotonic() + 120
    while "being placed" in client.get("/map").text:
        assert time.monotonic() < until
        time.sleep(0.05)


def test_points_and_the_queue_of_an_area(client: TestClient, undecided: Review) -> None:
    ready(client)
    data = client.get("/map/points").content
    boxes = undecided.index.boxes()
    points = Points(data)
    assert np.array_equal(points.box_id, boxes.box_id)
    assert np.array_equal(points.class_id, boxes.class_id)
    assert points.is_open.all(), "every box has a finding that nobody decided"
    xs, ys = points.x.astype(int), points.y.astype(int)
    half = int(np.median(xs))
    answer = client.get(f"/map/area?left=0&top=0&right={half}&bottom={GRID}")
    assert answer.status_code == 303
    view = View.read("all", {"area": answer.headers["location"].partition("area=")[2]})
    where, values = view.where()
    found = {row[0] for row in undecided.work.rows(f"SELECT box_id FROM work WHERE {where}", values)}
    assert found == set(boxes.box_id[(xs < half) & (ys < GRID)].tolist()) and found
    assert client.get(view.address()).text.count('class="finding') == min(48, undecided.work.total(view))
    csv = client.get("/cleanup.csv", params={"queue": "all", **view.parameters()}).text
    assert len(csv.splitlines()) == undecided.work.total(view) + 1
    assert client.get("/map/box/0").status_code == 303 and client.get("/map/box/999999").status_code == 404
    assert client.get("/map/area?left=5&top=5&right=5&bottom=9").status_code == 400


def test_names_are_escaped_and_regions_listed(client: TestClient) -> None:
    ready(client)
    text = client.get("/map").text
    assert "<script>" not in text.replace('<script src="/static', "") and "&lt;script&gt;" in text
    assert text.count("/queue/all?area=") >= 1


def test_places_are_kept_and_a_broken_file_is_not_believed(review: Review, index_path: Path) -> None:
    ids = np.asarray(review.index.boxes().box_id, np.int64)
    first = places(review.index, ids)
    files = list((index_path / CACHE_FOLDER).glob("map-*.npy"))
    assert len(files) == 1
    assert np.array_equal(np.load(files[0], allow_pickle=False), first)
    files[0].write_bytes(b"\x93NUMPY junk")
    assert np.array_equal(places(review.index, ids), first)
    assert not review.index.verify()


def test_the_places_of_earlier_builds_are_cleared(review: Review, index_path: Path) -> None:
    ids = np.asarray(review.index.boxes().box_id, np.int64)
    folder = index_path / CACHE_FOLDER
    places(review.index, ids)
    (now,) = folder.glob("map-*.npy")
    now.unlink()
    for name in ("map-0123.npy", "map-4567.npy.tmp", "other.npy"):
        (folder / name).write_bytes(b"old")
    places(review.index, ids)
    assert {file.name for file in folder.iterdir()} == {now.name, "other.npy"}
    (folder / "other.npy").unlink()


class Wide:
    """An index whose class ids need more than 32 bits: the catalog holds 64, if no source of ours does."""

    def __init__(self, index: Index) -> None:
        self.path, self.vectors = index.path, index.vectors
        boxes = index.boxes()
        wider = {0: 0, 3: 2**32 + 3, 7: 2**40}
        self._boxes = replace(boxes, class_id=np.array([wider[c] for c in boxes.class_id.tolist()], np.int64))

    def boxes(self) -> Boxes:
        return self._boxes


def test_class_ids_beyond_32_bits_come_out_exact(undecided: Review, browser: Any) -> None:
    wide = Wide(undecided.index)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(undecided, "map", MapPoints(cast(Index, wide), undecided.work))
        until = time.monotonic() + 120
        while not undecided.map.ready():
            assert time.monotonic() < until and not undecided.map.problem
            time.sleep(0.05)
        points = Points(undecided.map.to_bytes())
        assert points.classes.tolist() == [0, 2**32 + 3, 2**40]
        assert np.array_equal(points.class_id, wide.boxes().class_id)
        assert len(set(points.colours.tolist())) == 3
        assert served_map(undecided, browser, 2**40).startswith(f"{2**40} ")


def served_map(review: Review, browser: Any, class_id: int) -> str:
    """What the page says of the first box that the keyboard reaches, asked for a class."""
    with served(review) as link:
        page = browser.new_page()
        page.goto(link)
        page.goto(f"{link.partition('/?')[0]}/map?class={class_id}")
        page.wait_for_selector("#map[data-points]")
        assert page.input_value("#map-class") == str(class_id)
        page.focus("#map")
        said = ""
        for key in ("ArrowRight", *["ArrowLeft", "ArrowUp", "ArrowRight", "ArrowDown"] * 20):
            page.keyboard.press(key)
            said = page.inner_text("#map-words")
            if said.startswith(str(class_id)):
                break
        page.close()
        return str(said)
