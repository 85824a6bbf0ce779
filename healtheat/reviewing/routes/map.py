"""Addresses of the map: its page, its points, a rectangle of it, and one box on it."""

from __future__ import annotations

from fastapi import FastAPI, Request
from fastapi.responses import RedirectResponse, Response

from healtheat.core.errors import InputError
from healtheat.core.text import whole_number
from healtheat.reviewing.forms import Id
from healtheat.reviewing.pages import Page
from healtheat.reviewing.session import Review
from healtheat.view.areas import rectangle
from healtheat.view.map import REGIONS
from healtheat.view.places import GRID
from healtheat.view.views import View


def add_map(app: FastAPI, review: Review, page: Page) -> None:
    """Add the routes to the application; `page` renders a template for a request."""

    @app.get("/map")
    def map_page(request: Request) -> Response:
        review.work.refresh()
        ready = review.map.ready()
        chosen = whole_number(request.query_params.get("class"))
        return page(
            request, "map.html", section="map", ready=ready, map=review.map, chosen=chosen,
            regions=review.map.regions() if ready else [], side=REGIONS, grid=GRID,
        )  # fmt: skip

    @app.get("/map/points")
    def points() -> Response:
        if not review.map.ready():
            raise KeyError("no map yet")
        return Response(review.map.to_bytes(), media_type="application/octet-stream")

    @app.get("/map/area")
    def map_area(request: Request) -> Response:
        sides = [whole_number(request.query_params.get(n)) for n in ("left", "top", "right", "bottom")]
        if min(sides) < 0 or max(sides) > GRID or sides[0] == sides[2] or sides[1] == sides[3]:
            raise InputError(f"an area needs four different sides from 0 to {GRID}")
        return RedirectResponse(View(area=rectangle(*sides)).address(), 303)

    @app.get("/map/box/{box_id}")
    def map_box(request: Request, box_id: Id) -> Response:
        found = review.work.rows(
            "SELECT finding_id FROM work WHERE box_id = ? ORDER BY verdict IS NOT NULL, by_suspicion LIMIT 1",
            [box_id],
        )
        if found:
            return RedirectResponse(View(state="any").address(found[0][0]), 303)
        row = review.index.sql("SELECT class_id FROM boxes WHERE box_id = ?", [box_id]).to_pylist()
        if not row:
            raise KeyError(box_id)
        class_id = row[0]["class_id"]
        text = f"Nothing is flagged on this box, labelled {class_id} {review.names.get(class_id, '')}."
        return page(request, "message.html", title="Not in the list", text=text, box_id=box_id)
