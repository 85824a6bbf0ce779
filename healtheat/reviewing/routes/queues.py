"""Addresses to look at findings: the queues, a grid of one, a sample; and the classes that look alike."""

from __future__ import annotations

from typing import Any

from fastapi import FastAPI, Request
from fastapi.responses import RedirectResponse, Response

from healtheat.core.text import whole_number
from healtheat.reviewing.forms import Id
from healtheat.reviewing.pages import Page
from healtheat.reviewing.session import Review
from healtheat.view.matrix import matrix
from healtheat.view.views import SORTS, STATES, View

PAGE_SIZE = 48


def add_queues(app: FastAPI, review: Review, page: Page) -> None:
    """Add the routes to the application; `page` renders a template for a request."""

    @app.get("/")
    def overview(request: Request) -> Response:
        stats = review.stats()
        total = sum(s.total for s in stats.values())
        decided = sum(s.decided for s in stats.values())
        return page(
            request, "overview.html", section="queues", stats=stats, total=total, decided=decided,
            every=review.every, review=review, silences=review.index.silences(),
        )  # fmt: skip

    @app.get("/queue/{queue}")
    def grid(request: Request, queue: str) -> Response:
        view = View.read(queue, request.query_params)
        review.work.refresh()
        if view.area and not review.map.ready():
            text = review.map.problem or "The map is being computed; this page reloads by itself."
            return page(
                request, "message.html", 503, title="The area of the map", text=text,
                again=not review.map.problem,
            )  # fmt: skip
        total = review.work.total(view)
        last = max(1, -(-total // PAGE_SIZE))
        number = min(max(1, whole_number(request.query_params.get("page"))), last)
        ids = review.work.page(view, offset=(number - 1) * PAGE_SIZE, limit=PAGE_SIZE)
        return page(
            request, "grid.html", view=view, cards=review.samples.cards(ids), total=total, number=number,
            last=last, **_filters(review, view), section=queue,
        )  # fmt: skip

    @app.get("/queue/{queue}/start")
    def start(queue: str, request: Request) -> Response:
        view = View.read(queue, request.query_params)
        first = review.work.page(view, offset=0, limit=1)
        return RedirectResponse(view.address(first[0]) if first else view.address(), 303)

    @app.get("/queue/{queue}/{finding_id}")
    def sample(request: Request, queue: str, finding_id: Id) -> Response:
        view = View.read(queue, request.query_params)
        around = review.work.around(view, finding_id)
        only_part = request.query_params.get("part") == "1"
        context: dict[str, Any] = {"view": view, "around": around, "sample": review.samples.get(finding_id)}
        if only_part:
            return page(request, "_sample.html", **context)
        return page(request, "sample.html", **context, **_filters(review, view), section=queue)

    @app.get("/classes")
    def classes(request: Request) -> Response:
        found = review.trust()
        ready = None if found is None or isinstance(found, str) else found
        return page(
            request, "classes.html", section="classes", waiting=found is None,
            why=found if isinstance(found, str) else "",
            matrix=matrix(ready) if ready else None, trust=ready,
        )  # fmt: skip


def _filters(review: Review, view: View) -> dict[str, Any]:
    done, of = review.work.progress(view)
    return {"choices": review.work.choices(), "states": STATES, "sorts": SORTS, "done": done, "of": of}
