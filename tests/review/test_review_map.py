"""The map: places, areas in the address, and the queue of an area."""

import struct
import time
from pathlib import Path

import duckdb
import numpy as np
import pytest
from fastapi.testclient import TestClient
from hypothesis import given
from hypothesis import strategies as st

from healtheat.errors import InputError
from healtheat.index.cache import CACHE_FOLDER
from healtheat.review.areas import Area, area_text, inside_sql, read_area
from healtheat.review.places import GRID, places
from healtheat.review.state import Review
from healtheat.review.views import View

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


def ready(client: TestClient) -> None:
    until = time.monotonic() + 120
    while "being placed" in client.get("/map").text:
        assert time.monotonic() < until
        time.sleep(0.05)


def test_points_and_the_queue_of_an_area(client: TestClient, undecided: Review) -> None:
    ready(client)
    data = client.get("/map/points").content
    (n,) = struct.unpack_from("<I", data)
    boxes = undecided.index.boxes()
    assert n == len(boxes.box_id) and len(data) == 4 + 13 * n
    assert np.array_equal(np.frombuffer(data, "<u4", n, 4), boxes.box_id)
    assert np.array_equal(np.frombuffer(data, "<u4", n, 4 + 4 * n), boxes.class_id)
    xs, ys = (np.frombuffer(data, "<u2", n, 4 + at * n).astype(int) for at in (8, 10))
    half = int(np.median(xs))
    answer = client.get(f"/map/area?left=0&top=0&right={half}&bottom={GRID}")
    assert answer.status_code == 303
    view = View.read("all", {"area": answer.headers["location"].partition("area=")[2]})
    found = {row[0] for row in undecided.work.rows(f"SELECT box_id FROM work WHERE {view.where()[0]}")}
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
